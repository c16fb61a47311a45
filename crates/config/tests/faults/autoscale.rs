//! `autoscale` of a service, and a file of its own.

use expect_test::{Expect, expect};
use phalanx_config::{Config, Source, parse_autoscale};

use crate::support::{check_brief, parse, render};

/// Those of a service with these keys of an autoscaler, which requests CPU and memory.
fn check_autoscale(keys: &str, faults: &Expect) {
    let resources = "resources = { cpu = \"500m\", memory = \"64MiB\" }";
    check_brief(
        &format!("[service.api]\ncommand = [\"server\"]\n{resources}\n[service.api.autoscale]\n{keys}"),
        faults,
    );
}

#[test]
fn sound_ones() {
    for keys in [
        "max = 1",
        "min = 3\nmax = 3",
        "min = 1\nmax = 1000\nmode = \"kubernetes\"\ninterval = \"1h\"\ntolerance = 0",
        "max = 2\nscale_up = {}\nscale_down = { select = \"disabled\", policies = [] }",
        "max = 2\nscale_up = { stabilization = \"1h\", policies = [{ percent = 1, period = \"30m\" }, { replicas = 1, period = \"1s\" }], tolerance = 0 }",
        "min = 0\nmax = 2\nmode = \"fast\"\nscale_to_zero_after = \"60s\"",
        "max = 2\nmode = \"fast\"\nstable_window = \"6s\"",
        "max = 2\nmode = \"fast\"\nstable_window = \"1h\"\npanic_window = \"1h\"\npanic_threshold = 10",
        "max = 2\nmetrics = [{ cpu_percent = 1 }, { memory_percent = 1 }, { requests_per_second = 0.001 }, { in_flight = 1 }]",
    ] {
        check_autoscale(
            keys,
            &expect![[r#"
                no fault
            "#]],
        );
    }
}

#[test]
fn bounds() {
    check_autoscale(
        "",
        &expect![[r#"
        4:1 this autoscaler has no `max`
          add the most replicas that there may be: `max = 10`
    "#]],
    );
    check_autoscale(
        "min = 5\nmax = 4",
        &expect![[r#"
        5:7 `min`, which is 5, is above `max`, which is 4
          lower `min`, or raise `max`
    "#]],
    );
    check_autoscale(
        "min = 1001\nmax = 0",
        &expect![[r#"
        5:7 1001 is out of range for `min`
          write a number from 0 to 1000
        6:7 0 is out of range for `max`
          write a number from 1 to 1000
    "#]],
    );
    check_autoscale(
        "min = 0\nmax = 4",
        &expect![[r#"
        5:7 `min = 0` needs `mode = "fast"`
          add `mode = "fast"`, or write `min = 1`: by the rules of Kubernetes nothing is measured of a service without replicas, so nothing would bring it back
    "#]],
    );
    check_autoscale(
        "min = 0\nmax = 4\nmode = \"fats\"",
        &expect![[r#"
        7:8 "fats" is no choice for `mode`
          write one of "kubernetes", "fast"
    "#]],
    );
    check_autoscale(
        "max = 4\nmaxx = 5\ninterval = \"0s\"",
        &expect![[r#"
        6:1 unknown key `maxx` in `service.api.autoscale`
          did you mean `max`?
        7:12 "0s" is out of range
          write a duration from 1s to 3600s
    "#]],
    );
    check_autoscale(
        "max = 4\ninterval = \"61m\"",
        &expect![[r#"
        6:12 "61m" is out of range
          write a duration from 1s to 3600s
    "#]],
    );
    check_autoscale(
        "max = 4\ninterval = 15",
        &expect![[r#"
        6:12 `interval` takes a duration, not a whole number
          add the unit: `interval = "15s"`
    "#]],
    );
}

#[test]
fn metrics() {
    check_autoscale(
        "max = 4\nmetrics = []",
        &expect![[r#"
        6:11 there is no metric to decide by
          write one, as `metrics = [{ requests_per_second = 100 }]`
    "#]],
    );
    check_autoscale(
        "max = 4\nmetrics = [{}, { cpu_percent = 1, in_flight = 1 }, { in_flight = 2 }, { in_flight = 3 }]",
        &expect![[r#"
            6:12 this metric has no target
              write one of `cpu_percent`, `memory_percent`, `requests_per_second` and `in_flight`
            6:16 a metric has one key
              write an item for each: the one that asks for most wins
            6:71 `in_flight` is a metric twice
              remove one of the two
        "#]],
    );
    check_autoscale(
        "max = 4\nmetrics = [{ cpu_percent = 0 }, { requests_per_second = -1 }, { in_flight = nan }, { cpu = 70 }]",
        &expect![[r#"
            6:28 0 is out of range for `cpu_percent`
              write a number from 1 to 10000
            6:57 -1 is out of range for `requests_per_second`
              write a number from 0.001 to 1000000000
            6:77 nan is out of range for `in_flight`
              write a number from 0.001 to 1000000000
            6:86 unknown key `cpu` in `service.api.autoscale.metrics`
              did you mean `cpu_percent`?
        "#]],
    );
    check_autoscale(
        "max = 4\nmode = \"fast\"\nmetrics = [{ cpu_percent = 70 }]",
        &expect![[r#"
        7:12 `cpu_percent` needs `mode = "kubernetes"`
          go by `in_flight` or `requests_per_second`: a share of what replicas request says nothing within seconds
    "#]],
    );
}

#[test]
fn shares_need_requests() {
    let check = |keys: &str, faults: &Expect| {
        check_brief(&format!("[service.api]\ncommand = [\"server\"]\n{keys}"), faults);
    };
    check(
        "autoscale = { max = 4 }",
        &expect![[r#"
        3:13 an autoscaler without `metrics` goes by `cpu_percent = 80`, and this service requests no `cpu`
          add `resources = { cpu = "500m" }` to the service, or go by `requests_per_second` or `in_flight`
    "#]],
    );
    check(
        "resources = { cpu = \"1\" }\nautoscale = { max = 4, metrics = [{ cpu_percent = 70 }, { memory_percent = 70 }] }",
        &expect![[r#"
            4:57 `memory_percent` is a share of what a replica requests, and this service requests no `memory`
              add `resources = { memory = "512MiB" }` to the service, or go by `requests_per_second` or `in_flight`
        "#]],
    );
    check(
        "resources = { cpu = \"much\" }\nautoscale = { max = 4, metrics = [{ cpu_percent = 70 }] }",
        &expect![[r#"
            3:21 "much" is not an amount of CPU
              write cores, as "1" or "0.5", or thousandths of a core, as "500m"
        "#]],
    );
    check(
        "resources = { cup = \"1\" }\nautoscale = { max = 4 }",
        &expect![[r#"
        3:15 unknown key `cup` in `service.api.resources`
          did you mean `cpu`?
    "#]],
    );
    check(
        "autoscale = { max = 4, mode = \"fast\" }",
        &expect![[r#"
        no fault
    "#]],
    );
    check(
        "autoscale = { max = 4, metrics = [{ requests_per_second = 9 }] }",
        &expect![[r#"
        no fault
    "#]],
    );
}

#[test]
fn rules() {
    check_autoscale(
        "max = 4\nscale_up = { policies = [] }\nscale_down = { policies = [] }",
        &expect![[r#"
            6:25 without a policy nothing scales up
              add one, as `{ replicas = 4, period = "60s" }`; or, if that is what is meant, `select = "disabled"`
            7:27 without a policy nothing scales down
              add one, as `{ replicas = 4, period = "60s" }`; or, if that is what is meant, `select = "disabled"`
        "#]],
    );
    check_autoscale(
        "max = 4\nscale_up = { policies = [{}, { percent = 1, replicas = 1, period = \"1s\" }, { replicas = 0, period = \"0s\" }, { percent = 10, period = \"31m\" }] }",
        &expect![[r#"
            6:26 this policy allows nothing
              add `replicas = 4` or `percent = 50`
            6:26 this policy has no `period`
              add `period = "60s"`
            6:30 a policy has either `percent` or `replicas`
              write a policy for each: `select` says which of them holds
            6:89 0 is out of range for `replicas`
              write a number from 1 to 1000
            6:101 "0s" is out of range
              write a duration from 1s to 1800s
            6:134 "31m" is out of range
              write a duration from 1s to 1800s
        "#]],
    );
    check_autoscale(
        "max = 4\ntolerance = -0.1\nscale_down = { stabilization = \"2h\", select = \"most\", tolerance = nan }",
        &expect![[r#"
            6:13 -0.1 is out of range for `tolerance`
              write a number from 0 to 10
            7:32 "2h" is out of range
              write a duration from 0ns to 3600s
            7:47 "most" is no choice for `select`
              write one of "max", "min", "disabled"
            7:67 nan is out of range for `tolerance`
              write a number from 0 to 10
        "#]],
    );
}

#[test]
fn keys_of_one_mode() {
    check_autoscale(
        "max = 4\nstable_window = \"60s\"\npanic_window = \"6s\"\npanic_threshold = 2\nscale_to_zero_after = \"90s\"",
        &expect![[r#"
            6:17 `stable_window` has no effect without `mode = "fast"`
              remove it, or add `mode = "fast"`
            7:16 `panic_window` has no effect without `mode = "fast"`
              remove it, or add `mode = "fast"`
            8:19 `panic_threshold` has no effect without `mode = "fast"`
              remove it, or add `mode = "fast"`
            9:23 `scale_to_zero_after` has no effect without `mode = "fast"`
              remove it, or add `mode = "fast"`
        "#]],
    );
    check_autoscale(
        "max = 4\nmode = \"fast\"\ntolerance = 0.1\nscale_up = {}\nscale_down = {}",
        &expect![[r#"
            7:13 `tolerance` has no effect with `mode = "fast"`
              remove it: windows take its place, `stable_window` and `panic_window`
            8:12 `scale_up` has no effect with `mode = "fast"`
              remove it: windows take its place, `stable_window` and `panic_window`
            9:14 `scale_down` has no effect with `mode = "fast"`
              remove it: windows take its place, `stable_window` and `panic_window`
        "#]],
    );
    check_autoscale(
        "max = 4\nmode = \"fast\"\nstable_window = \"5s\"\npanic_window = \"500ms\"\npanic_threshold = 1\nscale_to_zero_after = \"5s\"",
        &expect![[r#"
            7:17 "5s" is out of range
              write a duration from 6s to 3600s
            8:16 "500ms" is out of range
              write a duration from 1s to 5s
            9:19 1 is out of range for `panic_threshold`
              write a number from 1.1 to 10
        "#]],
    );
    check_autoscale(
        "min = 0\nmax = 4\nmode = \"fast\"\nstable_window = \"2m\"\npanic_window = \"3m\"\nscale_to_zero_after = \"1m\"",
        &expect![[r#"
            9:16 "3m" is out of range
              write a duration from 1s to 120s
            10:23 "1m" is out of range
              write a duration from 120s to 86400s
        "#]],
    );
}

#[test]
fn beside_other_keys() {
    let fast = "autoscale = { min = 2, max = 4, mode = \"fast\" }";
    let check = |keys: &str, faults: &Expect| {
        check_brief(&format!("[service.api]\ncommand = [\"server\"]\n{keys}\n{fast}"), faults);
    };
    check(
        "replicas = 1",
        &expect![[r#"
        3:12 `replicas`, which is 1, is not between `min` 2 and `max` 4 of `autoscale`
          remove it, and the service begins with `min`; or write a number between them
    "#]],
    );
    check(
        "replicas = 5",
        &expect![[r#"
        3:12 `replicas`, which is 5, is not between `min` 2 and `max` 4 of `autoscale`
          remove it, and the service begins with `min`; or write a number between them
    "#]],
    );
    check(
        "database = { connections = 8, max_connections = 40, reserve = 9 }",
        &expect![[r#"
            3:12 4 replicas, and 1 more while they are replaced, with 8 connections each are 40, and the database has 31 for them: `max_connections` 40, `reserve` 9
              lower `connections` to 6, or `max` of `autoscale`, or `rollout.max_surge`, or raise `max_connections` here and in PostgreSQL
        "#]],
    );
    check_brief(
        "[service.api]\nendpoints = [{ address = \"127.0.0.1:3000\" }]\nautoscale = { max = 2 }",
        &expect![[r#"
            3:13 `autoscale` has no effect without `command`
              remove it: Phalanx does not run these endpoints
        "#]],
    );
}

#[test]
fn a_service_begins_with_min_and_at_least_one() {
    for (keys, start) in [
        ("autoscale = { max = 4, mode = \"fast\" }", 1),
        ("autoscale = { min = 3, max = 4, mode = \"fast\" }", 3),
        ("autoscale = { min = 0, max = 4, mode = \"fast\" }", 1),
        ("replicas = 2\nautoscale = { min = 0, max = 4, mode = \"fast\" }", 2),
    ] {
        let source =
            format!("[[route]]\npath = \"/\"\nservice = \"api\"\n[service.api]\ncommand = [\"a\"]\n{keys}");
        let Config { services, .. } = parse(&source).unwrap();
        let Some(Source::Replicas(replicas)) = services.values().next().map(|service| &service.source) else {
            panic!("a command makes replicas")
        };
        assert_eq!(replicas.replicas, start, "{keys}");
    }
}

#[test]
fn a_file_of_its_own() {
    let faults = |source: &str| {
        let read = parse_autoscale("policy.toml", source, &|_| None);
        read.map_or_else(|faults| render(&faults), |_| "no fault\n".to_owned())
    };
    expect![[r#"
        no fault
    "#]]
    .assert_eq(&faults("max = 4\nmetrics = [{ cpu_percent = 70 }]"));
    expect![[r#"
          × policy.toml has a fault

        Error:
          × unknown key `maxx`
           ╭─[policy.toml:1:1]
         1 │ maxx = 4
           · ────
           ╰────
          help: did you mean `max`?
    "#]]
    .assert_eq(&faults("maxx = 4"));
    expect![[r#"
          × policy.toml has a fault

        Error:
          × this autoscaler has no `max`
           ╭─[policy.toml:1:1]
           ╰────
          help: add the most replicas that there may be: `max = 10`
    "#]]
    .assert_eq(&faults(""));
}
