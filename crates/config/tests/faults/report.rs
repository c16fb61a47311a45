//! The report as a whole.

use expect_test::expect;

use crate::support::{ROUTE, SERVICE, check, parse, render};

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
fn the_hints_for_files_without_a_route_lead_to_files_without_a_fault() {
    for source in ["", SERVICE] {
        let faults = parse(source).unwrap_err();
        let (_, lines) = faults.iter().next().unwrap().help().split_once("\n\n").unwrap();
        assert!(parse(&format!("{source}{lines}")).is_ok(), "{lines}");
    }
}
