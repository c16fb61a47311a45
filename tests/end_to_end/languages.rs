//! Services in other languages, as `examples/` shows them: started, asked, killed and stopped by Phalanx like any other.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::Arc,
};

use phalanx_admin::state::{Endpoint, EndpointState};
use rustix::process::Signal;
use serde_json::json;

use crate::support::{
    eventually,
    home::{Home, send},
    http::{Answer, posting},
    phalanx::{PROGRAM, Phalanx},
    until,
};

/// What is copied of the examples, and what it needs is found in `scripts/needs`.
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");

/// An example in a folder of its own.
struct Example {
    name: &'static str,
    files: &'static [&'static str],
    /// What was installed for it: the name in the folder, and the place among the tools.
    installed: (&'static str, &'static str),
}

const NODE: Example = Example {
    name: "node",
    files: &["phalanx.toml", "server.js"],
    installed: ("node_modules", "express/node_modules"),
};
const PYTHON: Example =
    Example { name: "python", files: &["phalanx.toml", "app.py"], installed: (".venv", "uvicorn") };

impl Example {
    /// Copies it into this folder.
    fn place(&self, folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        for file in self.files {
            fs::copy(Path::new(EXAMPLES).join(self.name).join(file), folder.join(file)).unwrap();
        }
        let (name, tool) = self.installed;
        symlink(installed(tool), folder.join(name)).unwrap();
    }

    /// Runs it as its file says, but for the ports.
    fn runs(&self) -> Phalanx {
        let home = Arc::new(Home::new());
        self.place(home.path());
        let file = fs::read_to_string(home.path().join("phalanx.toml")).unwrap();
        home.write("phalanx.toml", &with_free_ports(&file));
        Phalanx::up_in(&home)
    }
}

/// Where `scripts/needs` has put it, beside what Cargo builds.
fn installed(tool: &str) -> PathBuf {
    let mut candidates = Path::new(PROGRAM).ancestors().map(|folder| folder.join("tools").join(tool));
    candidates
        .find(|candidate| candidate.exists())
        .unwrap_or_else(|| panic!("{tool} is not installed: `make needs-test` does it"))
}

fn with_free_ports(file: &str) -> String {
    assert!(file.contains("127.0.0.1:8080") && !file.contains("[admin]"), "{file}");
    file.replace("127.0.0.1:8080", "127.0.0.1:0") + "\n[admin]\nlisten = '127.0.0.1:0'\n"
}

/// Fails unless it is this document.
fn is(answer: &Answer, status: u16, document: &serde_json::Value) {
    assert_eq!((answer.status, &answer.json()), (status, document), "{answer:?}");
}

/// Every replica answers; one that is killed is replaced, and a client notices neither.
fn bears_a_kill(phalanx: &Phalanx, language: &str) {
    let serves = |endpoint: &Endpoint| endpoint.state == EndpointState::Serving;
    let who = || {
        let answer = phalanx.get("/");
        assert_eq!((answer.status, &answer.json()["language"]), (200, &json!(language)), "{answer:?}");
        answer.json()["instance"].as_str().unwrap().to_owned()
    };
    let victim = phalanx.endpoints().into_iter().find(serves).unwrap();
    let instance = victim.instance.unwrap();
    until("an answer of the replica that is killed next", || who() == instance);
    send(victim.pid.unwrap(), Signal::KILL);
    eventually("another process of this replica, while the others answer", || {
        who();
        let named = |endpoint: &Endpoint| endpoint.instance.as_deref() == Some(&instance);
        phalanx.endpoints().into_iter().find(|now| named(now) && serves(now) && now.pid != victim.pid)
    });
    until("an answer of its successor", || who() == instance);
}

#[test]
fn express_is_run_as_the_example_says() {
    let phalanx = NODE.runs();
    is(&phalanx.get("/orders/1"), 200, &json!({ "id": 1, "item": "anvil", "count": 2 }));
    is(&phalanx.get("/orders/2"), 404, &json!({ "error": "No such order" }));
    let order = json!({ "item": "rope", "count": 3 });
    let taken = phalanx.exchange(&posting("/orders", order.to_string()));
    assert_eq!((taken.status, &taken.json()["item"]), (201, &json!("rope")), "{taken:?}");
    is(
        &phalanx.exchange(&posting("/orders", "{}")),
        400,
        &json!({ "error": "An order has an item and a count" }),
    );
    bears_a_kill(&phalanx, "JavaScript");
    let ended = phalanx.stop();
    for instance in 1..=3 {
        for line in ["listening on ", "draining"] {
            let line = format!("orders-{instance} | {line}");
            assert!(ended.stdout.contains(&line), "no {line:?} in\n{}", ended.stdout);
        }
    }
    assert!(!ended.stderr.contains("was killed"), "each has ended by itself: {}", ended.stderr);
}

#[test]
fn uvicorn_is_run_as_the_example_says() {
    let phalanx = PYTHON.runs();
    let sum = phalanx.exchange(&posting("/sum", "[1, 2, 3.5]"));
    assert_eq!((sum.status, &sum.json()["sum"]), (200, &json!(6.5)), "{sum:?}");
    is(&phalanx.exchange(&posting("/sum", "{")), 400, &json!({ "error": "A list of numbers is summed" }));
    bears_a_kill(&phalanx, "Python");
    let ended = phalanx.stop();
    for instance in 1..=3 {
        for line in ["starting", "drained"] {
            let line = format!("reports-{instance} | {line}");
            assert!(ended.stdout.contains(&line), "no {line:?} in\n{}", ended.stdout);
        }
    }
    assert!(!ended.stderr.contains("was killed"), "each has ended by itself: {}", ended.stderr);
}
