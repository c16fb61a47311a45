//! The file is read again: what it changes, what it cannot change, and what it may not be.

use std::fs;

use rustix::process::Signal;

use crate::support::{
    phalanx::{Ended, Phalanx, file, puppets, run},
    until,
};

fn greeting(greeting: &str) -> String {
    file(&format!("env = {{ GREETING = '{greeting}' }}\n{}", puppets(2)))
}

fn reload(phalanx: &Phalanx) -> Ended {
    run(&phalanx.home, &["reload", "--admin", &phalanx.admin.to_string()])
}

#[test]
fn what_the_file_says_of_replicas_is_rolled_out() {
    let phalanx = Phalanx::up(&greeting("one"));
    let before = phalanx.serving();
    phalanx.home.write("phalanx.toml", &format!("# another line\n{}", greeting("one")));
    let ended = reload(&phalanx).with_code(0);
    assert!(ended.stdout.contains("nothing that is not so already"), "{ended:#?}");
    assert_eq!(phalanx.serving(), before);

    phalanx.home.write("phalanx.toml", &greeting("two"));
    let ended = reload(&phalanx).with_code(0);
    assert!(ended.stdout.contains("the file changes api"), "{ended:#?}");
    assert!(phalanx.serving_becomes(2).is_disjoint(&before));
    until("only the new ones answer", || phalanx.get("/env?GREETING").body == "two");

    phalanx.home.write("phalanx.toml", &greeting("two").replace("replicas = 2", "replicas = 3"));
    let before = phalanx.serving_becomes(2);
    reload(&phalanx).with_code(0);
    let after = phalanx.serving_becomes(3);
    assert!(after.is_superset(&before), "{before:?} {after:?}");
    phalanx.stop();
}

/// O11
#[test]
fn a_file_that_is_missing_or_faulty_or_asks_for_too_much_changes_nothing() {
    let phalanx = Phalanx::up(&greeting("one"));
    let before = phalanx.serving();
    for (text, reason) in [
        ("[gatway]".to_owned(), "unknown key `gatway`"),
        (greeting("two").replace("path = '/'\n", "path = '/api'\n"), "needs a restart of Phalanx: [[route]]"),
        (greeting("two") + "[service.other]\nendpoints = [{ address = '127.0.0.1:1' }]\n", "[service.other]"),
        (file("command = ['no-such-program']\n"), "no-such-program"),
        (greeting("two") + "env_file = ['missing.env']\n", "missing.env cannot be read"),
    ] {
        phalanx.home.write("phalanx.toml", &text);
        reload(&phalanx).with_code(1).complains(&[reason]);
        assert_eq!(phalanx.serving(), before, "{reason}");
    }
    fs::remove_file(phalanx.home.path().join("phalanx.toml")).unwrap();
    reload(&phalanx).with_code(1).complains(&["nothing is changed: read phalanx.toml"]);
    assert_eq!(phalanx.get("/env?GREETING").body, "one");

    phalanx.program.signal(Signal::HUP);
    phalanx.program.stderr.tells("and is not followed");
    assert_eq!(phalanx.serving(), before);
    phalanx.stop_after_errors();
}

#[test]
fn a_hangup_has_the_file_read_again() {
    let phalanx = Phalanx::up(&greeting("one"));
    let before = phalanx.serving();
    phalanx.home.write("phalanx.toml", &greeting("two"));
    phalanx.program.signal(Signal::HUP);
    phalanx.program.stderr.tells("the file was read again services=1");
    until("all replicas are others", || {
        let after = phalanx.serving();
        after.len() == 2 && after.is_disjoint(&before)
    });
    until("only the new ones answer", || phalanx.get("/env?GREETING").body == "two");
    phalanx.program.signal(Signal::HUP);
    phalanx.program.stderr.tells("the file was read again services=0");
    phalanx.stop();
}
