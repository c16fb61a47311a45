//! Texts with a form of their own.

use expect_test::expect;

use crate::support::check_brief;

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
