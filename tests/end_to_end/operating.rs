//! The verbs that operate a running Phalanx, each with the outcome that is its exit code, and what happens meanwhile.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    sync::Arc,
};

use phalanx_admin::state::EndpointState;
use serde_json::Value;

use crate::support::{
    DEADLINE,
    edge::{self, Endpoint},
    home::{Home, send},
    http::getting,
    phalanx::{Ended, Phalanx, command, file, puppets, run, shell},
    terminal::Terminal,
    until,
};

/// A replica that ends at once where there is a file `broken`.
const BREAKABLE: &str = "if [ -e broken ]; then echo it is broken; exit 3; fi; exec \"$0\"";

/// Runs a verb against this Phalanx.
fn operate(phalanx: &Phalanx, arguments: &[&str]) -> Ended {
    let admin = phalanx.admin.to_string();
    run(&phalanx.home, &[arguments, &["--admin", &admin]].concat())
}

#[test]
fn scaling_returns_when_the_replicas_are_there() {
    let phalanx = Phalanx::up(&file(&puppets(1)));
    for replicas in [4, 1, 3] {
        let ended = operate(&phalanx, &["scale", "api", &replicas.to_string()]).with_code(0);
        assert!(ended.stdout.contains(&format!("with {replicas} replicas available")), "{ended:#?}");
        let service = phalanx.state().services.swap_remove(0);
        assert_eq!(service.desired, Some(replicas));
        phalanx.serving_becomes(replicas as usize);
    }
    let ended = operate(&phalanx, &["scale", "api", "2", "--json"]).with_code(0);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        (&report["outcome"], &report["service"]["desired"]),
        (&"complete".into(), &2.into()),
        "{report}"
    );
    let ended = operate(&phalanx, &["scale", "api", "0", "--no-wait", "--json"]).with_code(0);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["outcome"], "accepted", "{report}");
    until("no replica is left", || phalanx.endpoints().is_empty());
    assert_eq!(phalanx.get("/").status, 503);
    phalanx.stop();
}

#[test]
fn what_cannot_be_ordered_says_why() {
    let phalanx = Phalanx::up(&file(&puppets(1)));
    for (arguments, reason) in [
        (vec!["scale", "apo", "2"], "no service with replicas `apo`; known: api"),
        (vec!["scale", "api", "1001"], "1001 replicas are too many"),
        (vec!["rollout", "undo", "api"], "api: "),
        (vec!["rollout", "undo", "api", "--to-revision", "7"], "revision 7"),
        (vec!["rollout", "status", "apo"], "no service with replicas `apo`; known: api"),
        (vec!["drain", "api-9"], "no replica `api-9`; known: api-1"),
        (vec!["drain", "127.0.0.1:1"], "no endpoint `127.0.0.1:1`; known: "),
        (vec!["drain", "x:y"], "`x:y` is no address"),
    ] {
        operate(&phalanx, &arguments).with_code(1).complains(&[reason]);
    }
    for arguments in [vec!["scale", "api", "many"], vec!["scale", "api"], vec!["rollout", "explode", "api"]] {
        operate(&phalanx, &arguments).with_code(2);
    }
    operate(&phalanx, &["scale", "api", "2", "--timeout", "2h"])
        .with_code(2)
        .complains(&["longer than an hour"]);
    assert_eq!(phalanx.endpoints().len(), 1, "nothing has changed");
    phalanx.stop();
}

#[test]
fn where_no_phalanx_answers_there_is_a_remedy() {
    let home = Arc::new(Home::new());
    for verb in [vec!["scale", "api", "2"], vec!["rollout", "status", "api"], vec!["drain", "api-1"]] {
        let ended = run(&home, &[&verb[..], &["--admin", "127.0.0.1:1"]].concat());
        ended.with_code(5).complains(&["is `phalanx up` running?", "--admin URL"]);
    }
}

