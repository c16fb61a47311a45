//! Fault messages, as they are seen.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, also in its helpers")]

use expect_test::{Expect, expect};
use miette::{GraphicalReportHandler, GraphicalTheme};
use phalanx_config::{Config, Faults};

const SERVICE: &str = "[service.api]\nendpoints = [{ address = \"127.0.0.1:3000\" }]\n";
const ROUTE: &str = "[[route]]\npath = \"/\"\nservice = \"api\"\n";

fn environment(name: &str) -> Option<String> {
    (name == "SECRET").then(|| "hunter2".to_owned())
}

fn parse(source: &str) -> Result<Config, Faults> {
    Config::parse("phalanx.toml", source, &environment)
}

fn render(faults: &Faults) -> String {
    let mut report = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .with_width(100)
        .render_report(&mut report, faults)
        .unwrap();
    report.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// The whole report.
fn check(source: &str, report: &Expect) {
    report.assert_eq(&render(&parse(source).unwrap_err()));
}

/// Message and hint of each fault of a file made of `lines`, with a route and a service where it has none.
fn check_brief(lines: &str, faults: &Expect) {
    let route = if lines.contains("route") { "" } else { ROUTE };
    let service = if lines.contains("[service") { "" } else { SERVICE };
    let brief: String = match parse(&format!("{lines}\n{route}{service}")) {
        Ok(_) => "no fault\n".to_owned(),
        Err(found) => {
            found.iter().map(|fault| format!("{}\n  {}\n", fault.message(), fault.help())).collect()
        }
    };
    faults.assert_eq(&brief);
}

#[test]
fn every_fault_is_shown_at_once_with_its_line_and_a_hint() {
    check(
        r#"[gateway]
http = ["0.0.0.0"]
wokers = 4

[[route]]
path = "api"
service = "apj"

[service.api]
endpoints = [
  { address = "127.0.0.1:3000" },
  { address = "localhost:3000", weight = 0 },
]
keepalive = "many"
"#,
        &expect![[r#"
              × phalanx.toml has 7 faults

            Error:
              × "0.0.0.0" has no port
               ╭─[phalanx.toml:2:9]
             1 │ [gateway]
             2 │ http = ["0.0.0.0"]
               ·         ─────────
             3 │ wokers = 4
               ╰────
              help: write both, as "127.0.0.1:3000"

            Error:
              × unknown key `wokers` in `gateway`
               ╭─[phalanx.toml:3:1]
             2 │ http = ["0.0.0.0"]
             3 │ wokers = 4
               · ──────
               ╰────
              help: did you mean `workers`?

            Error:
              × "api" does not begin with `/`
               ╭─[phalanx.toml:6:8]
             5 │ [[route]]
             6 │ path = "api"
               ·        ─────
             7 │ service = "apj"
               ╰────
              help: write it from the root, as "/api"

            Error:
              × there is no service "apj"
               ╭─[phalanx.toml:7:11]
             6 │ path = "api"
             7 │ service = "apj"
               ·           ─────
               ╰────
              help: did you mean `api`?

            Error:
              × "localhost:3000" is an endpoint twice
                ╭─[phalanx.toml:12:15]
             10 │ endpoints = [
             11 │   { address = "127.0.0.1:3000" },
                ·               ────────┬───────
                ·                       ╰── first here
             12 │   { address = "localhost:3000", weight = 0 },
                ·               ────────────────
             13 │ ]
                ╰────
              help: remove one of the two, and give the other a `weight`

            Error:
              × 0 is out of range for `weight`
                ╭─[phalanx.toml:12:42]
             11 │   { address = "127.0.0.1:3000" },
             12 │   { address = "localhost:3000", weight = 0 },
                ·                                          ─
             13 │ ]
                ╰────
              help: write a number from 1 to 1000

            Error:
              × `keepalive` takes a whole number, not text
                ╭─[phalanx.toml:14:13]
             13 │ ]
             14 │ keepalive = "many"
                ·             ──────
                ╰────
              help: for example `keepalive = 64`
        "#]],
    );
}

#[test]
fn lines_that_are_no_toml_have_one_fault_each_and_the_rest_is_still_checked() {
    check(
        "[gateway]\r\nhttp = 0.0.0.0:8080\r\ndrain_deadline = 5s\r\nworkers =\r\n\r\n[[route]]\r\npath = \"/\r\n[admin]\r\nlisten = \"0.0.0.0:9900\"\r\n[admin]\r\n",
        &expect![[r#"
              × phalanx.toml has 6 faults

            Error:
              × this is neither a number nor a text in quotes
               ╭─[phalanx.toml:2:11]
             1 │ [gateway]
             2 │ http = 0.0.0.0:8080
               ·           ─────────
             3 │ drain_deadline = 5s
               ╰────
              help: the file is TOML: `key = value`, texts in quotes, tables as `[name]`

            Error:
              × `5s` needs quotes
               ╭─[phalanx.toml:3:18]
             2 │ http = 0.0.0.0:8080
             3 │ drain_deadline = 5s
               ·                  ──
             4 │ workers =
               ╰────
              help: write `"5s"`

            Error:
              × a value is missing
               ╭─[phalanx.toml:4:10]
             3 │ drain_deadline = 5s
             4 │ workers =
               ·          ▲
               ╰────
              help: the file is TOML: `key = value`, texts in quotes, tables as `[name]`

            Error:
              × invalid basic string, expected `"`
               ╭─[phalanx.toml:7:11]
             6 │ [[route]]
             7 │ path = "/
               ·           ▲
             8 │ [admin]
               ╰────
              help: the file is TOML: `key = value`, texts in quotes, tables as `[name]`

            Error:
              × "0.0.0.0:9900" can be reached from other machines
                ╭─[phalanx.toml:9:10]
              8 │ [admin]
              9 │ listen = "0.0.0.0:9900"
                ·          ──────────────
             10 │ [admin]
                ╰────
              help: the admin API asks for no password in this version: listen on "127.0.0.1:9900"

            Error:
              × `admin` is defined a second time
                ╭─[phalanx.toml:10:2]
              9 │ listen = "0.0.0.0:9900"
             10 │ [admin]
                ·  ─────
                ╰────
              help: keep one of the two
        "#]],
    );
}

#[test]
fn an_empty_file_shows_the_smallest_one() {
    check(
        "",
        &expect![[r#"
          × phalanx.toml has a fault

        Error:
          × there is no route, so every request would be answered 404
           ╭─[phalanx.toml:1:1]
           ╰────
          help: the smallest useful file is

                [[route]]
                path = "/"
                service = "api"

                [service.api]
                endpoints = [{ address = "127.0.0.1:3000" }]
    "#]],
    );
    check(
        "# nothing\n",
        &expect![[r#"
          × phalanx.toml has a fault

        Error:
          × there is no route, so every request would be answered 404
           ╭─[phalanx.toml:1:1]
         1 │ # nothing
           · ▲
           ╰────
          help: the smallest useful file is

                [[route]]
                path = "/"
                service = "api"

                [service.api]
                endpoints = [{ address = "127.0.0.1:3000" }]
    "#]],
    );
}

#[test]
fn a_service_without_a_route_shows_the_lines_to_add() {
    check(
        SERVICE,
        &expect![[r#"
              × phalanx.toml has a fault

            Error:
              × there is no route, so no request gets to `api`
               ╭─[phalanx.toml:1:1]
             1 │ [service.api]
               · ─────────────
             2 │ endpoints = [{ address = "127.0.0.1:3000" }]
               ╰────
              help: add

                    [[route]]
                    path = "/"
                    service = "api"
        "#]],
    );
}

#[test]
fn two_that_collide_are_both_shown() {
    check(
        r#"[[route]]
host = "api.example.com"
path = "/"
service = "api"

[service.api]
endpoints = [{ address = "127.0.0.1:3000" }]

[[route]]
host = "API.example.com"
path = "/"
respond = { status = 404 }
"#,
        &expect![[r#"
              × phalanx.toml has a fault

            Error:
              × another route has this host and path
               ╭─[phalanx.toml:3:8]
             2 │ host = "api.example.com"
             3 │ path = "/"
               ·        ─┬─
               ·         ╰── first here
             4 │ service = "api"
               ╰────
                ╭─[phalanx.toml:11:8]
             10 │ host = "API.example.com"
             11 │ path = "/"
                ·        ───
             12 │ respond = { status = 404 }
                ╰────
              help: remove one of the two, or tell them apart by host or path
        "#]],
    );
}

#[test]
fn a_fault_found_in_use_looks_like_the_others() {
    let source = format!("{ROUTE}\n[service.api]\ncommand = [\"nodejs\", \"server.js\"]\n");
    let config = parse(&source).unwrap();
    let phalanx_config::Source::Replicas(replicas) = &config.services.values().next().unwrap().source else {
        panic!("a command makes replicas")
    };
    let faults = config.fault_at(replicas.command_span, "there is no program `nodejs`", "is it installed?");
    expect![[r#"
          × phalanx.toml has a fault

        Error:
          × there is no program `nodejs`
           ╭─[phalanx.toml:6:11]
         5 │ [service.api]
         6 │ command = ["nodejs", "server.js"]
           ·           ───────────────────────
           ╰────
          help: is it installed?
    "#]]
    .assert_eq(&render(&faults));
}

#[test]
fn faults_found_in_use_are_told_together_in_the_order_of_the_file() {
    let config = parse(&format!("{ROUTE}\n[service.api]\ncommand = [\"nodejs\"]\n")).unwrap();
    let at = |start| config.fault_at((start..start + 1).into(), format!("at {start}"), "look");
    let both = at(5).and(at(2));
    assert_eq!(both.iter().map(|fault| fault.message().to_owned()).collect::<Vec<_>>(), ["at 2", "at 5"]);
    assert_eq!((both.len(), both.to_string()), (2, "phalanx.toml has 2 faults".to_owned()));
}

#[test]
fn sections_and_keys() {
    check_brief(
        "[gatway]",
        &expect![[r#"
        unknown key `gatway`
          did you mean `gateway`?
    "#]],
    );
    check_brief(
        "[[stream]]",
        &expect![[r#"
        unknown key `stream`
          keys that can stand here: `admin`, `gateway`, `log`, `route`, `service`
    "#]],
    );
    check_brief(
        "[gateway]\nhttps = []",
        &expect![[r#"
        unknown key `https` in `gateway`
          did you mean `http`?
    "#]],
    );
    check_brief(
        "[gateway]\nworkers = \"4\"",
        &expect![[r#"
        `workers` takes a whole number, not text
          for example `workers = 0`
    "#]],
    );
    check_brief(
        "[gateway]\nworkers = 4.5",
        &expect![[r#"
        `workers` takes a whole number, not a decimal number
          for example `workers = 0`
    "#]],
    );
    check_brief(
        "[gateway]\nworkers = -1",
        &expect![[r#"
        -1 is out of range for `workers`
          write a number from 0 to 1024
    "#]],
    );
    check_brief(
        "[gateway]\nworkers = 99999999999999999999999",
        &expect![[r#"
        99999999999999999999999 is out of range for `workers`
          write a number from 0 to 1024
    "#]],
    );
    check_brief(
        "[gateway]\nworkers = \"${WORKERS:-4}\"",
        &expect![[r#"
            `workers` takes a whole number, not text
              variables can stand in texts only: write the number itself
        "#]],
    );
    check_brief(
        "[gateway]\nhttp = \"0.0.0.0:8080\"",
        &expect![[r#"
        `http` takes a list, not text
          for example `http = ["0.0.0.0:8080"]`
    "#]],
    );
    check_brief(
        "[[gateway]]",
        &expect![[r#"
            `gateway` takes a table, not a list
              write it as `[gateway]`
        "#]],
    );
    check_brief(
        "gateway = 2024-01-01",
        &expect![[r#"
            `gateway` takes a table, not a date
              write it as `[gateway]`
        "#]],
    );
    check_brief(
        "route = true",
        &expect![[r#"
            `route` takes a list, not true or false
              write it as `[[route]]`
        "#]],
    );
    check_brief(
        "[log]\nlevel = \"warning\"\nformat = \"xml\"",
        &expect![[r#"
            "warning" is no choice for `level`
              did you mean "warn"?
            "xml" is no choice for `format`
              write one of "json", "text"
        "#]],
    );
    check_brief(
        "[log]\nlevel = \"loud\"",
        &expect![[r#"
        "loud" is no choice for `level`
          write one of "error", "warn", "info", "debug", "trace"
    "#]],
    );
}

#[test]
fn listeners() {
    check_brief(
        "[gateway]\nhttp = []",
        &expect![[r#"
        the gateway listens nowhere
          add an address, as `http = ["0.0.0.0:8080"]`
    "#]],
    );
    check_brief(
        "[gateway]\nhttp = [\":8080\", \"8080\", \"0.0.0.0:http\", \"0.0.0.0:80800\"]",
        &expect![[r#"
            ":8080" has no address before the port
              write both, as "127.0.0.1:3000"; to listen everywhere, "0.0.0.0:8080"
            "8080" has no address before the port
              write both, as "127.0.0.1:3000"; to listen everywhere, "0.0.0.0:8080"
            "0.0.0.0:http" does not end with a port
              a port is a number, as in "127.0.0.1:3000"
            "0.0.0.0:80800" has a port above 65535
              ports go from 1 to 65535
        "#]],
    );
    check_brief(
        "[gateway]\nhttp = [\"0.0.0.0:8080\", \"127.0.0.1:8080\"]",
        &expect![[r#"
        "127.0.0.1:8080" collides with another listener
          give one of the two another port
    "#]],
    );
    check_brief(
        "[gateway]\nhttp = [\"0.0.0.0:9900\"]",
        &expect![[r#"
        "0.0.0.0:9900" collides with a default
          the gateway listens on 0.0.0.0:8080, admin on 127.0.0.1:9900: give one of the two another port
    "#]],
    );
    check_brief(
        "[gateway]\nhttp = [\"127.0.0.1:1\"]\n[admin]\nlisten = \"127.0.0.1:1\"",
        &expect![[r#"
        "127.0.0.1:1" collides with a listener of the gateway
          give one of the two another port
    "#]],
    );
    check_brief(
        "[admin]\nlisten = \"0.0.0.0:9901\"",
        &expect![[r#"
        "0.0.0.0:9901" can be reached from other machines
          the admin API asks for no password in this version: listen on "127.0.0.1:9900"
    "#]],
    );
    check_brief(
        "[admin]\nlisten = \"127.0.0.1:8080\"",
        &expect![[r#"
        "127.0.0.1:8080" collides with a default
          the gateway listens on 0.0.0.0:8080, admin on 127.0.0.1:9900: give one of the two another port
    "#]],
    );
    check_brief(
        &format!("[gateway]\nhttp = [{}]", "\"127.0.0.1:0\", ".repeat(65)),
        &expect![[r#"
        65 listeners are too many
          write at most 64
    "#]],
    );
}

#[test]
fn durations() {
    check_brief(
        "[gateway]\ndrain_deadline = 5",
        &expect![[r#"
        `drain_deadline` takes a duration, not a whole number
          add the unit: `drain_deadline = "5s"`
    "#]],
    );
    check_brief(
        "[gateway]\ndrain_deadline = \"5\"",
        &expect![[r#"
        "5" has no unit
          write a whole number and its unit, as "5s", "100ms", "1m" or "1h30m"
    "#]],
    );
    check_brief(
        "[gateway]\ndrain_deadline = \"5 minutes\"",
        &expect![[r#"
        "5 minutes" is not a duration
          write a whole number and its unit, as "5s", "100ms", "1m" or "1h30m"
    "#]],
    );
    check_brief(
        "[gateway]\ndrain_deadline = \"9999h\"",
        &expect![[r#"
        "9999h" is too long
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
        "0s" leaves no time at all
          write a duration above zero
    "#]],
    );
}

#[test]
fn routes() {
    check_brief(
        "[route]\npath = \"/\"",
        &expect![[r#"
            `route` takes a list, not a table
              write it as `[[route]]`
        "#]],
    );
    check_brief(
        "[[route]]",
        &expect![[r#"
        this route has no path
          add `path = "/"` for every path
        this route leads nowhere
          add `service = "api"`
    "#]],
    );
    check_brief(
        "[[route]]\npath = \"/\"\npath_exact = \"/\"\nservice = \"api\"",
        &expect![[r#"
        a route has either `path` or `path_exact`
          remove one: `path` is for every path that begins so, `path_exact` for this path alone
    "#]],
    );
    check_brief(
        "[[route]]\npath = \"/\"\nservice = \"api\"\nrespond = {}",
        &expect![[r#"
        a route has either `service` or `respond`
          remove one: `service` forwards the request, `respond` answers it
    "#]],
    );
    check_brief(
        "[[route]]\npath = \"/a/../b\"\nservice = \"api\"",
        &expect![[r#"
        "/a/../b" contains a `.` or `..` segment
          write the path that is meant, without them
    "#]],
    );
    check_brief(
        "[[route]]\npath = \"/\"\nhost = \"api.*\"\nservice = \"api\"",
        &expect![[r#"
        "api.*" has `*` in the wrong place
          `*` can only be the whole first label, as "*.example.com"
    "#]],
    );
    check_brief(
        "[[route]]\npath = \"/\"\nservice = \"web\"",
        &expect![[r#"
        there is no service "web"
          services of this file: `api`
    "#]],
    );
    check_brief(
        "[[route]]\npath = \"/\"\nservice = \"\"",
        &expect![[r#"
        there is no service ""
          services of this file: `api`
    "#]],
    );
    check_brief(
        "[[route]]\npath = \"/\"\nservice = \"api\"\nmethods = []",
        &expect![[r#"
        no request could pass
          name a method, or leave `methods` out
    "#]],
    );
    check_brief(
        "[[route]]\npath = \"/\"\nservice = \"api\"\nmethods = [\"get\", \"A B\", \"POST\", \"POST\"]",
        &expect![[r#"
            "get" is not in upper case
              methods are case-sensitive: write it as "GET"
            "A B" is not a method
              a method is a word, as "GET"
            this method stands here twice
              remove one of the two
        "#]],
    );
    check_brief(
        "[[route]]\npath = \"/\"\nservice = \"api\"\nallow_encoded = [\"%2f\", \"/\", \"%zz\"]",
        &expect![[r#"
            "/" is not a percent-encoded character
              write it as "%2F"
            "%zz" is not a percent-encoded character
              write it as "%2F"
        "#]],
    );
    check_brief(
        "[[route]]\npath = \"/\"\nrespond = { status = 100 }",
        &expect![[r#"
        100 is out of range for `status`
          write a number from 200 to 599
    "#]],
    );
    check_brief(
        "[[route]]\npath = \"/\"\nrespond = { status = 204, body = \"x\" }",
        &expect![[r#"
        an answer with status 204 has no body
          remove `body`
    "#]],
    );
    check_brief(
        "[[route]]\npath = \"/\"\nrespond = {}\ntimeouts = {}",
        &expect![[r#"
        `timeouts` has no effect beside `respond`
          remove it
    "#]],
    );
    let long = "x".repeat(65537);
    check_brief(
        &format!("[[route]]\npath = \"/\"\nrespond = {{ body = \"{long}\" }}"),
        &expect![[r#"
        the body is longer than 65536 bytes
          let a service answer with it
    "#]],
    );
}

#[test]
fn services() {
    check_brief(
        "[service.Api]\n[service.api]",
        &expect![[r#"
            this service has neither `endpoints`, `discover` nor a `command`
              add `endpoints = [{ address = "127.0.0.1:3000" }]`, `discover = { dns = "api.internal:3000" }` or `command = ["node", "server.js"]`
            `Api` cannot be the name of a service
              write at most 63 of a-z, 0-9, `-` and `_`, beginning with a letter
            this service has neither `endpoints`, `discover` nor a `command`
              add `endpoints = [{ address = "127.0.0.1:3000" }]`, `discover = { dns = "api.internal:3000" }` or `command = ["node", "server.js"]`
        "#]],
    );
    check_brief(
        "[service]\napi = 3",
        &expect![[r#"
            `api` takes a table, not a whole number
              write it as `[service.api]`
        "#]],
    );
    check_brief(
        "[service.api]\ncommand = [\"a\"]\nendpoints = []",
        &expect![[r#"
            a service has either `endpoints`, `discover` or a `command`
              keep one: `endpoints` are servers that run already, `discover` asks DNS for them, `command` is run by Phalanx
        "#]],
    );
    check_brief(
        "[service.api]\nbalance = \"fastest\"\nendpoints = []",
        &expect![[r#"
            "fastest" is no choice for `balance`
              write one of "round_robin", "least_connections", "least_response_time", "power_of_two", "ip_hash", "consistent_hash", "random"
            this service has no endpoint
              add one, as `endpoints = [{ address = "127.0.0.1:3000" }]`
        "#]],
    );
    check_brief(
        "[service.api]\nhash_key = \"path\"\ncommand = [\"a\"]",
        &expect![[r#"
            `hash_key` has no effect without `balance = "consistent_hash"`
              remove it, or set `balance`
        "#]],
    );
    check_brief(
        "[service.api]\nbalance = \"consistent_hash\"\nhash_key = \"query:q\"\ncommand = [\"a\"]",
        &expect![[r#"
            "query:q" is nothing that a request can be known by
              write "path", "header:NAME" or "cookie:NAME"
        "#]],
    );
    check_brief(
        "[service.api]\nendpoints = [{}, { address = \"api.internal:80\" }, { address = \"10.0.0.1:0\" }]",
        &expect![[r#"
            this endpoint has no address
              add `address = "127.0.0.1:3000"`
            "api.internal:80" names a host
              endpoints are IP addresses, or "localhost"; to ask DNS for them write `discover = { dns = "api.internal:3000" }` instead
            "10.0.0.1:0" has port 0
              nothing can be reached there; ports go from 1 to 65535
        "#]],
    );
    check_brief(
        "[service.api]\nendpoints = [{ address = \"10.0.0.1:80\" }, { address = \"10.0.0.1:80\" }]",
        &expect![[r#"
            "10.0.0.1:80" is an endpoint twice
              remove one of the two, and give the other a `weight`
        "#]],
    );
    check_brief(
        "[service.api]\nendpoints = [\"10.0.0.1:80\"]\nreplicas = 2\nenv = {}\nprobes = {}\nshutdown_grace = \"1s\"",
        &expect![[r#"
            `endpoints` takes a table, not text
              for example `endpoints = [{ address = "10.0.1.10:3000" }]`
            `replicas` has no effect without `command`
              remove it: Phalanx does not run these endpoints
            `env` has no effect without `command`
              remove it: Phalanx does not run these endpoints
            `probes` has no effect without `command`
              remove it: Phalanx does not run these endpoints
            `shutdown_grace` has no effect without `command`
              remove it: Phalanx does not run these endpoints
        "#]],
    );
    check_brief(
        "[service.api]\nendpoints = [{ address = \"10.0.0.1:80\" }]\nactive_health = { interval = \"1s\", timeout = \"2s\" }",
        &expect![[r#"
            "2s" is longer than the interval
              a check must end before the next one begins: lower `timeout`
        "#]],
    );
    check_brief(
        "[service.api]\nendpoints = [{ address = \"10.0.0.1:80\" }]\npassive_health = { fail_timeout = \"0s\" }",
        &expect![[r#"
            "0s" leaves no time at all
              write a duration above zero
        "#]],
    );
}

#[test]
fn replicas() {
    check_brief(
        "[service.api]\ncommand = []",
        &expect![[r#"
        the command is empty
          write the program and its arguments: ["node", "server.js"]
    "#]],
    );
    check_brief(
        "[service.api]\ncommand = \"node server.js\"",
        &expect![[r#"
        `command` takes a list, not text
          for example `command = ["node", "server.js"]`
    "#]],
    );
    check_brief(
        "[service.api]\ncommand = [\"\", 3, \"\\u0000\"]",
        &expect![[r#"
            the program has no name
              write its name or its path first
            `command` takes text, not a whole number
              for example `command = ["node", "server.js"]`
        "#]],
    );
    check_brief(
        "[service.api]\ncommand = [\"a\"]\nreplicas = 0\nactive_health = { path = \"/\" }",
        &expect![[r#"
            0 is out of range for `replicas`
              write a number from 1 to 1000
            `active_health` has no effect beside `command`
              remove it: replicas have `probes`
        "#]],
    );
    check_brief(
        "[service.api]\ncommand = [\"a\"]\nenv = { PORT = \"1\", \"A=B\" = \"1\", C = 1 }",
        &expect![[r#"
            `PORT` is set by Phalanx, to another value for each replica
              remove it, and read it in the program
            `A=B` cannot be the name of an environment variable
              write a name without `=`
            `C` takes text, not a whole number
              put it in quotes: `C = "1"`
        "#]],
    );
    check_brief(
        "[service.api]\ncommand = [\"a\"]\nprobes.readyness = {}",
        &expect![[r#"
        unknown key `readyness` in `service.api.probes`
          did you mean `readiness`?
    "#]],
    );
    check_brief(
        "[service.api]\ncommand = [\"a\"]\nprobes.startup = { path = \"ready\", period = \"0s\" }",
        &expect![[r#"
            "ready" does not begin with `/`
              write it from the root, as "/api"
            "0s" leaves no time at all
              write a duration above zero
        "#]],
    );
}

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
        `${` has no closing `}`
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
[[route]]
host = "${SECRET}:"
path = "${SECRET}"
methods = ["${SECRET} "]
allow_encoded = ["${SECRET}"]
service = "${SECRET}"
[service.api]
balance = "${SECRET}"
endpoints = [{ address = "${SECRET}:80" }]
[service.b]
command = ["a", "${SECRET}\u0000"]
env = { A = "${SECRET}\u0000" }
[admin]
listen = "${SECRET}"
[log]
level = "${SECRET}"
"#;
    let faults = parse(source).unwrap_err();
    assert_eq!(faults.len(), 14);
    assert!(!render(&faults).contains("hunter2"));
    assert!(!format!("{faults:?}").contains("hunter2"));
}

#[test]
fn the_hints_for_files_without_a_route_lead_to_files_without_a_fault() {
    for source in ["", SERVICE] {
        let faults = parse(source).unwrap_err();
        let (_, lines) = faults.iter().next().unwrap().help().split_once("\n\n").unwrap();
        assert!(parse(&format!("{source}{lines}")).is_ok(), "{lines}");
    }
}
