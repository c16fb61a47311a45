//! Who a request is from when it comes through a proxy: what that says counts only if it is trusted (H11, H12).

use super::{Case, check_behind, passed, request};
use crate::support::{IDS, Message, Recorder, Setup};

const TRUSTING: &str = "trusted_proxies = [\"127.0.0.0/8\", \"10.0.0.0/8\", \"fd00::/8\"]";

/// What an origin is told.
struct Told<'a> {
    hops: &'a str,
    client: &'a str,
    scheme: &'a str,
    host: &'a str,
}

const OF_THE_PEER: Told<'_> = Told { hops: "127.0.0.1", client: "127.0.0.1", scheme: "http", host: "a" };

fn told(id: &'static str, fields: &str, told: &Told<'_>) -> Case {
    let Told { hops, client, scheme, host } = told;
    let head = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {hops}\r\nX-Real-IP: {client}\r\n\
         X-Forwarded-Proto: {scheme}\r\nX-Forwarded-Host: {host}\r\n{IDS}\r\n"
    );
    passed(id, request("GET /", fields, ""), Message::new(head, ""))
}

fn through(id: &'static str, fields: &str, hops: &str) -> Case {
    let client = hops.split(',').next().unwrap();
    told(id, fields, &Told { hops, client, ..OF_THE_PEER })
}

#[tokio::test]
async fn the_client_is_the_rightmost_address_that_is_no_trusted_proxy() {
    let from = |list: &str| format!("X-Forwarded-For: {list}\r\n");
    check_behind(
        |origin| Setup::fronting(&[origin.address()]).gateway(TRUSTING),
        [
            through("H12", "", "127.0.0.1"),
            through("H12", &from("192.0.2.1"), "192.0.2.1, 127.0.0.1"),
            through("H12", &from("6.6.6.6, 192.0.2.1, 10.0.0.2"), "192.0.2.1, 10.0.0.2, 127.0.0.1"),
            through(
                "H12",
                &format!("{}{}", from("6.6.6.6, 192.0.2.1"), from("10.0.0.2,fd00::1")),
                "192.0.2.1, 10.0.0.2, fd00::1, 127.0.0.1",
            ),
            through(
                "H12",
                &from("6.6.6.6, [2001:db8::1]:443, 10.0.0.2:80"),
                "2001:db8::1, 10.0.0.2, 127.0.0.1",
            ),
            through("H12", &from("192.0.2.1, unknown, 10.0.0.2"), "10.0.0.2, 127.0.0.1"),
            through("H12", &from("192.0.2.1, proxy.example"), "127.0.0.1"),
            through("H12", &from("<script>, 192.0.2.1 10.0.0.1"), "127.0.0.1"),
            through("H12", &from(&"192.0.2.9, ".repeat(500)), "192.0.2.9, 127.0.0.1"),
            through("H12", &from("10.0.0.3, 10.0.0.2"), "10.0.0.3, 10.0.0.2, 127.0.0.1"),
            through(
                "H14",
                &format!("Connection: X-Forwarded-For\r\n{}", from("192.0.2.1")),
                "192.0.2.1, 127.0.0.1",
            ),
            through("H13", "X_Forwarded_For: 192.0.2.1\r\n", "127.0.0.1"),
            through(
                "H11",
                "Forwarded: for=192.0.2.1;proto=https;host=b\r\nX-Real-IP: 192.0.2.1\r\n",
                "127.0.0.1",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_long_chain_of_trusted_proxies_is_believed_up_to_a_bound() {
    let all = (0..60).map(|index| format!("10.0.0.{index}")).collect::<Vec<_>>();
    let fields = format!("X-Forwarded-For: 192.0.2.1, {}\r\n", all.join(", "));
    let believed = format!("{}, 127.0.0.1", all[10..].join(", "));
    check_behind(
        |origin| Setup::fronting(&[origin.address()]).gateway(TRUSTING),
        [through("H12", &fields, &believed)],
    )
    .await;
}

#[tokio::test]
async fn a_trusted_proxy_tells_scheme_and_host() {
    check_behind(
        |origin| Setup::fronting(&[origin.address()]).gateway(TRUSTING),
        [
            told(
                "H12",
                "X-Forwarded-Proto: https\r\nX-Forwarded-Host: b.example:444\r\nX-Forwarded-Port: 1\r\n",
                &Told { scheme: "https", host: "b.example:444", ..OF_THE_PEER },
            ),
            told("H12", "X-Forwarded-Proto: gopher\r\nX-Forwarded-Host: b/c\r\n", &OF_THE_PEER),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_anybody_else_says_is_replaced() {
    let said = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: b\r\n\
                X-Real-IP: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\n";
    for trusted in ["trusted_proxies = []", "trusted_proxies = [\"10.0.0.0/8\", \"127.0.0.2\"]"] {
        check_behind(
            |origin| Setup::fronting(&[origin.address()]).gateway(trusted),
            [told("H11", said, &OF_THE_PEER)],
        )
        .await;
    }
}

#[tokio::test]
async fn the_client_and_not_its_proxy_is_balanced() {
    let origins = [Recorder::start().await, Recorder::start().await];
    let addresses = origins.each_ref().map(Recorder::address);
    let gateway = Setup::fronting(&addresses).service("balance = \"ip_hash\"").gateway(TRUSTING).start();
    // One connection carries them all.
    let mut proxy = gateway.connect().await;
    for round in 1..=2 {
        for client in 0..32 {
            let fields = format!("X-Forwarded-For: 6.6.6.6, 192.0.2.{client}\r\n");
            assert_eq!(proxy.exchange(request("GET /", &fields, "")).await.status(), 200);
        }
        let counts = origins.each_ref().map(Recorder::request_count);
        assert_eq!(counts[0] + counts[1], 32 * round);
        assert!(counts[0] > 0 && counts[1] > 0, "{counts:?}");
    }
    for origin in &origins {
        let mut clients = origin.requests();
        let later = clients.split_off(clients.len() / 2);
        assert_eq!(clients, later, "each client comes to the same endpoint");
    }
}
