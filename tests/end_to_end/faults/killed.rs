//! Endpoints that die of `kill -9`.

use super::{Edge, GET, POST, assert_by, posting};
use crate::support::http::getting;

#[test]
fn a_response_whose_endpoint_dies_never_looks_whole() {
    let mut edge = Edge::start(&["one", "two"], "", "");
    let mut client = edge.phalanx.connection();
    client.send(&getting("/half")).unwrap();
    let dying = edge.take_who_tells("half an answer");
    assert_eq!(client.receive_head().unwrap().status, 200);
    dying.kill();
    assert_eq!(client.receive_until_the_end(), b"hello");
    let mut client = edge.phalanx.connection();
    for _ in 0..10 {
        assert_eq!(client.exchange(GET).unwrap().status, 200);
    }
    edge.stop();
}

#[test]
fn between_two_requests_the_death_of_an_endpoint_costs_nothing() {
    for passive_health in ["passive_health = { max_fails = 0 }", ""] {
        let mut edge = Edge::start(&["one", "two"], "", passive_health);
        let mut client = edge.acquainted_client();
        edge.endpoints.remove(0).kill();
        for _ in 0..10 {
            for request in [POST, GET] {
                assert_by(&client.exchange(request).unwrap(), "two");
            }
        }
        edge.stop();
    }
}

#[test]
fn an_idempotent_request_survives_its_endpoint_and_another_is_never_sent_twice() {
    let mut edge = Edge::start(&["one", "two"], "", "");
    let mut client = edge.phalanx.connection();
    client.send(&getting("/slow")).unwrap();
    let dying = edge.take_who_tells("slow request");
    dying.kill();
    edge.endpoints[0].program.stdout.tells("slow request\n");
    edge.endpoints[0].release();
    let answer = client.receive().unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "released"));
    edge.stop();

    let mut edge = Edge::start(&["one", "two"], "", "");
    let mut client = edge.phalanx.connection();
    client.send(&posting("/slow")).unwrap();
    let dying = edge.take_who_tells("slow request");
    dying.kill();
    let answer = client.receive().unwrap();
    assert_eq!((answer.status, answer.problem()), (502, "Bad Gateway".to_owned()));
    assert_eq!(client.exchange(GET).unwrap().status, 200);
    assert_eq!(edge.endpoints[0].told("slow request"), 0);
    edge.stop();
}
