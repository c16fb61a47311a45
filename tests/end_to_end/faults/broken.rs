//! Endpoints that break connections off.

use super::{Edge, GET, assert_by, posting};
use crate::support::http::getting;

#[test]
fn a_reset_instead_of_a_response_costs_what_must_not_be_repeated_and_nothing_else() {
    let edge = Edge::start(&["one", "two"], "", "passive_health = { max_fails = 0 }");
    let [resetting, _] = &edge.endpoints[..] else { panic!("two endpoints") };
    let mut client = edge.phalanx.connection();
    for _ in 0..10 {
        assert_by(&client.exchange(&getting("/reset?one")).unwrap(), "two");
    }
    resetting.program.stdout.tells("reset\n");

    let requests = || edge.phalanx.endpoints().iter().map(|endpoint| endpoint.requests).sum::<u64>();
    let before = requests();
    let mut lost = 0;
    for _ in 0..10 {
        let answer = client.exchange(&posting("/reset?one")).unwrap();
        match answer.status {
            502 => lost += 1,
            _ => assert_by(&answer, "two"),
        }
    }
    assert_eq!((lost, requests() - before), (5, 10), "each went to one endpoint, in turn");
    edge.stop();
}

#[test]
fn a_response_that_is_too_short_never_looks_whole() {
    let mut edge = Edge::start(&["one", "two"], "", "");
    let mut client = edge.phalanx.connection();
    client.send(&getting("/half")).unwrap();
    let breaking = edge.take_who_tells("half an answer");
    assert_eq!(client.receive_head().unwrap().status, 200);
    breaking.release();
    assert_eq!(client.receive_until_the_end(), b"hello");

    let state =
        edge.phalanx.endpoints().into_iter().find(|known| known.address == breaking.address.to_string());
    assert_eq!(state.map(|state| (state.requests, state.failures, state.in_flight)), Some((1, 1, 0)));
    assert_eq!(edge.phalanx.connection().exchange(GET).unwrap().status, 200);
    edge.stop();
}
