//! Services in other languages, as `examples/` shows them: started, asked, killed and stopped by Phalanx like any other.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use phalanx_admin::state::{Endpoint, EndpointState};
use rustix::process::Signal;
use serde_json::json;

use crate::support::{
    eventually,
    home::{Home, send},
    http::{Answer, getting, posting},
    phalanx::{PROGRAM, Phalanx, command, run},
    until,
};

const CLIENTS: usize = 4;

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
        run_in(&home, home.path(), &[])
    }
}

/// `phalanx up` with these services in a folder of this home with an example, on ports that the kernel chooses.
fn run_in(home: &Arc<Home>, folder: &Path, services: &[&str]) -> Phalanx {
    let file = folder.join("phalanx.toml");
    fs::write(&file, with_free_ports(&fs::read_to_string(&file).unwrap())).unwrap();
    let mut up = command(home, &[&["up"], services].concat());
    up.current_dir(folder);
    let phalanx = Phalanx::start(home, up);
    phalanx.program.stdout.tells("\nReady.\n");
    phalanx
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

/// Every process is replaced while clients ask over connections that they keep, and every one of their requests is answered.
fn bears_a_restart(phalanx: &Phalanx, service: &str, post: &[u8]) {
    let serving =
        || phalanx.endpoints().into_iter().filter(|endpoint| endpoint.state == EndpointState::Serving);
    let pids = || serving().filter_map(|endpoint| endpoint.pid).collect::<Vec<_>>();
    let (before, is_over) = (pids(), AtomicBool::new(false));
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    let mut connection = phalanx.connection();
                    while !is_over.load(Ordering::Relaxed) {
                        for request in [post, &getting("/")] {
                            let answer = connection.exchange(request).unwrap();
                            assert!(matches!(answer.status, 200 | 201), "{answer:?}");
                        }
                    }
                })
            })
            .collect();
        let admin = phalanx.admin.to_string();
        let restarted = run(&phalanx.home, &["rollout", "restart", service, "--admin", &admin]);
        is_over.store(true, Ordering::Relaxed);
        clients.into_iter().for_each(|client| client.join().unwrap());
        restarted.with_code(0);
    });
    // Those that were replaced were told to stop, which they show a moment later.
    until("replicas that are all others", || pids().iter().all(|pid| !before.contains(pid)));
}

#[test]
fn express_is_run_as_the_example_says() {
    let phalanx = NODE.runs();
    is(
        &phalanx.get("/orders/1"),
        200,
        &json!({ "id": 1, "item": "anvil", "count": 2, "price": 80, "currency": "EUR" }),
    );
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
    bears_a_restart(&phalanx, "orders", &posting("/orders", order.to_string()));
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
    bears_a_restart(&phalanx, "reports", &posting("/sum", "[1, 2, 3.5]"));
    let ended = phalanx.stop();
    for instance in 1..=3 {
        for line in ["starting", "drained"] {
            let line = format!("reports-{instance} | {line}");
            assert!(ended.stdout.contains(&line), "no {line:?} in\n{}", ended.stdout);
        }
    }
    assert!(!ended.stderr.contains("was killed"), "each has ended by itself: {}", ended.stderr);
}

/// The shop of the examples, with those that it runs beside it.
fn shop(home: &Home) -> PathBuf {
    let folder = home.path().join("shop");
    fs::create_dir(&folder).unwrap();
    for file in ["phalanx.toml", "shop.env"] {
        fs::copy(Path::new(EXAMPLES).join("shop").join(file), folder.join(file)).unwrap();
    }
    for example in [NODE, PYTHON] {
        example.place(&home.path().join(example.name));
    }
    folder
}

#[test]
fn three_services_of_one_file_start_and_stop_in_the_order_of_what_they_depend_on() {
    let home = Arc::new(Home::new());
    let phalanx = run_in(&home, &shop(&home), &[]);
    // From `shop.env`.
    assert_eq!(phalanx.get("/orders/1").json()["currency"], json!("CHF"));
    assert_eq!(phalanx.exchange(&posting("/sum", "[1]")).status, 200);
    assert_eq!(phalanx.get("/api/catalog").status, 200);
    assert_eq!(phalanx.get("/nowhere").status, 404);
    let log = phalanx.stop().stderr;
    // Each is complete before the next begins, and has stopped when the one that depended on it has.
    for (first, then) in [("accounts", "orders"), ("orders", "reports")] {
        let (ready, begins) =
            (format!("replica is ready service={first}"), format!("replica comes service={then}"));
        assert!(log.rfind(&ready).unwrap() < log.find(&begins).unwrap(), "{log}");
        let (stopped, stops) =
            (format!("replica stopped service={then}"), format!("replica stopped service={first}"));
        assert!(log.rfind(&stopped).unwrap() < log.find(&stops).unwrap(), "{log}");
    }
}

#[test]
fn one_service_is_run_with_what_it_depends_on_and_what_is_local_wins() {
    let home = Arc::new(Home::new());
    let folder = shop(&home);
    fs::write(folder.join("local.env"), "CURRENCY=USD # not what the others have\n").unwrap();
    let phalanx = run_in(&home, &folder, &["orders"]);
    assert_eq!(phalanx.get("/orders/1").json()["currency"], json!("USD"));
    assert_eq!(phalanx.get("/api/catalog").status, 200);
    assert_eq!(phalanx.get("/sum").status, 503);
    phalanx.stop();
}
