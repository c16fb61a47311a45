//! References to the environment.

use expect_test::expect;

use crate::support::{ROUTE, check, check_brief, parse, render};

#[test]
fn variables() {
    check(
        &format!("{ROUTE}\n[service.api]\ncommand = [\"a\", \"--key=${{KEY}}\", \"${{B:?ask ops}}\"]\n"),
        &expect![[r#"
              × phalanx.toml has 2 faults

            Error:
              × the environment variable `KEY` is not set
               ╭─[phalanx.toml:6:24]
             5 │ [service.api]
             6 │ command = ["a", "--key=${KEY}", "${B:?ask ops}"]
               ·                        ─────
               ╰────
              help: set it, or give a default: `${KEY:-value}`

            Error:
              × the environment variable `B` is not set: ask ops
               ╭─[phalanx.toml:6:34]
             5 │ [service.api]
             6 │ command = ["a", "--key=${KEY}", "${B:?ask ops}"]
               ·                                  ───
               ╰────
              help: set `B` in the environment of Phalanx
        "#]],
    );
    check_brief(
        "[log]\nlevel = \"${SECRET\"",
        &expect![[r#"
            2:10 `${` has no closing `}`
              write `${NAME}`, or `$${` for the characters themselves
        "#]],
    );
}

#[test]
fn values_of_variables_are_never_shown() {
    let source = r#"
[gateway]
http = ["${SECRET}:80", "${SECRET}"]
drain_deadline = "${SECRET}"
trusted_proxies = ["${SECRET}", "${SECRET_NETWORK}"]
[[route]]
host = "${SECRET}:"
path = "${SECRET}"
methods = ["${SECRET} "]
allow_encoded = ["${SECRET}"]
service = "${SECRET}"
max_body = "${SECRET}"
min_body_rate = "${SECRET}"
[service.api]
balance = "${SECRET}"
endpoints = [{ address = "${SECRET}:80" }]
protocol = "${SECRET}"
hash_key = "${SECRET}"
[service.c]
discover = { dns = "${SECRET}", resolver = "${SECRET}" }
active_health = { path = "${SECRET}" }
[service.b]
command = ["a", "${SECRET}\u0000"]
env = { A = "${SECRET}\u0000" }
[admin]
listen = "${SECRET}"
[log]
level = "${SECRET}"
"#;
    let faults = parse(source).unwrap_err();
    assert_eq!(faults.len(), 22);
    for shown in [render(&faults), format!("{faults:?}")] {
        assert!(!shown.contains("hunter2") && !shown.contains("172."), "{shown}");
    }
}
