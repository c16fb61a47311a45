//! The end: in order on the first signal, at once on the second.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
};

use phalanx_admin::state::EndpointState;
use rustix::process::Signal;

use crate::support::{
    home::Home,
    http::{self, Connection, getting},
    phalanx::{Phalanx, command, file, puppets, reference_api, shell},
    until,
};

#[test]
fn a_request_under_way_is_finished_before_anything_ends() {
    let phalanx = Phalanx::up(&file(&puppets(2)));
    let replicas = phalanx.endpoints();
    let mut idle = phalanx.connection();
    assert_eq!(idle.exchange(&getting("/")).unwrap().status, 200);
    let mut slow = slow_request(&phalanx);
    assert_eq!(http::get(phalanx.admin, "/readyz").status, 200);

    phalanx.program.signal(Signal::TERM);
    until("readiness fails", || http::get(phalanx.admin, "/readyz").status == 503);
    let readiness = http::get(phalanx.admin, "/readyz").json();
    assert_eq!(readiness["reasons"][0], "phalanx is stopping");
    until("new connections are refused", || TcpStream::connect(phalanx.gateway).is_err());
    idle.assert_closed_by_peer();
    assert_eq!(http::get(phalanx.admin, "/livez").status, 200);
    assert!(
        phalanx.endpoints().iter().all(|replica| replica.state == EndpointState::Serving),
        "replicas go last"
    );

    for replica in &replicas {
        http::get(replica.address.parse().unwrap(), "/release");
    }
    let answer = slow.receive().unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "released"));
    assert_eq!(answer.header("connection"), Some("close"));
    slow.assert_closed_by_peer();

    let (gateway, admin, home) = (phalanx.gateway, phalanx.admin, Arc::clone(&phalanx.home));
    let ended = phalanx.program.ended().with_code(0);
    assert!(!ended.stderr.contains(" ERROR "), "{}", ended.stderr);
    home.assert_empty();
    let ports = replicas.iter().map(|replica| replica.address.parse().unwrap());
    for address in ports.chain([gateway, admin]) {
        assert_free(address);
    }
}

#[test]
fn a_second_signal_stops_at_once() {
    for (signal, announced, code) in [(Signal::INT, "Ctrl-C: ", 130), (Signal::TERM, "SIGTERM: ", 143)] {
        // Neither the request nor the replica would end by itself.
        let phalanx = Phalanx::up(&file(&shell("trap '' TERM; sleep 3600 & exec \"$0\"")));
        let mut slow = slow_request(&phalanx);
        phalanx.program.signal(signal);
        let told = phalanx.program.stdout.tells(announced);
        assert!(told.contains("A second one stops at once."), "{told}");
        phalanx.program.signal(signal);
        let home = phalanx.home.clone();
        phalanx.program.ended().with_code(code);
        home.becomes_empty();
        // The replica is killed first, which the gateway may still have the time to tell.
        assert!(slow.receive().map_or(true, |answer| answer.status == 502));
    }
}

#[test]
fn a_signal_before_anything_is_ready_ends_in_order() {
    let home = Arc::new(Home::new());
    home.write("phalanx.toml", &file(&shell("UNREADY=1 exec \"$0\"")));
    for signal in [Signal::INT, Signal::TERM] {
        let phalanx = Phalanx::start(&home, command(&home, &["up"]));
        phalanx.program.stdout.tells("api-1 | listening on");
        phalanx.program.signal(signal);
        let ended = phalanx.program.ended().with_code(0);
        assert!(!ended.stdout.contains("Ready."), "{}", ended.stdout);
        home.assert_empty();
    }
}

#[test]
fn a_replica_that_ignores_term_is_killed_after_its_grace() {
    let service = format!("shutdown_grace = '50ms'\n{}", shell("trap '' TERM; exec \"$0\""));
    let phalanx = Phalanx::up(&file(&service));
    phalanx.stop().complains(&["replica did not end within its grace, and was killed", "instance=api-1"]);
}

#[test]
fn a_request_that_does_not_end_is_cut_at_the_drain_deadline() {
    let with_deadline = file(&puppets(1)).replacen("[gateway]", "[gateway]\ndrain_deadline = '50ms'", 1);
    let phalanx = Phalanx::up(&with_deadline);
    let mut slow = slow_request(&phalanx);
    let ended = phalanx.stop();
    ended.complains(&["cut connections that were open at the drain deadline"]);
    assert!(slow.receive().is_err());
}

#[test]
fn the_signals_without_a_meaning_end_nothing() {
    let phalanx = Phalanx::up(&file(&reference_api()));
    for (signal, name) in [(Signal::USR1, "USR1"), (Signal::USR2, "USR2")] {
        phalanx.program.signal(signal);
        phalanx.program.stderr.tells(&format!("signal=\"{name}\""));
        assert_eq!(phalanx.get("/health").status, 200);
    }
    phalanx.stop();
}

/// A request that a replica has received and does not answer.
fn slow_request(phalanx: &Phalanx) -> Connection {
    let mut connection = phalanx.connection();
    connection.send(&getting("/slow")).unwrap();
    phalanx.program.stdout.tells("| slow request\n");
    connection
}

fn assert_free(address: SocketAddr) {
    TcpListener::bind(address).unwrap_or_else(|error| panic!("{address}: {error}"));
}
