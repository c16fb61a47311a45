//! `[service.NAME]`

use expect_test::expect;

use crate::support::{check_brief, check_service};

#[test]
fn services() {
    check_brief(
        "[service.Api]\n[service.api]",
        &expect![[r#"
            1:1 this service has neither `endpoints`, `discover` nor a `command`
              add `endpoints = [{ address = "127.0.0.1:3000" }]`, `discover = { dns = "api.internal:3000" }` or `command = ["node", "server.js"]`
            1:10 `Api` cannot be the name of a service
              write at most 63 of a-z, 0-9, `-` and `_`, beginning with a letter
            2:1 this service has neither `endpoints`, `discover` nor a `command`
              add `endpoints = [{ address = "127.0.0.1:3000" }]`, `discover = { dns = "api.internal:3000" }` or `command = ["node", "server.js"]`
        "#]],
    );
    check_brief(
        "[service]\napi = 3",
        &expect![[r#"
            2:7 `api` takes a table, not a whole number
              write it as `[service.api]`
        "#]],
    );
    check_brief(
        "[service.api]\ncommand = [\"a\"]\nendpoints = []",
        &expect![[r#"
            3:13 a service has either `endpoints`, `discover` or a `command`
              keep one: `endpoints` are servers that run already, `discover` asks DNS for them, `command` is run by Phalanx
        "#]],
    );
    check_brief(
        "[service.api]\nbalance = \"fastest\"\nendpoints = []",
        &expect![[r#"
            2:11 "fastest" is no choice for `balance`
              write one of "round_robin", "least_connections", "least_response_time", "power_of_two", "ip_hash", "consistent_hash", "random"
            3:13 this service has no endpoint
              add one, as `endpoints = [{ address = "127.0.0.1:3000" }]`
        "#]],
    );
    check_brief(
        "[service.api]\nhash_key = \"path\"\ncommand = [\"a\"]",
        &expect![[r#"
            2:12 `hash_key` has no effect without `balance = "consistent_hash"`
              remove it, or set `balance`
        "#]],
    );
    check_brief(
        "[service.api]\nbalance = \"consistent_hash\"\nhash_key = \"query:q\"\ncommand = [\"a\"]",
        &expect![[r#"
            3:12 "query:q" is nothing that a request can be known by
              write "path", "header:NAME" or "cookie:NAME"
        "#]],
    );
    check_brief(
        "[service.api]\nendpoints = [{}, { address = \"api.internal:80\" }, { address = \"10.0.0.1:0\" }]",
        &expect![[r#"
            2:14 this endpoint has no address
              add `address = "127.0.0.1:3000"`
            2:30 "api.internal:80" names a host
              endpoints are IP addresses, or "localhost"; to ask DNS for them write `discover = { dns = "api.internal:3000" }` instead
            2:63 "10.0.0.1:0" has port 0
              nothing can be reached there; ports go from 1 to 65535
        "#]],
    );
    check_brief(
        "[service.api]\nendpoints = [{ address = \"10.0.0.1:80\" }, { address = \"10.0.0.1:80\" }]",
        &expect![[r#"
            2:55 "10.0.0.1:80" is an endpoint twice
              remove one of the two, and give the other a `weight`
        "#]],
    );
    check_brief(
        "[service.api]\nendpoints = [\"10.0.0.1:80\"]\nreplicas = 2\nenv = {}\nprobes = {}\nback_off = {}\nshutdown_grace = \"1s\"",
        &expect![[r#"
            2:14 `endpoints` takes a table, not text
              for example `endpoints = [{ address = "10.0.1.10:3000" }]`
            3:12 `replicas` has no effect without `command`
              remove it: Phalanx does not run these endpoints
            4:7 `env` has no effect without `command`
              remove it: Phalanx does not run these endpoints
            5:10 `probes` has no effect without `command`
              remove it: Phalanx does not run these endpoints
            6:12 `back_off` has no effect without `command`
              remove it: Phalanx does not run these endpoints
            7:18 `shutdown_grace` has no effect without `command`
              remove it: Phalanx does not run these endpoints
        "#]],
    );
    check_brief(
        "[service.api]\nendpoints = [{ address = \"10.0.0.1:80\" }]\nactive_health = { interval = \"1s\", timeout = \"2s\" }",
        &expect![[r#"
            3:46 "2s" is longer than the interval
              a check must end before the next one begins: lower `timeout`
        "#]],
    );
    check_brief(
        "[service.api]\nendpoints = [{ address = \"10.0.0.1:80\" }]\npassive_health = { fail_timeout = \"0s\" }",
        &expect![[r#"
            3:35 "0s" leaves no time at all
              write a duration above zero
        "#]],
    );
}

#[test]
fn files_of_variables() {
    check_brief(
        "[service.api]\ncommand = [\"server\"]\nenv_file = [\".env\", \"?\", \"a\\u0000\"]",
        &expect![[r#"
            3:21 the file has no name
              write its path, as in [".env"]
            3:26 "a\u0000" contains a NUL byte
              remove it
        "#]],
    );
    check_brief(
        "[service.api]\ncommand = [\"server\"]\nenv_file = \".env\"",
        &expect![[r#"
            3:12 `env_file` takes a list, not text
              for example `env_file = [".env", ".env.local?"]`
        "#]],
    );
    check_brief(
        "[service.api]\nendpoints = [{ address = \"10.0.0.1:80\" }]\nenv_file = [\".env\"]",
        &expect![[r#"
            3:12 `env_file` has no effect without `command`
              remove it: Phalanx does not run these endpoints
        "#]],
    );
}

#[test]
fn protocols() {
    check_service(
        r#"protocol = "http2""#,
        &expect![[r#"
            3:12 "http2" is no choice for `protocol`
              write one of "auto", "http1", "h2c"
        "#]],
    );
    check_service(
        r#"protocol = "h2""#,
        &expect![[r#"
            3:12 "h2" is no choice for `protocol`
              write one of "auto", "http1", "h2c"
        "#]],
    );
}

#[test]
fn keys_whose_partner_has_a_fault_of_its_own() {
    check_service(
        "balance = \"consistent\"\nhash_key = \"path\"",
        &expect![[r#"
        3:11 "consistent" is no choice for `balance`
          did you mean "consistent_hash"?
    "#]],
    );
    check_service(
        "active_health = 5\npanic_threshold = 0.5",
        &expect![[r#"
        3:17 `active_health` takes a table, not a whole number
          for example `active_health = { path = "/ready" }`
    "#]],
    );
    check_service(
        r#"adaptive_concurrency = { min = 2000, max = "3000" }"#,
        &expect![[r#"
        3:44 `max` takes a whole number, not text
          for example `max = 1000`
    "#]],
    );
}
