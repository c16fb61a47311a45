//! Endpoints to which no connection comes about.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::fd::OwnedFd,
    sync::Arc,
    time::Duration,
};

use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};

use super::{Edge, GET, POST, assert_by};
use crate::support::{
    edge::{self, Endpoint},
    home::Home,
    http::getting,
};

/// A port that nobody else can have, and that refuses connections.
fn refusing_port() -> (OwnedFd, SocketAddr) {
    let reserved = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&reserved, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let address = getsockname(&reserved).unwrap().try_into().unwrap();
    (reserved, address)
}

#[test]
fn a_request_whose_endpoint_refuses_goes_to_another_whatever_its_method() {
    let home = Arc::new(Home::new());
    let endpoint = Endpoint::start(&home, "one");
    let (_reserved, refusing) = refusing_port();
    let phalanx = edge::gateway(
        &home,
        &format!(
            "endpoints = [{{ address = '{refusing}' }}, {{ address = '{}' }}]\npassive_health = {{ max_fails = 0 }}\n",
            endpoint.address
        ),
    );
    let mut client = phalanx.connection();
    for _ in 0..20 {
        for request in [GET, POST] {
            assert_by(&client.exchange(request).unwrap(), "one");
        }
    }
    let endpoints = phalanx.endpoints();
    let refused = endpoints.iter().find(|endpoint| endpoint.address == refusing.to_string()).unwrap();
    assert!(refused.failures > 0 && refused.failures == refused.requests, "{refused:?}");
    edge::stop(phalanx);
}

/// As if the host of an endpoint had gone: what is sent there on a connection that stands is never answered, and no new
/// connection comes about, since the kernel drops what arrives for a backlog that is full.
struct Gone {
    _endpoint: Endpoint,
    _backlog: Vec<TcpStream>,
}

impl Gone {
    fn of(endpoint: Endpoint) -> Self {
        endpoint.program.hold();
        let mut backlog = Vec::new();
        loop {
            match TcpStream::connect_timeout(&endpoint.address, Duration::from_millis(500)) {
                Ok(stream) => backlog.push(stream),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => break,
                Err(error) => panic!("{error}"),
            }
        }
        Self { _endpoint: endpoint, _backlog: backlog }
    }
}

#[test]
fn of_a_host_that_is_gone_only_the_request_on_an_old_connection_is_lost() {
    let timeouts = "timeouts = { connect = '500ms', read = '1s' }";
    let mut edge = Edge::start(&["one", "two"], timeouts, "passive_health = { max_fails = 0 }");
    let mut client = edge.acquainted_client();
    let _gone = Gone::of(edge.endpoints.remove(0));
    let mut statuses: Vec<_> = (0..4).map(|_| client.exchange(GET).unwrap().status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 504]);
    for request in [POST, GET, POST, GET] {
        assert_by(&client.exchange(request).unwrap(), "two");
    }
    edge.stop();
}

#[test]
fn the_request_that_finds_no_connection_takes_the_endpoint_out() {
    let service = "passive_health = { max_fails = 1, fail_timeout = '1h' }";
    let mut edge = Edge::start(&["one", "two"], "timeouts = { connect = '500ms' }", service);
    let _gone = Gone::of(edge.endpoints.remove(0));
    let mut client = edge.phalanx.connection();
    for _ in 0..10 {
        assert_by(&client.exchange(&getting("/")).unwrap(), "two");
    }
    let attempts: Vec<_> = edge.phalanx.endpoints().iter().map(|endpoint| endpoint.requests).collect();
    assert_eq!(attempts.iter().sum::<u64>(), 11, "{attempts:?}");
    edge.stop();
}
