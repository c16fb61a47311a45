//! Requests while endpoints come and go.

use std::net::{IpAddr, Ipv4Addr};

use super::{GET, NAME, server};
use crate::support::{Ending, Kind, Origin, Setup, TestGateway, dns_addresses, eventually, ok};

const FIRST: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1));
const SECOND: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

async fn comes_to_be_at(gateway: &TestGateway, ips: &[IpAddr]) {
    let at =
        |gateway: &TestGateway| gateway.discovered().iter().map(|(at, ..)| at.ip()).eq(ips.iter().copied());
    eventually(&format!("{ips:?}"), || at(gateway)).await;
}

#[tokio::test]
async fn a_request_in_flight_to_an_address_that_went_is_finished() {
    let [leaving, coming] = Origin::listen_at([FIRST, SECOND]).await;
    let dns = server(dns_addresses(1, [FIRST])).await;
    let gateway = Setup::discovering(&format!("{NAME}:{}", leaving.address().port()), dns.address()).start();
    comes_to_be_at(&gateway, &[FIRST]).await;
    let mut waiting = gateway.connect().await;
    waiting.send(GET).await;
    let (mut at_work, _) = leaving.accept_request().await;

    dns.set(NAME, Kind::A, dns_addresses(1, [SECOND]));
    comes_to_be_at(&gateway, &[SECOND]).await;
    gateway.settled().await;
    let mut client = gateway.connect().await;
    client.send(GET).await;
    let (mut other, _) = coming.accept_request().await;
    other.send(ok("other")).await;
    assert_eq!(client.response().await.text(), "other");

    let is_counted = || gateway.exposition().contains(&leaving.address().to_string());
    assert!(is_counted());
    at_work.send(ok("done")).await;
    assert_eq!(waiting.response().await.text(), "done");
    assert_eq!(at_work.ending().await, Ending::Closed);
    eventually("the end of its series", || !is_counted()).await;
}

#[tokio::test]
async fn an_address_that_stays_keeps_its_connections() {
    let [staying, _coming] = Origin::listen_at([FIRST, SECOND]).await;
    let dns = server(dns_addresses(1, [FIRST])).await;
    let gateway = Setup::discovering(&format!("{NAME}:{}", staying.address().port()), dns.address()).start();
    comes_to_be_at(&gateway, &[FIRST]).await;
    let mut client = gateway.connect().await;
    client.send(GET).await;
    let (mut upstream, _) = staying.accept_request().await;
    upstream.send(ok("first")).await;
    assert_eq!(client.response().await.text(), "first");

    for ips in [&[FIRST, SECOND][..], &[FIRST]] {
        dns.set(NAME, Kind::A, dns_addresses(1, ips.iter().copied()));
        comes_to_be_at(&gateway, ips).await;
    }
    gateway.settled().await;
    client.send(GET).await;
    // On the connection that stood before.
    upstream.request().await;
    upstream.send(ok("second")).await;
    assert_eq!(client.response().await.text(), "second");
}