#[test]
fn a_restart_replaces_every_replica_and_can_be_followed() {
    let phalanx = Phalanx::up(&file(&puppets(2)));
    let before = phalanx.serving();
    let ended = operate(&phalanx, &["rollout", "restart", "api"]).with_code(0);
    assert!(ended.stdout.contains("revision 2"), "{ended:#?}");
    let after = phalanx.serving_becomes(2);
    assert!(before.is_disjoint(&after), "{before:?} {after:?}");

    let ended = operate(&phalanx, &["rollout", "status", "api"]).with_code(0);
    assert!(ended.stdout.contains("api is complete") && ended.stdout.contains("\n* 2 "), "{ended:#?}");
    let ended = operate(&phalanx, &["rollout", "undo", "api", "--to-revision", "1", "--json"]).with_code(0);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["service"]["rollout"]["revision"], 3, "{report}");
    assert!(phalanx.serving_becomes(2).is_disjoint(&after));
    phalanx.stop();
}

#[test]
fn a_rollout_that_is_held_goes_on_when_it_is_told_to() {
    let phalanx = Phalanx::up(&file(&puppets(2)));
    let before = phalanx.serving();
    operate(&phalanx, &["rollout", "pause", "api"]).with_code(0);
    let status = operate(&phalanx, &["rollout", "status", "api"]).with_code(1);
    status.complains(&["api is paused"]);
    operate(&phalanx, &["rollout", "restart", "api"]).with_code(1).complains(&["api: "]);
    assert_eq!(phalanx.serving(), before);
    operate(&phalanx, &["rollout", "resume", "api"]).with_code(0);
    operate(&phalanx, &["rollout", "restart", "api"]).with_code(0);
    assert!(phalanx.serving_becomes(2).is_disjoint(&before));
    phalanx.stop();
}

#[test]
fn a_rollout_that_stalls_fails_with_its_reason_and_costs_no_replica() {
    let rollout = "replicas = 2\nrollout = { deadline = '1s' }\n";
    let phalanx = Phalanx::up(&file(&format!("{rollout}{}", shell(BREAKABLE))));
    let before = phalanx.serving();
    phalanx.home.write("broken", "");
    let ended = operate(&phalanx, &["rollout", "restart", "api"]).with_code(1);
    ended.complains(&["api stalled at revision 2"]);
    assert_eq!(phalanx.serving(), before, "the old ones serve on");
    operate(&phalanx, &["rollout", "status", "api"]).with_code(1).complains(&["api is stalled"]);
    operate(&phalanx, &["rollout", "status", "api", "--no-wait"]).with_code(1);

    // Undone, the version that ends at once is gone, and what serves has never been away.
    operate(&phalanx, &["rollout", "undo", "api"]).with_code(0);
    assert_eq!(phalanx.serving(), before);
    phalanx.stop_after_errors();
}

#[test]
fn an_order_that_is_not_done_in_time_is_still_under_way() {
    // Replicas that come up only when they are let.
    let script = "while [ -e closed ]; do sleep 0.05; done; exec \"$0\"";
    let phalanx = Phalanx::up(&file(&format!("replicas = 1\n{}", shell(script))));
    let closed = phalanx.home.write("closed", "");
    let ended = operate(&phalanx, &["scale", "api", "2", "--timeout", "100ms"]).with_code(1);
    ended.complains(&["after 100ms it is still under way"]);
    std::fs::remove_file(closed).unwrap();
    operate(&phalanx, &["rollout", "status", "api"]).with_code(0);
    phalanx.stop();
}

#[test]
fn a_drained_replica_ends_its_requests_and_stays_out_until_it_is_taken_back() {
    let phalanx = Phalanx::up(&file(&puppets(2)));
    let address = phalanx.address_of("api-1");
    // Until api-1 has it: that one is let go on by nobody else.
    let mut slow = phalanx.connection();
    let mut other = phalanx.connection();
    slow.send(&getting("/slow")).unwrap();
    let busy = || {
        let endpoints = phalanx.endpoints();
        let busy = endpoints.iter().find(|endpoint| endpoint.in_flight > 0);
        busy.and_then(|endpoint| endpoint.instance.clone())
    };
    until("the request is at a replica", || busy().is_some());
    let busy = busy().unwrap();
    let busy_address = if busy == "api-1" { address } else { phalanx.address_of("api-2") };
    let ended = operate(&phalanx, &["drain", &busy, "--timeout", "100ms"]).with_code(1);
    ended.complains(&["after 100ms it is still under way"]);

    let by_busy = |answer: &crate::support::http::Answer| answer.header("x-puppet") == Some(busy.as_str());
    for _ in 0..20 {
        assert!(!by_busy(&other.exchange(&getting("/")).unwrap()), "it gets no more");
    }
    crate::support::http::get(busy_address, "/release");
    assert_eq!(slow.receive().unwrap().status, 200, "what it had goes on");
    operate(&phalanx, &["drain", &busy_address.to_string()]).with_code(0);

    // The fleet judges it anew; that does not let it in.
    for standing in [EndpointState::NotReady, EndpointState::Draining] {
        crate::support::http::get(busy_address, "/toggle");
        phalanx.replica(&busy, |endpoint| endpoint.state == standing);
    }
    for _ in 0..20 {
        assert!(!by_busy(&other.exchange(&getting("/")).unwrap()), "it is still out");
    }
    operate(&phalanx, &["drain", &busy, "--undo"]).with_code(0);
    phalanx.replica(&busy, |endpoint| endpoint.state == EndpointState::Serving);
    until("it answers again", || by_busy(&other.exchange(&getting("/")).unwrap()));
    phalanx.stop();
}

