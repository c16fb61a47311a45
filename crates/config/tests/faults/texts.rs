//! Texts with a form of their own.

use expect_test::expect;

use crate::support::{ROUTE, brief, check_brief, check_route};

#[test]
fn durations() {
    check_brief(
        "[gateway]\ndrain_deadline = 5",
        &expect![[r#"
            2:18 `drain_deadline` takes a duration, not a whole number
              add the unit: `drain_deadline = "5s"`
        "#]],
    );
    check_brief(
        "[gateway]\ndrain_deadline = \"5\"",
        &expect![[r#"
            2:18 "5" has no unit
              write a whole number and its unit, as "5s", "100ms", "1m" or "1h30m"
        "#]],
    );
    check_brief(
        "[gateway]\ndrain_deadline = \"5 minutes\"",
        &expect![[r#"
            2:18 "5 minutes" is not a duration
              write a whole number and its unit, as "5s", "100ms", "1m" or "1h30m"
        "#]],
    );
    check_brief(
        "[gateway]\ndrain_deadline = \"9999h\"",
        &expect![[r#"
            2:18 "9999h" is too long
              30 days, "720h", is the longest duration
        "#]],
    );
    check_brief(
        "[gateway]\ndrain_deadline = \"0s\"",
        &expect![[r#"
        no fault
    "#]],
    );
    check_brief(
        "[[route]]\npath = \"/\"\nservice = \"api\"\ntimeouts = { read = \"0s\" }",
        &expect![[r#"
            4:21 "0s" leaves no time at all
              write a duration above zero
        "#]],
    );
}

#[test]
fn sizes() {
    check_route(
        r#"max_body = "0B""#,
        &expect![[r#"
        no fault
    "#]],
    );
    check_route(
        "max_body = 1048576",
        &expect![[r#"
        4:12 `max_body` takes a size, not a whole number
          add the unit: `max_body = "1048576B"`
    "#]],
    );
    check_route(
        r#"max_body = "1048576""#,
        &expect![[r#"
        4:12 "1048576" has no unit
          write a whole number and its unit, one of B, KB, KiB, MB, MiB, GB, GiB, as "512MiB" or "10KB"
    "#]],
    );
    check_route(
        r#"max_body = "1 GiB""#,
        &expect![[r#"
        4:12 "1 GiB" is not a size
          write a whole number and its unit, one of B, KB, KiB, MB, MiB, GB, GiB, as "512MiB" or "10KB"
    "#]],
    );
    check_route(
        r#"max_body = "1.5GiB""#,
        &expect![[r#"
        4:12 "1.5GiB" is not a size
          write a whole number and its unit, one of B, KB, KiB, MB, MiB, GB, GiB, as "512MiB" or "10KB"
    "#]],
    );
    check_route(
        r#"max_body = "9999999GiB""#,
        &expect![[r#"
        4:12 "9999999GiB" is too large
          "1048576GiB" is the largest size
    "#]],
    );
}

#[test]
fn byte_rates() {
    check_route(
        r#"min_body_rate = "0B/s""#,
        &expect![[r#"
        no fault
    "#]],
    );
    check_route(
        "min_body_rate = 16",
        &expect![[r#"
        4:17 `min_body_rate` takes a rate, not a whole number
          add the unit: `min_body_rate = "16B/s"`
    "#]],
    );
    check_route(
        r#"min_body_rate = "16B""#,
        &expect![[r#"
        4:17 "16B" is not a rate of bytes
          write a size for each second, as "16B/s" or "1KiB/s"
    "#]],
    );
    check_route(
        r#"min_body_rate = "16B/m""#,
        &expect![[r#"
        4:17 "16B/m" is not a rate of bytes
          write a size for each second, as "16B/s" or "1KiB/s"
    "#]],
    );
    check_route(
        r#"min_body_rate = "4GiB/s""#,
        &expect![[r#"
        4:17 "4GiB/s" is too fast
          "4095MiB/s" is the fastest rate
    "#]],
    );
}

#[test]
fn decimal_numbers() {
    let key = |budget: &str| format!("{ROUTE}retry = {{ budget = {budget} }}");
    for budget in ["0", "1", "0.0", "1.0", "0.999", "1e-300", "0x1", "-0.0"] {
        assert_eq!(brief(&key(budget)), "no fault\n", "{budget}");
    }
    for budget in
        ["nan", "-nan", "+inf", "-inf", "-0.1", "-1", "2", "1.0000001", "1e400", "99999999999999999999"]
    {
        let faults = format!("4:20 {budget} is out of range for `budget`\n  write a number from 0 to 1\n");
        assert_eq!(brief(&key(budget)), faults);
    }
    check_route(
        "retry = { budget = \"0.2\" }",
        &expect![[r#"
        4:20 `budget` takes a number, not text
          for example `budget = 0.2`
    "#]],
    );
    check_route(
        "retry = { budget = \"${BUDGET}\" }",
        &expect![[r#"
        4:20 `budget` takes a number, not text
          variables can stand in texts only: write the number itself
    "#]],
    );
    check_route(
        "retry = { budget = true }",
        &expect![[r#"
        4:20 `budget` takes a number, not true or false
          for example `budget = 0.2`
    "#]],
    );
}
