//! Tables and keys that are unknown, and values of a kind that their key does not take.

use expect_test::expect;

use crate::support::check_brief;

#[test]
fn sections_and_keys() {
    check_brief(
        "[gatway]",
        &expect![[r#"
            1:2 unknown key `gatway`
              did you mean `gateway`?
        "#]],
    );
    check_brief(
        "[[stream]]",
        &expect![[r#"
            1:3 unknown key `stream`
              keys that can stand here: `admin`, `auth`, `gateway`, `log`, `route`, `service`
        "#]],
    );
    check_brief(
        "[gateway]\nhttps = []",
        &expect![[r#"
            2:1 unknown key `https` in `gateway`
              did you mean `http`?
        "#]],
    );
    check_brief(
        "[gateway]\nworkers = \"4\"",
        &expect![[r#"
            2:11 `workers` takes a whole number, not text
              for example `workers = 0`
        "#]],
    );
    check_brief(
        "[gateway]\nworkers = 4.5",
        &expect![[r#"
            2:11 `workers` takes a whole number, not a decimal number
              for example `workers = 0`
        "#]],
    );
    check_brief(
        "[gateway]\nworkers = -1",
        &expect![[r#"
            2:11 -1 is out of range for `workers`
              write a number from 0 to 1024
        "#]],
    );
    check_brief(
        "[gateway]\nworkers = 99999999999999999999999",
        &expect![[r#"
            2:11 99999999999999999999999 is out of range for `workers`
              write a number from 0 to 1024
        "#]],
    );
    check_brief(
        "[gateway]\nworkers = \"${WORKERS:-4}\"",
        &expect![[r#"
            2:11 `workers` takes a whole number, not text
              variables can stand in texts only: write the number itself
        "#]],
    );
    check_brief(
        "[gateway]\nhttp = \"0.0.0.0:8080\"",
        &expect![[r#"
            2:8 `http` takes a list, not text
              for example `http = ["0.0.0.0:8080"]`
        "#]],
    );
    check_brief(
        "[[gateway]]",
        &expect![[r#"
            1:1 `gateway` takes a table, not a list
              write it as `[gateway]`
        "#]],
    );
    check_brief(
        "gateway = 2024-01-01",
        &expect![[r#"
            1:11 `gateway` takes a table, not a date
              write it as `[gateway]`
        "#]],
    );
    check_brief(
        "route = true",
        &expect![[r#"
            1:9 `route` takes a list, not true or false
              write it as `[[route]]`
        "#]],
    );
    check_brief(
        "[log]\nlevel = \"warning\"\nformat = \"xml\"",
        &expect![[r#"
            2:9 "warning" is no choice for `level`
              did you mean "warn"?
            3:10 "xml" is no choice for `format`
              write one of "json", "text"
        "#]],
    );
    check_brief(
        "[log]\nlevel = \"loud\"",
        &expect![[r#"
            2:9 "loud" is no choice for `level`
              write one of "error", "warn", "info", "debug", "trace"
        "#]],
    );
}
