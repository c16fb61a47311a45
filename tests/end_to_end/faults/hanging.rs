//! Endpoints that hang: stopped as a whole (`SIGSTOP`), or slower than a client may wait.

use phalanx_admin::state::{Endpoint as State, EndpointState};
use rustix::process::Signal;

use super::{Edge, GET, assert_by, posting};
use crate::support::{edge::Endpoint, http::getting, until};

impl Edge {
    /// How the gateway sees an endpoint.
    fn state_of(&self, endpoint: &Endpoint) -> State {
        let address = endpoint.address.to_string();
        self.phalanx.endpoints().into_iter().find(|known| known.address == address).unwrap()
    }

    /// Stops an endpoint that works on a request, whose client is told so; returns the endpoint.
    fn stop_one_at_work(&mut self) -> Endpoint {
        let mut waiting = self.phalanx.connection();
        waiting.send(&getting("/slow")).unwrap();
        let stopped = self.take_who_tells("slow request");
        stopped.program.hold();
        let answer = waiting.receive().unwrap();
        assert_eq!((answer.status, answer.problem()), (504, "Gateway Timeout".to_owned()));
        assert_eq!(self.state_of(&stopped).in_flight, 0);
        stopped
    }

    /// Ten requests, which go everywhere but there.
    fn pass_by(&self, stopped: &Endpoint) {
        let before = self.state_of(stopped).requests;
        let mut client = self.phalanx.connection();
        for _ in 0..10 {
            assert_eq!(client.exchange(GET).unwrap().status, 200);
        }
        assert_eq!(self.state_of(stopped).requests, before);
    }
}

const IMPATIENT: &str = "timeouts = { read = '1s' }";

#[test]
fn checks_take_a_stopped_endpoint_out_and_bring_it_back() {
    let service = "passive_health = { max_fails = 0 }\n\
                   active_health = { path = '/ready', interval = '500ms', timeout = '500ms' }";
    let mut edge = Edge::start(&["one", "two", "three"], IMPATIENT, service);
    let stopped = edge.stop_one_at_work();
    until("it is taken out", || edge.state_of(&stopped).state == EndpointState::Ejected);
    edge.pass_by(&stopped);

    stopped.program.signal(Signal::CONT);
    until("it is back", || edge.state_of(&stopped).state == EndpointState::Serving);
    let before = edge.state_of(&stopped).requests;
    let mut client = edge.phalanx.connection();
    until("it answers", || {
        assert_eq!(client.exchange(GET).unwrap().status, 200);
        edge.state_of(&stopped).requests > before
    });
    edge.stop();
}

#[test]
fn the_request_that_waits_in_vain_takes_a_stopped_endpoint_out() {
    let service = "passive_health = { max_fails = 1, fail_timeout = '1h' }";
    let mut edge = Edge::start(&["one", "two", "three"], IMPATIENT, service);
    let stopped = edge.stop_one_at_work();
    until("it is taken out", || edge.state_of(&stopped).state == EndpointState::Ejected);
    edge.pass_by(&stopped);
    edge.stop();
}

#[test]
fn a_response_that_is_late_is_not_waited_for_and_not_asked_for_twice() {
    let edge =
        Edge::start(&["one", "two"], "timeouts = { read = '300ms' }", "passive_health = { max_fails = 0 }");
    let mut client = edge.phalanx.connection();
    for request in [getting("/slow"), posting("/slow")] {
        let answer = client.exchange(&request).unwrap();
        assert_eq!((answer.status, answer.problem()), (504, "Gateway Timeout".to_owned()));
    }
    let told = || edge.endpoints.iter().map(|endpoint| endpoint.told("slow request")).sum::<usize>();
    // What the endpoint has said may still be on its way to the test.
    until("both requests", || told() == 2);
    for endpoint in &edge.endpoints {
        endpoint.release();
    }
    for name in ["one", "two"] {
        assert_by(&client.exchange(GET).unwrap(), name);
    }
    assert_eq!(told(), 2);
    edge.stop();
}
