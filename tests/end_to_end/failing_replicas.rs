//! Replicas that do not come up: each time it is told which one, what happened, and what to do; the gateway answers meanwhile.

use std::{fs, os::unix::fs::symlink, sync::Arc};

use phalanx_admin::state::EndpointState;
use rustix::process::Signal;

use crate::support::{
    home::{Home, send},
    http,
    phalanx::{Phalanx, Program, command, file, puppet, reference_api, run, shell},
};

#[test]
fn a_command_that_exits_at_once_is_a_crash_loop() {
    let phalanx = start(&file(&shell("echo boom >&2; exit 7")));
    let log = phalanx.program.stderr.tells("replica exited");
    for part in ["instance=api-1", "exit=exit status: 7", "next_start_in=", "hint=", "last_output=", "boom"] {
        assert!(log.contains(part), "no {part:?} in\n{log}");
    }
    let answer = phalanx.get("/");
    assert_eq!((answer.status, answer.problem()), (503, "Service Unavailable".to_owned()));
    assert!(answer.header("retry-after").unwrap().parse::<u32>().unwrap() > 0);
    assert!(answer.json()["detail"].as_str().unwrap().contains("`api`"), "{answer:?}");

    let replica = phalanx.replica("api-1", |replica| replica.state == EndpointState::CrashLoop);
    assert!(replica.restarts >= 2, "{replica:?}");
    assert!(replica.reason.unwrap().contains("exit status: 7; starts again in"));
    phalanx.program.stderr.tells("replica exits again and again before it is ready");
    let table =
        run(&Arc::new(Home::new()), &["status", "--admin", &phalanx.admin.to_string()]).with_code(0).stdout;
    assert!(table.contains("crash-loop") && table.contains("api: 0 of 1 replicas serving"), "{table}");
    let readiness = http::get(phalanx.admin, "/readyz");
    assert_eq!(readiness.status, 503);
    assert_eq!(readiness.json()["reasons"][0], "no endpoint of service `api` serves");
    phalanx.stop_after_errors();
}

#[test]
fn a_replica_that_does_not_get_ready_is_told_with_what_it_was_asked() {
    for (script, last_answer) in
        [("UNREADY=1 exec \"$0\"", "HTTP status 503"), ("exec sleep 3600", "connection refused")]
    {
        let impatient = shell(script).replace("failure = 1000", "failure = 3");
        let phalanx = start(&file(&impatient));
        let log = phalanx.program.stderr.tells("replica did not become ready, and is started again");
        for part in
            ["instance=api-1", "probe=GET /ready", "failures=3", last_answer, "next_start_in=", "hint="]
        {
            assert!(log.contains(part), "no {part:?} in\n{log}");
        }
        assert_eq!(phalanx.get("/").status, 503);
        phalanx.stop_after_errors();
    }
}

#[test]
fn a_replica_gets_requests_only_while_it_is_ready() {
    let impatient = shell("exec \"$0\"").replace("failure = 100 ", "failure = 1 ");
    let phalanx = Phalanx::up(&file(&impatient));
    let address = phalanx.address_of("api-1");
    assert_eq!(phalanx.get("/").status, 200);
    for (state, status) in [(EndpointState::NotReady, 503), (EndpointState::Serving, 200)] {
        http::get(address, "/toggle");
        let replica = phalanx.replica("api-1", |replica| replica.state == state);
        assert_eq!(replica.restarts, 0);
        assert_eq!(phalanx.get("/").status, status);
    }
    phalanx.stop();
}

#[test]
fn a_data_directory_that_cannot_be_is_named() {
    // Root may write everywhere, but not below a file.
    let home = Arc::new(Home::new());
    let path = home.write("file", "").join("data").display().to_string();
    let mut api = command(&home, &["api", "--listen", "127.0.0.1:0"]);
    api.env("DATA_DIR", &path);
    let ended = Program::start(&home, api).ended().with_code(1);
    ended.complains(&["DATA_DIR", &path, "choose another directory"]);

    home.write("phalanx.toml", &file(&reference_api().replace("./data", "./file/data")));
    let phalanx = Phalanx::start(&home, command(&home, &["up"]));
    let log = phalanx.program.stderr.tells("./file/data");
    assert!(log.contains("replica exited") && log.contains("DATA_DIR"), "{log}");
    phalanx.stop_after_errors();
}

#[test]
fn a_program_that_vanishes_is_told_at_the_next_start() {
    let home = Arc::new(Home::new());
    let link = home.path().join("program");
    symlink(puppet(), &link).unwrap();
    home.write(
        "phalanx.toml",
        &file("command = ['./program']\nprobes.readiness = { path = '/ready', timeout = '30s' }\n"),
    );
    let phalanx = Phalanx::up_in(&home);
    fs::remove_file(link).unwrap();
    let killed = phalanx.replica("api-1", |_| true).pid.unwrap();
    send(killed, Signal::KILL);
    let log = phalanx.program.stderr.tells("replica could not be started");
    assert!(log.contains("no program `./program`"), "{log}");
    phalanx.stop_after_errors();
}

/// A Phalanx that does not get ready.
fn start(file: &str) -> Phalanx {
    let home = Arc::new(Home::new());
    home.write("phalanx.toml", file);
    Phalanx::start(&home, command(&home, &["up"]))
}
