//! How replicas are replaced, and which services wait for which: `rollout`, `depends_on`.

use std::fmt::Write;

use expect_test::{Expect, expect};

use crate::support::{brief, check_brief};

fn check_rollout(keys: &str, faults: &Expect) {
    check_brief(&format!("[service.api]\ncommand = [\"a\"]\nrollout = {keys}"), faults);
}

#[test]
fn amounts_are_numbers_or_percentages() {
    check_rollout(
        r#"{ max_surge = "25 %", max_unavailable = "-1" }"#,
        &expect![[r#"
        3:25 "25 %" is neither a number of replicas nor a share of them
          write a number, as 1, or a whole percentage, as "25%"
        3:51 "-1" is neither a number of replicas nor a share of them
          write a number, as 1, or a whole percentage, as "25%"
    "#]],
    );
    check_rollout(
        r#"{ max_surge = "${SECRET}" }"#,
        &expect![[r#"
        3:25 "${SECRET}" is neither a number of replicas nor a share of them
          write a number, as 1, or a whole percentage, as "25%"
    "#]],
    );
    check_rollout(
        "{ max_surge = -1, max_unavailable = 1.5 }",
        &expect![[r#"
        3:25 -1 is out of range for `max_surge`
          write a number from 0 to 1000
        3:47 `max_unavailable` takes a whole number or text, not a decimal number
          for example `max_unavailable = 0`
    "#]],
    );
    for sound in
        ["{ max_surge = 3 }", r#"{ max_surge = "300%" }"#, r#"{ max_surge = "0", max_unavailable = "1" }"#]
    {
        check_rollout(sound, &expect![["no fault\n"]]);
    }
}

#[test]
fn a_rollout_moves() {
    check_rollout(
        "{ max_surge = 0 }",
        &expect![[r#"
        3:25 `max_surge` and `max_unavailable` are both 0: no replica could ever be replaced
          raise one of both: with `max_surge` replicas come before others go, with `max_unavailable` others go first
    "#]],
    );
    check_rollout(
        r#"{ max_surge = "0%", max_unavailable = "0%" }"#,
        &expect![[r#"
        3:25 `max_surge` and `max_unavailable` are both 0: no replica could ever be replaced
          raise one of both: with `max_surge` replicas come before others go, with `max_unavailable` others go first
    "#]],
    );
    check_rollout(
        r#"{ max_unavailable = "101%" }"#,
        &expect![[r#"
        3:31 `max_unavailable` is 101%: no more than 100% of the replicas can be unavailable
          write at most "100%"
    "#]],
    );
    // One fault: who knows what else was meant.
    check_rollout(
        r#"{ max_surge = 0, max_unavailable = "some" }"#,
        &expect![[r#"
        3:46 "some" is neither a number of replicas nor a share of them
          write a number, as 1, or a whole percentage, as "25%"
    "#]],
    );
    check_rollout(
        "{ max_surge = 0, max_unavailable = true }",
        &expect![[r#"
        3:46 `max_unavailable` takes a whole number or text, not true or false
          for example `max_unavailable = 0`
    "#]],
    );
}

#[test]
fn a_deadline_leaves_time() {
    check_rollout(
        r#"{ min_ready = "10m" }"#,
        &expect![[r#"
        3:25 `deadline` is not longer than `min_ready`: every rollout would stall before its first replica counts
          raise `deadline`, or write "never"
    "#]],
    );
    check_rollout(
        r#"{ min_ready = "5s", deadline = "5s" }"#,
        &expect![[r#"
        3:42 `deadline` is not longer than `min_ready`: every rollout would stall before its first replica counts
          raise `deadline`, or write "never"
    "#]],
    );
    check_rollout(
        r#"{ deadline = "0s" }"#,
        &expect![[r#"
        3:24 `deadline` is not longer than `min_ready`: every rollout would stall before its first replica counts
          raise `deadline`, or write "never"
    "#]],
    );
    check_rollout(
        r#"{ deadline = "ever", on_stall = "rollback" }"#,
        &expect![[r#"
        3:24 "ever" is not a duration
          write a whole number and its unit, as "5s", "100ms", "1m" or "1h30m"
        3:43 "rollback" is no choice for `on_stall`
          write one of "hold", "roll_back"
    "#]],
    );
    check_rollout(r#"{ min_ready = "700h", deadline = "never" }"#, &expect![["no fault\n"]]);
}

#[test]
fn only_what_phalanx_runs_is_waited_for() {
    check_brief(
        r#"[service.api]
command = ["a"]
depends_on = ["api", "databse", "legacy", "database", "database", 3]
[service.database]
command = ["b"]
[service.legacy]
endpoints = [{ address = "127.0.0.1:3000" }]
depends_on = ["api"]
rollout = {}"#,
        &expect![[r#"
            3:15 `api` waits for itself
              remove it
            3:22 there is no service "databse"
              did you mean `database`?
            3:33 `legacy` has no `command`, so Phalanx cannot tell when it is complete
              remove it: only services that Phalanx runs are waited for
            3:67 `depends_on` takes text, not a whole number
              for example `depends_on = ["database"]`
            8:14 `depends_on` has no effect without `command`
              remove it: Phalanx does not run these endpoints
            9:11 `rollout` has no effect without `command`
              remove it: Phalanx does not run these endpoints
        "#]],
    );
    // A service that is not there for a fault of its own may be one that was meant.
    check_brief(
        "[service.api]\ncommand = [\"a\"]\ndepends_on = [\"b\"]\n[service]\nb = 3",
        &expect![[r#"
        5:5 `b` takes a table, not a whole number
          write it as `[service.b]`
    "#]],
    );
    check_brief(
        "[service.api]\ncommand = [\"a\"]\ndepends_on = [\"b\"]\n[service.b]\ncommand = 3",
        &expect![[r#"
            5:11 `command` takes a list, not a whole number
              for example `command = ["node", "server.js"]`
        "#]],
    );
}

#[test]
fn no_service_waits_for_itself_in_the_end() {
    check_brief(
        r#"[service.api]
command = ["a"]
depends_on = ["cart", "cache"]
[service.cart]
command = ["b"]
depends_on = ["database"]
[service.database]
command = ["c"]
depends_on = ["cart"]
[service.cache]
command = ["d"]
depends_on = ["database", "pair"]
[service.pair]
command = ["e"]
depends_on = ["cache"]"#,
        &expect![[r#"
            9:15 `cart` waits for `database`, which waits for `cart`: none of them could ever start
              remove one of these
            15:15 `cache` waits for `pair`, which waits for `cache`: none of them could ever start
              remove one of these
        "#]],
    );
}

#[test]
fn a_cycle_of_any_length_is_told_in_one_line() {
    let mut file = "[service.api]\ncommand = [\"a\"]\n".to_owned();
    for number in 0..20_000 {
        let next = (number + 1) % 20_000;
        write!(file, "[service.s{number}]\ncommand=['c']\ndepends_on=['s{next}']\n").unwrap();
    }
    let faults = brief(&file);
    let told = faults.lines().find(|line| line.contains("waits for")).unwrap_or_else(|| panic!("{faults}"));
    assert!(
        told.ends_with("which waits for …, which waits for `s0`: none of them could ever start"),
        "{told}"
    );
    assert_eq!(faults.matches("none of them").count(), 1);
}
