use std::collections::BTreeMap;

use expect_test::expect;

use super::*;
use crate::{
    half_rate::Latency,
    wrk::{Errors, Served},
};

fn served(requests: u64) -> Served {
    Served {
        requests,
        elapsed: Duration::from_secs(2),
        latency_p99: Duration::from_millis(1),
        errors: Errors::default(),
    }
}

#[test]
fn every_row_of_the_profile_stands_beside_what_it_is_compared_with() {
    let window = |row, micros: u64| profile::Window {
        round: 1,
        row,
        served: served(1_000),
        service_cpu: Duration::from_micros(micros * 1_000),
        database_cpu: Duration::from_micros(9_000),
    };
    let cost = |row: Row| match row {
        Row::Open(_) => 10,
        Row::Profile(..) => 12,
        Row::Express(_) => 240,
    };
    let windows: Vec<_> = profile::rows().into_iter().map(|row| window(row, cost(row))).collect();
    expect![[r#"

        `GET /api/profile` over one PostgreSQL, and the same read without a token (`GET /api/users/{id}`):

        | service | service CPU µs/request | PostgreSQL CPU µs/request | requests/s | errors |
        |---|--:|--:|--:|--:|
        | reference API, no token, HTTP/1.1 | 10.00 (10.00–10.00) | 9.0 | 500 | 0 |
        | reference API, HS256, HTTP/1.1 | 12.00 (12.00–12.00) | 9.0 | 500 | 0 |
        | reference API, ES256, HTTP/1.1 | 12.00 (12.00–12.00) | 9.0 | 500 | 0 |
        | reference API, EdDSA, HTTP/1.1 | 12.00 (12.00–12.00) | 9.0 | 500 | 0 |
        | reference API, no token, h2c | 10.00 (10.00–10.00) | 9.0 | 500 | 0 |
        | reference API, HS256, h2c | 12.00 (12.00–12.00) | 9.0 | 500 | 0 |
        | reference API, ES256, h2c | 12.00 (12.00–12.00) | 9.0 | 500 | 0 |
        | reference API, EdDSA, h2c | 12.00 (12.00–12.00) | 9.0 | 500 | 0 |
        | Express, HS256, HTTP/1.1 | 240.00 (240.00–240.00) | 9.0 | 500 | 0 |
        | Express, ES256, HTTP/1.1 | 240.00 (240.00–240.00) | 9.0 | 500 | 0 |
        | HS256 ÷ no token, HTTP/1.1 | 1.20 | | | |
        | ES256 ÷ no token, HTTP/1.1 | 1.20 | | | |
        | EdDSA ÷ no token, HTTP/1.1 | 1.20 | | | |
        | HS256 ÷ no token, h2c | 1.20 | | | |
        | ES256 ÷ no token, h2c | 1.20 | | | |
        | EdDSA ÷ no token, h2c | 1.20 | | | |
        | Express ÷ reference API over HTTP/1.1, HS256 | 20.0 | | | |
        | Express ÷ reference API over h2c, HS256 | 20.0 | | | |
        | Express ÷ reference API over HTTP/1.1, ES256 | 20.0 | | | |
        | Express ÷ reference API over h2c, ES256 | 20.0 | | | |"#]]
    .assert_eq(&profile_table(&windows).join("\n"));
    assert!(profile_table(&[]).is_empty());
}

#[test]
fn the_flood_is_compared_with_its_absence() {
    let window = |flood, p99: u64, logins| flood::Window {
        round: 1,
        flood,
        latency: Latency {
            p50: Duration::from_millis(1),
            p99: Duration::from_millis(p99),
            p999: Duration::ZERO,
        },
        lateness_p99: Duration::from_micros(50),
        errors: 0,
        logins,
    };
    let windows = [window(Flood::None, 2, None), window(Flood::Logins, 3, Some(served(100)))];
    expect![[r#"

        `GET /api/profile` at 500 requests/s, one replica with embedded storage, with and without a flood of logins over 64 connections:

        | load | p50 ms | p99 ms | the load generator's own lateness, p99 ms | errors | logins answered/s | logins refused |
        |---|--:|--:|--:|--:|--:|--:|
        | profiles alone | 1.00 | 2.00 (2.00–2.00) | 0.05 | 0 |  |  |
        | profiles under a flood of logins | 1.00 | 3.00 (3.00–3.00) | 0.05 | 0 | 50 | 0 |
        | with ÷ without | | 1.50 | | | | |"#]].assert_eq(&flood_table(&windows).join("\n"));
}

#[test]
fn runs_are_told_with_their_extremes() {
    let run = refresh::Run {
        rounds: 10,
        at_once: 50,
        answers: BTreeMap::from([(200, 499), (503, 1)]),
        rounds_of_one_successor: 10,
        logouts: 0,
        elapsed: Duration::from_secs(3),
    };
    expect![[r#"

        Refreshes of one token at once, through the gateway to three replicas over one PostgreSQL:

        | rounds | at once | answers by status | rounds with one and the same successor | false logouts | seconds |
        |--:|--:|---|--:|--:|--:|
        | 10 | 50 | 499 × 200, 1 × 503 | 10 | 0 | 3 |"#]].assert_eq(&refresh_table(&run).join("\n"));
    let times: Vec<_> = (1..=200).map(Duration::from_millis).collect();
    let run = revocation::Run { at_gateway: times[..100].to_vec(), everywhere: times };
    expect![[r#"

        From the answer to a logout until its access token is refused, three replicas and a gateway that verifies, one Redis:

        | verifiers | logouts | p50 ms | p99 ms | longest ms |
        |---|--:|--:|--:|--:|
        | all four | 200 | 100.0 | 198.0 | 200.0 |
        | the gateway | 100 | 50.0 | 99.0 | 100.0 |"#]].assert_eq(&revocation_table(&run).join("\n"));
}
