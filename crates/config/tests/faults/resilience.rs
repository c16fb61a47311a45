//! What a service has against overload and bad endpoints.

use expect_test::expect;

use crate::support::{check_brief, check_service};

#[test]
fn limits() {
    check_service(
        "limits = { connections = 0, pending = 0 }",
        &expect![[r#"
        3:26 0 is out of range for `connections`
          write a number from 1 to 1000000
        3:39 0 is out of range for `pending`
          write a number from 1 to 1000000
    "#]],
    );
    check_service(
        "limits = 100",
        &expect![[r#"
        3:10 `limits` takes a table, not a whole number
          for example `limits = { connections = 100 }`
    "#]],
    );
    check_service(
        "limits = { conections = 100 }",
        &expect![[r#"
        3:12 unknown key `conections` in `service.api.limits`
          did you mean `connections`?
    "#]],
    );
}

#[test]
fn holds() {
    check_service(
        "hold = {}",
        &expect![[r#"
        no fault
    "#]],
    );
    check_service(
        r#"hold = { max = 0, timeout = "0s" }"#,
        &expect![[r#"
        3:16 0 is out of range for `max`
          write a number from 1 to 1000000
        3:29 "0s" leaves no time at all
          write a duration above zero
    "#]],
    );
    check_service(
        "hold = true",
        &expect![[r#"
        3:8 `hold` takes a table, not true or false
          for example `hold = { max = 100, timeout = "10s" }`
    "#]],
    );
}

#[test]
fn queues() {
    check_service(
        "queue = {}",
        &expect![[r#"
        no fault
    "#]],
    );
    check_service(
        r#"queue = { max = 0, timeout = "0s" }"#,
        &expect![[r#"
        3:17 0 is out of range for `max`
          write a number from 1 to 1000000
        3:30 "0s" leaves no time at all
          write a duration above zero
    "#]],
    );
    check_service(
        "queue = 100",
        &expect![[r#"
        3:9 `queue` takes a table, not a whole number
          for example `queue = { max = 100, timeout = "1s" }`
    "#]],
    );
    check_service(
        "queue = { max = 1_000_001, timeout = 1 }",
        &expect![[r#"
        3:17 1_000_001 is out of range for `max`
          write a number from 1 to 1000000
        3:38 `timeout` takes a duration, not a whole number
          add the unit: `timeout = "1s"`
    "#]],
    );
}

#[test]
fn adaptive_concurrency() {
    check_service(
        "adaptive_concurrency = {}",
        &expect![[r#"
        no fault
    "#]],
    );
    check_service(
        "adaptive_concurrency = { min = 20, max = 10 }",
        &expect![[r#"
        3:32 `min`, which is 20, is above `max`, which is 10
          lower `min`, or raise `max`
    "#]],
    );
    check_service(
        "adaptive_concurrency = { min = 1001 }",
        &expect![[r#"
        3:32 `min`, which is 1001, is above `max`, which is 1000
          lower `min`, or raise `max`
    "#]],
    );
    check_service(
        "adaptive_concurrency = { max = 7 }",
        &expect![[r#"
        3:32 `min`, which is 8, is above `max`, which is 7
          lower `min`, or raise `max`
    "#]],
    );
    check_service(
        "adaptive_concurrency = { min = 0, tolerance = 0.9 }",
        &expect![[r#"
        3:32 0 is out of range for `min`
          write a number from 1 to 1000000
        3:47 0.9 is out of range for `tolerance`
          write a number from 1 to 10
    "#]],
    );
    check_service(
        "adaptive_concurrency = { min = 5, max = 5, tolerance = 10.5 }",
        &expect![[r#"
        3:56 10.5 is out of range for `tolerance`
          write a number from 1 to 10
    "#]],
    );
}

#[test]
fn circuit_breakers() {
    check_service(
        "circuit_breaker = {}",
        &expect![[r#"
        no fault
    "#]],
    );
    check_service(
        r#"circuit_breaker = { error_rate = 0, volume = 0, window = "0s", open = "0s" }"#,
        &expect![[r#"
            3:34 0 is out of range for `error_rate`
              write a number above 0, at most 1
            3:46 0 is out of range for `volume`
              write a number from 1 to 1000000
            3:58 "0s" leaves no time at all
              write a duration above zero
            3:71 "0s" leaves no time at all
              write a duration above zero
        "#]],
    );
    check_service(
        "circuit_breaker = { error_rate = 1.01 }",
        &expect![[r#"
        3:34 1.01 is out of range for `error_rate`
          write a number above 0, at most 1
    "#]],
    );
    check_service(
        r#"circuit_breaker = { error_rate = "50%" }"#,
        &expect![[r#"
        3:34 `error_rate` takes a number, not text
          for example `error_rate = 0.5`
    "#]],
    );
    check_service(
        "circuit_breaker = { error_rate = 1 }",
        &expect![[r#"
        no fault
    "#]],
    );
}

#[test]
fn outlier_ejection() {
    check_service(
        "outlier_ejection = {}",
        &expect![[r#"
        no fault
    "#]],
    );
    check_service(
        r#"outlier_ejection = { error_rate = 0.0, latency_factor = 1, volume = 0, window = "0s", ejection = "0s", max_ejected = 1.1 }"#,
        &expect![[r#"
            3:35 0.0 is out of range for `error_rate`
              write a number above 0, at most 1
            3:57 1 is out of range for `latency_factor`
              write a number above 1, at most 1000
            3:69 0 is out of range for `volume`
              write a number from 1 to 1000000
            3:81 "0s" leaves no time at all
              write a duration above zero
            3:98 "0s" leaves no time at all
              write a duration above zero
            3:118 1.1 is out of range for `max_ejected`
              write a number from 0 to 1
        "#]],
    );
    check_service(
        "outlier_ejection = { latency_factor = 1000.5, max_ejected = -0.1 }",
        &expect![[r#"
        3:39 1000.5 is out of range for `latency_factor`
          write a number above 1, at most 1000
        3:61 -0.1 is out of range for `max_ejected`
          write a number from 0 to 1
    "#]],
    );
    check_service(
        "outlier_ejection = { latency_factor = 1.01, max_ejected = 0 }",
        &expect![[r#"
        no fault
    "#]],
    );
    check_service(
        "outlier_ejection = { latency_factor = inf, max_ejected = nan }",
        &expect![[r#"
        3:39 inf is out of range for `latency_factor`
          write a number above 1, at most 1000
        3:58 nan is out of range for `max_ejected`
          write a number from 0 to 1
    "#]],
    );
}

#[test]
fn slow_start() {
    check_service(
        r#"slow_start = "0s""#,
        &expect![[r#"
        no fault
    "#]],
    );
    check_service(
        "slow_start = 30",
        &expect![[r#"
        3:14 `slow_start` takes a duration, not a whole number
          add the unit: `slow_start = "30s"`
    "#]],
    );
}

#[test]
fn panic_threshold() {
    check_service(
        "panic_threshold = 0.5",
        &expect![[r#"
        3:19 `panic_threshold` has no effect without `active_health`
          remove it, or add `active_health = { path = "/ready" }`
    "#]],
    );
    check_service(
        "panic_threshold = 1.5\nactive_health = {}",
        &expect![[r#"
        3:19 1.5 is out of range for `panic_threshold`
          write a number from 0 to 1
    "#]],
    );
    check_service(
        "panic_threshold = 0\nactive_health = {}",
        &expect![[r#"
        no fault
    "#]],
    );
    check_brief(
        "[service.api]\ncommand = [\"a\"]\npanic_threshold = 0.5",
        &expect![[r#"
        3:19 `panic_threshold` has no effect without `active_health`
          remove it: what `probes` say of a replica is always believed
    "#]],
    );
    check_brief(
        "[service.api]\ndiscover = { dns = \"api:80\" }\npanic_threshold = 0.5",
        &expect![[r#"
        3:19 `panic_threshold` has no effect without `active_health`
          remove it, or add `active_health = { path = "/ready" }`
    "#]],
    );
}

#[test]
fn every_source_can_have_them() {
    check_service(
        "limits = {}\nqueue = {}\nhold = {}\nadaptive_concurrency = {}\ncircuit_breaker = {}\noutlier_ejection = {}\nslow_start = \"1s\"",
        &expect![[r#"
            no fault
        "#]],
    );
    check_brief(
        "[service.api]\ndiscover = { dns = \"api:80\" }\nlimits = {}\nqueue = {}\nhold = {}\nadaptive_concurrency = {}\ncircuit_breaker = {}\noutlier_ejection = {}\nslow_start = \"1s\"",
        &expect![[r#"
            no fault
        "#]],
    );
    check_brief(
        "[service.api]\ncommand = [\"a\"]\nlimits = {}\nqueue = {}\nhold = {}\nadaptive_concurrency = {}\ncircuit_breaker = {}\noutlier_ejection = {}\nslow_start = \"1s\"",
        &expect![[r#"
            no fault
        "#]],
    );
}
