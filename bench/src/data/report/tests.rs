use std::time::Duration;

use expect_test::expect;

use super::*;
use crate::{
    data::{
        restart::Interruption,
        timeline::{Reading, Span, Timeline},
    },
    load::Schedule,
    wrk::Errors,
};

fn measurements() -> Measurements {
    let schedule = Schedule { rounds: 3, warmup_seconds: 1, window_seconds: 4 };
    Measurements {
        schedule,
        tasks: 64,
        queries: Vec::new(),
        users: Vec::new(),
        replicas: Vec::new(),
        positions: Vec::new(),
        restarts: Vec::new(),
    }
}

fn tables(measurements: &Measurements) -> String {
    let whole = markdown(&Machine::of_tests(), measurements);
    whole[whole.find("\n\n`").or(whole.find("\n\nRe")).or(whole.find("\n\nThe")).unwrap() + 2..].to_owned()
}

fn served(requests: u64) -> Served {
    Served {
        requests,
        elapsed: Duration::from_secs(4),
        latency_p99: Duration::from_millis(5),
        errors: Errors::default(),
    }
}

#[test]
fn clients_are_compared_by_rate_and_cost() {
    let window = |kind, done, cpu_milliseconds| queries::Window {
        round: 1,
        kind,
        span: Span {
            done,
            failed: 1,
            elapsed: Duration::from_secs(4),
            cpu: Duration::from_millis(cpu_milliseconds),
        },
        database_cpu: Duration::from_secs(2),
        database_queries: 2 * done,
    };
    let queries = vec![
        window(Kind::Sqlx, 40_000, 1_200),
        window(Kind::Sqlx, 60_000, 1_200),
        window(Kind::Sqlx, 80_000, 1_200),
        window(Kind::SqlxUntested, 100_000, 2_000),
        window(Kind::Phalanx, 400_000, 2_000),
    ];
    expect![[r"
        `SELECT` by primary key, client and PostgreSQL on the same machine:

        | client | queries/s | client CPU µs/query | PostgreSQL CPU µs/query | errors |
        |---|--:|--:|--:|--:|
        | sqlx | 15000 (10000–20000) | 20.00 (15.00–30.00) | 16.7 | 3 |
        | sqlx, `test_before_acquire(false)` | 25000 (25000–25000) | 20.00 (20.00–20.00) | 10.0 | 1 |
        | phalanx-data | 100000 (100000–100000) | 5.00 (5.00–5.00) | 2.5 | 1 |
        | phalanx-data ÷ sqlx | 6.67 | 0.25 | | |
        | phalanx-data ÷ sqlx, `test_before_acquire(false)` | 4.00 | 0.25 | | |
    "]]
    .assert_eq(&tables(&Measurements { queries, ..measurements() }));
}

#[test]
fn services_are_compared_by_requests_per_cpu_second_of_both() {
    let window = |stack, requests, service, database| users::Window {
        round: 1,
        stack,
        served: served(requests),
        service_cpu: Duration::from_secs(service),
        database_cpu: Duration::from_secs(database),
    };
    let users = vec![
        window(Stack::Express, 10_000, 4, 1),
        window(Stack::ExpressRaw, 10_000, 3, 1),
        window(Stack::Phalanx, 80_000, 2, 2),
    ];
    expect![[r#"
        `GET /api/users/{id}` over one PostgreSQL; CPU time of the service and of the database together:

        | service | requests per CPU second | service CPU µs/request | PostgreSQL CPU µs/request | requests/s | p99 ms | errors |
        |---|--:|--:|--:|--:|--:|--:|
        | Express + Sequelize | 2000 (2000–2000) | 400.0 | 100.0 | 2500 | 5.00 | 0 |
        | Express + Sequelize, `raw: true` | 2500 (2500–2500) | 300.0 | 100.0 | 2500 | 5.00 | 0 |
        | reference API | 20000 (20000–20000) | 25.0 | 25.0 | 20000 | 5.00 | 0 |
        | reference API ÷ Express + Sequelize | 10.00 | | | 8.00 | | |
        | reference API ÷ Express + Sequelize, `raw: true` | 8.00 | | | 8.00 | | |
    "#]]
    .assert_eq(&tables(&Measurements { users, ..measurements() }));
}

#[test]
fn connections_are_the_most_of_all_rounds() {
    let window = |round, connections, connections_since_start| replicas::Window {
        round,
        replicas: 50,
        served: served(40_000),
        connections,
        connections_since_start,
    };
    let replicas = vec![window(1, 151, 190), window(2, 150, 190)];
    expect![[r"
        Replicas of the reference API behind one gateway, all over one primary:

        | replicas | requests/s | connections under load, at most | connections since the start, at most | errors |
        |--:|--:|--:|--:|--:|
        | 50 | 10000 (10000–10000) | 151 | 190 | 0 |
    "]]
    .assert_eq(&tables(&Measurements { replicas, ..measurements() }));
}

#[test]
fn reads_are_compared_with_and_without_a_position() {
    let window = |reads, requests| positions::Window {
        round: 1,
        reads,
        served: served(requests),
        service_cpu: Duration::from_secs(2),
        databases_cpu: Duration::from_secs(4),
    };
    let positions = vec![window(Reads::Eventual, 100_000), window(Reads::OwnWrites, 80_000)];
    expect![[r"
        Reads over a primary and two replicas, with and without the position of a write just before the window:

        | reads with | requests/s | API CPU µs/request | PostgreSQL CPU µs/request | errors |
        |---|--:|--:|--:|--:|
        | no token | 25000 (25000–25000) | 20.00 | 40.00 | 0 |
        | Phalanx-Position | 20000 (20000–20000) | 25.00 | 50.00 | 0 |
        | with ÷ without | 0.800 | 1.250 | 1.250 | |
    "]]
    .assert_eq(&tables(&Measurements { positions, ..measurements() }));
}

#[test]
fn an_interruption_is_summed_up_and_shown_tick_by_tick() {
    let ticks = [100, 100, 30, 0, 0, 95, 100, 100];
    let reading = |end: usize| Reading {
        at_us: 1_000_000 + 100_000 * end as u64,
        done: ticks[..end].iter().sum(),
        failed: if end > 3 { 64 } else { 0 },
        cpu_us: 0,
        fault: None,
    };
    let readings: Vec<Reading> = (0..=ticks.len()).map(reading).collect();
    let restarts = vec![restart::Run {
        load: Kind::Phalanx,
        interruption: Interruption::Kill,
        away: Duration::from_millis(310),
        timeline: Timeline::around(&readings, 1_230_000),
        fault: None,
    }];
    let shown = tables(&Measurements { restarts, ..measurements() });
    let shown: Vec<&str> = shown.lines().take(19).collect();
    expect![[r#"
        The database taken away under load. "Away" is until it took connections again; all times count from the beginning.

        | load | database | away s | queries that failed | last failure after s | nine tenths of the rate after s | rate before | rate at the end |
        |---|---|--:|--:|--:|--:|--:|--:|
        | phalanx-data | kill -9 | 0.31 | 64 | 0.2 | 0.4 | 1000 | 625 |

        What was answered in each tenth of a second, and after the cross what failed:

        | from s | phalanx-data, kill -9 |
        |--:|--:|
        | -0.5 |  |
        | -0.4 |  |
        | -0.3 |  |
        | -0.2 | 100 |
        | -0.1 | 100 |
        | 0.0 | 30 |
        | 0.1 | 0 ✗64 |
        | 0.2 | 0 |
        | 0.3 | 95 |"#]]
    .assert_eq(&shown.join("\n"));
}
