//! What DNS tells becomes endpoints, for as long as it says.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use phalanx_config::Role;

use super::{NAME, PORT, discovered, ip, server};
use crate::support::{Data, DnsReply, DnsServer, Kind, NO_DATA, Record, Setup, dns_addresses, eventually};

#[tokio::test]
async fn addresses_of_both_families_are_endpoints() {
    let dns = server(dns_addresses(60, [ip(2), ip(1)])).await;
    dns.set(NAME, Kind::Aaaa, dns_addresses(60, [Ipv6Addr::LOCALHOST]));
    let gateway = Setup::discovering(&format!("{NAME}:{PORT}"), dns.address()).start();
    gateway.comes_to_have(&[ip(1), ip(2), Ipv6Addr::LOCALHOST.into()]).await;
    assert_eq!(gateway.discovery_failures(), 0);
}

#[tokio::test]
async fn a_host_may_have_addresses_of_one_family_alone() {
    let dns = DnsServer::start().await;
    dns.set(NAME, Kind::A, NO_DATA);
    dns.set(NAME, Kind::Aaaa, dns_addresses(60, [Ipv6Addr::LOCALHOST]));
    let gateway = Setup::discovering(&format!("{NAME}:{PORT}"), dns.address()).start();
    gateway.comes_to_have(&[Ipv6Addr::LOCALHOST.into()]).await;
    assert_eq!(gateway.discovery_failures(), 0);
}

#[tokio::test]
async fn addresses_come_and_go() {
    let (dns, gateway) = discovered(&[1, 2]).await;
    dns.set(NAME, Kind::A, dns_addresses(1, [ip(3), ip(2), ip(1)]));
    gateway.comes_to_have(&[ip(1), ip(2), ip(3)]).await;
    dns.set(NAME, Kind::A, dns_addresses(1, [ip(3)]));
    gateway.comes_to_have(&[ip(3)]).await;
    assert_eq!(gateway.discovery_failures(), 0);
}

#[tokio::test]
async fn dns_is_asked_again_when_the_shortest_time_to_live_is_over_and_not_before() {
    let alias = |ttl| Record { owner: None, ttl, data: Data::Alias("real.test") };
    let real = |ttl| Record { owner: Some("real.test"), ttl, data: Data::Address(ip(1)) };
    for (reply, expected) in [
        (dns_addresses(0, [ip(1)]), 1),
        (dns_addresses(2, [ip(1)]), 2),
        (DnsReply::Records(vec![alias(2), real(60)]), 2),
        (DnsReply::Records(vec![alias(60), real(2)]), 2),
    ] {
        let dns = server(reply.clone()).await;
        let _gateway = Setup::discovering(&format!("{NAME}:{PORT}"), dns.address()).start();
        eventually("the second question", || dns.asked(NAME, Kind::A).len() == 2).await;
        let asked = dns.asked(NAME, Kind::A);
        assert!(asked[1] - asked[0] >= Duration::from_secs(expected), "{reply:?}: {asked:?}");
    }
}

/// So many addresses in their order.
fn many(count: u32) -> Vec<IpAddr> {
    (0..count).map(|end| Ipv4Addr::from(0x0a01_0000 + end).into()).collect()
}

#[tokio::test]
async fn an_answer_that_does_not_fit_into_a_datagram_is_fetched_over_tcp() {
    let ips = many(200);
    let dns = server(dns_addresses(60, ips.clone())).await;
    let gateway = Setup::discovering(&format!("{NAME}:{PORT}"), dns.address()).start();
    gateway.comes_to_have(&ips).await;
    assert_eq!((dns.streams(), gateway.discovery_failures()), (1, 0));
}

#[tokio::test]
async fn of_more_addresses_than_are_taken_the_first_are() {
    let ips = many(1100);
    let dns = server(dns_addresses(60, ips.iter().rev().copied())).await;
    let gateway = Setup::discovering(&format!("{NAME}:{PORT}"), dns.address()).start();
    gateway.comes_to_have(&ips[..1000]).await;
}

const SERVICE: &str = "_http._tcp.api.test";

fn service(priority: u16, weight: u16, port: u16, target: &'static str) -> Record {
    Record { owner: None, ttl: 1, data: Data::Service { priority, weight, port, target } }
}

#[tokio::test]
async fn a_service_has_primaries_and_backups_with_their_weights() {
    let dns = DnsServer::start().await;
    let records =
        vec![service(20, 7, 8003, "c.test"), service(10, 5, 8001, "a.test"), service(10, 0, 8002, "b.test")];
    dns.set(SERVICE, Kind::Srv, DnsReply::Records(records));
    for (name, end) in [("a.test", 1), ("b.test", 2), ("c.test", 3)] {
        dns.set(name, Kind::A, dns_addresses(60, [ip(end)]));
        dns.set(name, Kind::Aaaa, NO_DATA);
    }
    dns.set("a.test", Kind::Aaaa, dns_addresses(60, [Ipv6Addr::LOCALHOST]));
    let gateway = Setup::discovering(SERVICE, dns.address()).start();
    let [a4, a6, b, c] = [(ip(1), 8001), (Ipv6Addr::LOCALHOST.into(), 8001), (ip(2), 8002), (ip(3), 8003)]
        .map(SocketAddr::from);
    let expected =
        [(a4, 5, Role::Primary), (b, 1, Role::Primary), (c, 7, Role::Backup), (a6, 5, Role::Primary)];
    eventually("its endpoints", || gateway.discovered() == expected).await;

    // The primaries go, and with them the weight of the backup changes its meaning.
    dns.set(SERVICE, Kind::Srv, DnsReply::Records(vec![service(20, 65535, 8003, "c.test")]));
    eventually("the other role", || gateway.discovered() == [(c, 1000, Role::Primary)]).await;
    assert_eq!(gateway.discovery_failures(), 0);
}
