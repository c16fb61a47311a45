//! What can befall an endpoint while the gateway works with it, as its clients see it. The rows are those of the table of bad
//! inputs: B01 `unreachable`, B02 `broken` and `killed`, B03 `killed`, B04 `hanging`, B08 `slow`, B12 `broken`, B13 `killed`.

mod broken;
mod hanging;
mod killed;
mod slow;
mod unreachable;

use std::{fmt::Write as _, sync::Arc};

use crate::support::{
    edge::{self, Endpoint},
    eventually,
    home::Home,
    http::{Answer, Connection},
    phalanx::{LISTENERS, Phalanx},
};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";

/// A gateway with one worker in front of puppets with these names. A single worker has one connection to an endpoint for each
/// request at a time, and takes them in turn.
struct Edge {
    phalanx: Phalanx,
    endpoints: Vec<Endpoint>,
}

impl Edge {
    /// With these keys of the route and of the service.
    fn start(names: &[&str], route: &str, service: &str) -> Self {
        let home = Arc::new(Home::new());
        let endpoints = names.iter().map(|name| Endpoint::start(&home, name)).collect();
        Self::before(&home, endpoints, route, service)
    }

    fn before(home: &Arc<Home>, endpoints: Vec<Endpoint>, route: &str, service: &str) -> Self {
        let listeners = LISTENERS.replacen("[gateway]", "[gateway]\nworkers = 1", 1);
        let mut file = format!("{listeners}[[route]]\npath = '/'\nservice = 'api'\n{route}\n[service.api]\n");
        file += "endpoints = [";
        for endpoint in &endpoints {
            write!(file, "{{ address = '{}' }},", endpoint.address).unwrap();
        }
        write!(file, "]\n{service}\n").unwrap();
        Self { phalanx: edge::gateway_of(home, &file), endpoints }
    }

    /// A client whose requests have reached every endpoint, so that there is an idle connection to each.
    fn acquainted_client(&self) -> Connection {
        let mut client = self.phalanx.connection();
        for _ in &self.endpoints {
            assert_eq!(client.exchange(GET).unwrap().status, 200);
        }
        assert!(self.phalanx.endpoints().iter().all(|endpoint| endpoint.requests == 1));
        client
    }

    /// Takes out the endpoint that has said this, once one has.
    fn take_who_tells(&mut self, line: &str) -> Endpoint {
        let index = eventually(line, || self.endpoints.iter().position(|endpoint| endpoint.told(line) > 0));
        self.endpoints.remove(index)
    }

    /// Phalanx ends in order, so it waits for no request any more.
    fn stop(self) {
        edge::stop(self.phalanx);
    }
}

/// A request whose method is not idempotent, without a body.
fn posting(target: &str) -> Vec<u8> {
    format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n").into_bytes()
}

fn assert_by(answer: &Answer, name: &str) {
    assert_eq!((answer.status, answer.header("x-puppet")), (200, Some(name)), "{answer:?}");
}
