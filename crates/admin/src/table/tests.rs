use expect_test::{Expect, expect};

use super::*;
use crate::state::{Autoscale, EndpointState, Gateway, Revision};

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

/// A service that is rolled out and scaled, of which more is known.
fn changing() -> State {
    let used = |instance: &str| Endpoint {
        cpu_millicores: Some(420),
        memory_bytes: Some(210 << 20),
        requests_per_second: Some(310.4),
        ..replica(instance, EndpointState::Serving)
    };
    let crashing = Endpoint {
        reason: Some("exited with status 1; starts again in 16 s".to_owned()),
        last_output: vec!["Error: no database".to_owned(), "    at connect (server.js:7:9)".to_owned()],
        ..replica("api-2", EndpointState::CrashLoop)
    };
    let rollout = Rollout {
        revision: 5,
        status: "progressing".to_owned(),
        reason: "revision 5: held: 1 new not available; 0/3 new available, 1 old".to_owned(),
        updated: 1,
        available: 1,
        total: 2,
        history: vec![
            Revision { revision: 4, change: "node server.js (the first)".to_owned(), is_current: false },
            Revision { revision: 5, change: "node server.js (env.KEY)".to_owned(), is_current: true },
        ],
    };
    let autoscale = Autoscale {
        desired: 3,
        reason: "held at 3: cooling down for 12s".to_owned(),
        age_seconds: 4,
        metrics: Vec::new(),
    };
    state(vec![Service {
        rollout: Some(rollout),
        autoscale: Some(autoscale),
        limits_enforced: Some(false),
        ..service("api", Some(3), vec![used("api-1"), crashing])
    }])
}

#[test]
fn a_rollout_a_decision_and_what_is_used_are_shown() {
    check(
        &changing(),
        140,
        expect![[r#"
        Phalanx 0.1.0 up 2h, 4 workers, 120 connections, 5 requests in flight
        listening on 0.0.0.0:8080
        api: 1 of 3 replicas serving
          rollout progressing: revision 5: held: 1 new not available; 0/3 new available, 1 old
          autoscaler, 4s ago: held at 3: cooling down for 12s
          limits are not enforced: see the log

        SERVICE  INSTANCE  ADDRESS          STATE        CPU  MEMORY  REQ/S  IN-FLIGHT  REQUESTS  FAILURES  RESTARTS   PID  AGE
        api      api-1     127.0.0.1:41001  serving     420m  210MiB    310          2     10432         0         0  4711   2h
        api      api-2     127.0.0.1:41001  crash-loop     -       -      -          2     10432         0         0  4711   2h

        api-2 crash-loop: exited with status 1; starts again in 16 s
          Error: no database
          at connect (server.js:7:9)
    "#]],
    );
}

#[test]
fn the_same_fits_a_narrow_terminal() {
    check(
        &changing(),
        40,
        expect![[r#"
        Phalanx 0.1.0 up 2h, 4 workers, 120
          connections, 5 requests in flight
        listening on 0.0.0.0:8080
        api: 1 of 3 replicas serving
          rollout progressing: revision 5: held:
            1 new not available; 0/3 new
            available, 1 old
          autoscaler, 4s ago: held at 3: cooling
            down for 12s
          limits are not enforced: see the log

        INSTANCE  ADDRESS          STATE
        api-1     127.0.0.1:41001  serving
        api-2     127.0.0.1:41001  crash-loop

        api-2 crash-loop: exited with status 1;
          starts again in 16 s
          Error: no database
          at connect (server.js:7:9)
    "#]],
    );
}

#[test]
fn a_rollout_is_shown_with_its_revisions() {
    let service = changing().services.remove(0);
    expect![[r#"
        api is progressing: revision 5: held: 1 new not available; 0/3 new available, 1
          old
        1 of 2 replicas are of revision 5, 1 of 3 wanted are available

        - 4 node server.js (the first)
        * 5 node server.js (env.KEY)
    "#]]
    .assert_eq(&rollout(&service, 80));
    expect![[r#"
        api is progressing: revision 5: held: 1
          new not available; 0/3 new available,
          1 old
        1 of 2 replicas are of revision 5, 1 of
          3 wanted are available

        - 4 node server.js (the first)
        * 5 node server.js (env.KEY)
    "#]]
    .assert_eq(&rollout(&service, 40));
    assert_eq!(rollout(&self::service("fixed", None, Vec::new()), 80), "");
}

#[test]
fn amounts_are_short() {
    for (bytes, text) in
        [(0, "0KiB"), (1 << 19, "512KiB"), (1 << 20, "1MiB"), (9999 << 20, "9999MiB"), (12 << 30, "12GiB")]
    {
        assert_eq!(memory(bytes), text);
    }
    for (per_second, text) in
        [(0.0, "0.0"), (0.14, "0.1"), (9.94, "9.9"), (10.4, "10"), (123_456.7, "123457")]
    {
        assert_eq!(rate(per_second), text);
    }
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
        for state in [troubled(), changing()] {
            for line in table(&state, width).lines() {
                assert!(line.chars().count() <= width, "{width}: {line}");
            }
        }
    }
}
