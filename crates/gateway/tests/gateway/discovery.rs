//! Endpoints that DNS tells of: they come and go with its answers, and stay when it fails.

mod answers;
mod failures;
mod traffic;

use std::net::{IpAddr, SocketAddr};

use phalanx_config::Role;

use crate::support::{DnsReply, DnsServer, Kind, NO_DATA, Setup, TestGateway, dns_addresses, eventually};

const NAME: &str = "api.test";
const PORT: u16 = 3000;
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// An address that nobody is asked at.
fn ip(end: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, end])
}

/// A server that knows the A records of [`NAME`] alone.
async fn server(reply: DnsReply) -> DnsServer {
    let dns = DnsServer::start().await;
    dns.set(NAME, Kind::A, reply);
    dns.set(NAME, Kind::Aaaa, NO_DATA);
    dns
}

/// A server that tells these addresses for a second, and a gateway that has them.
async fn discovered(ends: &[u8]) -> (DnsServer, TestGateway) {
    let dns = server(dns_addresses(1, ends.iter().map(|end| ip(*end)))).await;
    let gateway = Setup::discovering(&format!("{NAME}:{PORT}"), dns.address()).start();
    gateway.comes_to_have(&ends.iter().map(|end| ip(*end)).collect::<Vec<_>>()).await;
    (dns, gateway)
}

impl TestGateway {
    /// Its endpoints with weight and role, in the order of their addresses.
    fn discovered(&self) -> Vec<(SocketAddr, u16, Role)> {
        let endpoints = self.state().endpoints.into_iter();
        let mut endpoints: Vec<_> =
            endpoints.map(|endpoint| (endpoint.address, endpoint.weight, endpoint.role)).collect();
        endpoints.sort_by_key(|(address, ..)| *address);
        endpoints
    }

    /// Whether its endpoints are at these addresses, which are in order, and [`PORT`].
    fn has(&self, ips: &[IpAddr]) -> bool {
        let expected = ips.iter().map(|ip| SocketAddr::new(*ip, PORT));
        self.discovered().into_iter().map(|(address, ..)| address).eq(expected)
    }

    async fn comes_to_have(&self, ips: &[IpAddr]) {
        eventually(&format!("{ips:?}"), || self.has(ips)).await;
    }
}