#[test]
fn a_fixed_endpoint_is_drained_and_taken_back() {
    let home = Arc::new(Home::new());
    let endpoints = ["one", "two"].map(|name| Endpoint::start(&home, name));
    let [one, two] = endpoints.each_ref().map(|endpoint| endpoint.address.to_string());
    let file = format!("endpoints = [{{ address = '{one}' }}, {{ address = '{two}' }}]\n");
    let phalanx = edge::gateway(&home, &file);
    let mut client = phalanx.connection();
    operate(&phalanx, &["drain", &one]).with_code(0);
    for _ in 0..10 {
        assert_eq!(client.exchange(&getting("/")).unwrap().header("x-puppet"), Some("two"));
    }
    operate(&phalanx, &["drain", &one, "--undo"]).with_code(0);
    until("it answers again", || client.exchange(&getting("/")).unwrap().header("x-puppet") == Some("one"));
    operate(&phalanx, &["scale", "api", "2"]).with_code(1);
    edge::stop(phalanx);
}

#[test]
fn what_happens_is_told_as_it_happens_and_afterwards() {
    let phalanx = Phalanx::up(&file(&puppets(1)));
    let mut stream = TcpStream::connect(phalanx.admin).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 0\r\n\r\n").unwrap();
    operate(&phalanx, &["scale", "api", "2"]).with_code(0);
    let lines = BufReader::new(stream).lines().map(Result::unwrap);
    let kinds = lines.filter_map(|line| line.strip_prefix("event: ").map(str::to_owned));
    let mut seen = Vec::new();
    for kind in kinds {
        let is_last = seen.contains(&"scaled".to_owned()) && kind == "ready";
        seen.push(kind);
        if is_last {
            break;
        }
    }
    assert!(seen.iter().filter(|kind| *kind == "ready").count() == 2, "{seen:?}");
    phalanx.stop();
}

#[test]
fn on_a_terminal_the_way_to_the_outcome_is_told() {
    let phalanx = Phalanx::up(&file(&puppets(1)));
    let admin = phalanx.admin.to_string();
    let scale = command(&phalanx.home, &["scale", "api", "2", "--admin", &admin]);
    let terminal = Terminal::run(scale, 80);
    let shown = terminal.shown.clone();
    assert!(terminal.ended().success());
    let shown = shown.whole();
    assert!(shown.contains("api-2 started"), "{shown}");
    assert!(shown.contains("with 2 replicas available"), "{shown}");
    phalanx.stop();
}

#[test]
fn orders_end_with_phalanx() {
    let script = "while [ -e closed ]; do sleep 0.05; done; exec \"$0\"";
    let phalanx = Phalanx::up(&file(&format!("replicas = 1\n{}", shell(script))));
    phalanx.home.write("closed", "");
    let admin = phalanx.admin.to_string();
    let waiting = command(&phalanx.home, &["scale", "api", "2", "--admin", &admin]);
    let waiting = crate::support::phalanx::Program::start(&phalanx.home, waiting);
    until("the order is carried out", || phalanx.endpoints().len() == 2);
    send(phalanx.program.id(), rustix::process::Signal::TERM);
    waiting.ended().with_code(1);
    phalanx.program.ended().with_code(0);
}
