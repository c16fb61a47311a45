use expect_test::{Expect, expect};

use super::*;
use crate::state::{EndpointState, Gateway};

fn replica(instance: &str, state: EndpointState) -> Endpoint {
    Endpoint {
        address: "127.0.0.1:41001".to_owned(),
        instance: Some(instance.to_owned()),
        state,
        reason: None,
        weight: 1,
        in_flight: 2,
        requests: 10_432,
        failures: 0,
        pid: Some(4711),
        restarts: 0,
        since_seconds: Some(7_300),
        revision: Some(1),
        cpu_millicores: None,
        memory_bytes: None,
        requests_per_second: None,
        last_output: Vec::new(),
    }
}

fn fixed(address: &str) -> Endpoint {
    let address = address.to_owned();
    Endpoint { address, instance: None, pid: None, ..replica("", EndpointState::Serving) }
}

fn service(name: &str, desired: Option<u32>, endpoints: Vec<Endpoint>) -> Service {
    Service {
        name: name.to_owned(),
        desired,
        serving: 1,
        endpoints,
        rollout: None,
        autoscale: None,
        limits_enforced: None,
    }
}

fn state(services: Vec<Service>) -> State {
    State {
        version: "0.1.0".to_owned(),
        uptime_seconds: 7_303,
        stopping: false,
        gateway: Gateway {
            listeners: vec!["0.0.0.0:8080".to_owned()],
            workers: 4,
            connections: 120,
            requests_in_flight: 5,
        },
        services,
    }
}

/// A service of replicas, one of which crashes again and again.
fn troubled() -> State {
    let crashing = Endpoint {
        reason: Some("exited with status 1, 5 times within 20 s; next start in 16 s".to_owned()),
        pid: None,
        restarts: 5,
        since_seconds: Some(42),
        ..replica("api-2", EndpointState::CrashLoop)
    };
    state(vec![service("api", Some(3), vec![replica("api-1", EndpointState::Serving), crashing])])
}

#[expect(clippy::needless_pass_by_value, reason = "a literal in each test")]
fn check(state: &State, width: usize, expected: Expect) {
    expected.assert_eq(&table(state, width));
}

#[test]
fn a_wide_terminal_shows_every_column() {
    check(
        &troubled(),
        120,
        expect![[r#"
        Phalanx 0.1.0 up 2h, 4 workers, 120 connections, 5 requests in flight
        listening on 0.0.0.0:8080
        api: 1 of 3 replicas serving

        SERVICE  INSTANCE  ADDRESS          STATE       IN-FLIGHT  REQUESTS  FAILURES  RESTARTS   PID  AGE
        api      api-1     127.0.0.1:41001  serving             2     10432         0         0  4711   2h
        api      api-2     127.0.0.1:41001  crash-loop          2     10432         0         5     -  42s

        api-2 crash-loop: exited with status 1, 5 times within 20 s; next start in 16 s
    "#]],
    );
}

#[test]
fn a_usual_terminal_shows_what_tells_most() {
    check(
        &troubled(),
        80,
        expect![[r#"
        Phalanx 0.1.0 up 2h, 4 workers, 120 connections, 5 requests in flight
        listening on 0.0.0.0:8080
        api: 1 of 3 replicas serving

        SERVICE  INSTANCE  ADDRESS          STATE       REQUESTS  FAILURES  RESTARTS
        api      api-1     127.0.0.1:41001  serving        10432         0         0
        api      api-2     127.0.0.1:41001  crash-loop     10432         0         5

        api-2 crash-loop: exited with status 1, 5 times within 20 s; next start in 16 s
    "#]],
    );
}

#[test]
fn a_narrow_terminal_shows_who_is_in_which_state() {
    check(
        &troubled(),
        40,
        expect![[r#"
        Phalanx 0.1.0 up 2h, 4 workers, 120
          connections, 5 requests in flight
        listening on 0.0.0.0:8080
        api: 1 of 3 replicas serving

        INSTANCE  ADDRESS          STATE
        api-1     127.0.0.1:41001  serving
        api-2     127.0.0.1:41001  crash-loop

        api-2 crash-loop: exited with status 1,
          5 times within 20 s; next start in 16
          s
    "#]],
    );
}

#[test]
fn fixed_endpoints_have_no_columns_of_processes() {
    let services = vec![service("billing", None, vec![fixed("10.0.1.10:3000"), fixed("10.0.1.11:3000")])];
    check(
        &state(services.clone()),
        120,
        expect![[r#"
        Phalanx 0.1.0 up 2h, 4 workers, 120 connections, 5 requests in flight
        listening on 0.0.0.0:8080
        billing: 1 of 2 endpoints serving

        SERVICE  ADDRESS         STATE    IN-FLIGHT  REQUESTS  FAILURES  AGE
        billing  10.0.1.10:3000  serving          2     10432         0   2h
        billing  10.0.1.11:3000  serving          2     10432         0   2h
    "#]],
    );
    check(
        &state(services),
        40,
        expect![[r#"
        Phalanx 0.1.0 up 2h, 4 workers, 120
          connections, 5 requests in flight
        listening on 0.0.0.0:8080
        billing: 1 of 2 endpoints serving

        SERVICE  ADDRESS         STATE
        billing  10.0.1.10:3000  serving
        billing  10.0.1.11:3000  serving
    "#]],
    );
}

#[test]
fn fixed_endpoints_among_replicas_have_gaps() {
    let services = vec![
        service("api", Some(1), vec![replica("api-1", EndpointState::Serving)]),
        service("billing", None, vec![fixed("10.0.1.10:3000")]),
    ];
    check(
        &state(services),
        120,
        expect![[r#"
        Phalanx 0.1.0 up 2h, 4 workers, 120 connections, 5 requests in flight
        listening on 0.0.0.0:8080
        api: 1 of 1 replicas serving
        billing: 1 of 1 endpoints serving

        SERVICE  INSTANCE  ADDRESS          STATE    IN-FLIGHT  REQUESTS  FAILURES  RESTARTS   PID  AGE
        api      api-1     127.0.0.1:41001  serving          2     10432         0         0  4711   2h
        billing  -         10.0.1.10:3000   serving          2     10432         0         -     -   2h
    "#]],
    );
}

#[test]
fn a_service_without_endpoints_has_a_summary_only() {
    check(
        &state(vec![service("api", Some(3), vec![])]),
        80,
        expect![[r#"
        Phalanx 0.1.0 up 2h, 4 workers, 120 connections, 5 requests in flight
        listening on 0.0.0.0:8080
        api: 1 of 3 replicas serving
    "#]],
    );
}

#[test]
fn text_from_elsewhere_cannot_steer_the_terminal() {
    let reason = Some("\x1b[2Jfine\r\n\u{202e}".to_owned());
    let services = vec![service("api", Some(1), vec![Endpoint { reason, ..fixed("10.0.1.10:3000\x07") }])];
    let text = table(&state(services), 80);
    assert!(text.chars().all(|character| character == '\n' || !character.is_control()), "{text:?}");
    assert!(text.contains(r"\u{1b}[2Jfine\r\n\u{202e}"), "{text}");
}

#[test]
fn ages_have_one_unit() {
    for (seconds, text) in
        [(0, "0s"), (59, "59s"), (60, "1m"), (3599, "59m"), (3600, "1h"), (86_399, "23h"), (86_400, "1d")]
    {
        assert_eq!(age(seconds), text);
    }
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for width in 40..200 {
        for line in table(&troubled(), width).lines() {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
    }
}
