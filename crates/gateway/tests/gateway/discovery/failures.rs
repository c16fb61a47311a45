//! What DNS fails to tell stays as it was told last (row B18 of the table of bad inputs).

use super::{GET, NAME, PORT, discovered, ip, server};
use crate::support::{
    DnsReply, DnsServer, Kind, NO_DATA, NO_SUCH_NAME, SERVER_FAILURE, Setup, TestGateway, dns_addresses,
    eventually,
};

/// Waits until DNS has failed in these ways one after the other, and checks that the endpoints stay; then it recovers.
async fn check(kept: &[DnsReply]) {
    let (dns, gateway) = discovered(&[1, 2]).await;
    for reply in kept {
        let before = gateway.discovery_failures();
        for kind in [Kind::A, Kind::Aaaa] {
            dns.set(NAME, kind, reply.clone());
        }
        eventually(&format!("{reply:?}"), || gateway.discovery_failures() > before).await;
        assert!(gateway.has(&[ip(1), ip(2)]), "{reply:?}: {:?}", gateway.discovered());
    }
    dns.set(NAME, Kind::A, dns_addresses(1, [ip(2)]));
    dns.set(NAME, Kind::Aaaa, NO_DATA);
    gateway.comes_to_have(&[ip(2)]).await;
}

#[tokio::test]
async fn a_name_that_has_gone_keeps_its_endpoints() {
    check(&[NO_SUCH_NAME]).await;
}

#[tokio::test]
async fn an_empty_answer_changes_nothing() {
    check(&[NO_DATA]).await;
}

#[tokio::test]
async fn a_server_that_fails_changes_nothing() {
    check(&[SERVER_FAILURE, DnsReply::Code(5)]).await;
}

#[tokio::test]
async fn a_server_that_does_not_answer_changes_nothing() {
    check(&[DnsReply::Silence]).await;
}

#[tokio::test]
async fn garbage_changes_nothing() {
    let mut random = fastrand::Rng::with_seed(3);
    let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(300).collect();
    // A response with records that are not there, and a name that points at itself.
    let short = vec![0x81, 0x80, 0, 1, 0, 9, 0, 0, 0, 0];
    let endless = [&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0][..], &[0xc0, 0x0c, 0, 1, 0, 1]].concat();
    for bytes in [noise, short, endless] {
        check(&[DnsReply::Bytes(bytes)]).await;
    }
}

#[tokio::test]
async fn a_family_that_fails_keeps_its_addresses_while_the_other_changes() {
    let (dns, gateway) = discovered(&[1]).await;
    dns.set(NAME, Kind::Aaaa, dns_addresses(1, ["::7".parse::<std::net::IpAddr>().unwrap()]));
    gateway.comes_to_have(&[ip(1), "::7".parse().unwrap()]).await;
    dns.set(NAME, Kind::Aaaa, SERVER_FAILURE);
    dns.set(NAME, Kind::A, dns_addresses(1, [ip(2)]));
    gateway.comes_to_have(&[ip(2), "::7".parse().unwrap()]).await;
    // It is counted when the plan has been carried out, which the workers have to confirm.
    eventually("the failure", || gateway.discovery_failures() > 0).await;
}

async fn is_unavailable(gateway: &TestGateway) {
    let answer = gateway.exchange(GET).await;
    assert_eq!((answer.status(), answer.field("retry-after")), (503, Some("1")));
}

#[tokio::test]
async fn until_the_first_good_answer_there_are_no_endpoints() {
    let dns = server(SERVER_FAILURE).await;
    let gateway = Setup::discovering(&format!("{NAME}:{PORT}"), dns.address()).start();
    is_unavailable(&gateway).await;
    eventually("a failure", || gateway.discovery_failures() > 0).await;
    is_unavailable(&gateway).await;
    dns.set(NAME, Kind::A, dns_addresses(1, [ip(1)]));
    gateway.comes_to_have(&[ip(1)]).await;
}

#[tokio::test]
async fn a_server_that_is_down_at_the_start_is_asked_until_it_is_up() {
    let address = DnsServer::start().await.stop().await;
    let gateway = Setup::discovering(&format!("{NAME}:{PORT}"), address).start();
    eventually("a failure", || gateway.discovery_failures() > 0).await;
    let dns = DnsServer::start_at(address).await;
    dns.set(NAME, Kind::A, dns_addresses(1, [ip(1)]));
    dns.set(NAME, Kind::Aaaa, NO_DATA);
    gateway.comes_to_have(&[ip(1)]).await;
}
