//! What is written, and to whom: pipes that close, terminals with and without colours, narrow ones.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    sync::Arc,
};

use rustix::process::Signal;

use crate::support::{
    eventually,
    home::{Home, send},
    http,
    phalanx::{Phalanx, addresses, command, file, puppets, run, shell},
    terminal::Terminal,
};

const ESCAPE: char = '\u{1b}';

#[test]
fn a_closed_pipe_ends_the_reading_and_nothing_else() {
    let home = Arc::new(Home::new());
    home.write("phalanx.toml", &file(&puppets(1)));
    // As in `phalanx up 2>&1 | grep -m 1 gateway`, standard error going the same way.
    let (reader, writer) = std::io::pipe().unwrap();
    let mut up = command(&home, &["up"]);
    let mut child = up.stdout(writer.try_clone().unwrap()).stderr(writer).spawn().unwrap();
    drop(up);
    let (gateway, admin) = addresses(&line_of_addresses(&mut BufReader::new(reader)));

    let is_ready = || (http::get(admin, "/readyz").status == 200).then_some(());
    eventually("a replica serves", is_ready);
    for _ in 0..300 {
        assert_eq!(
            http::get(gateway, "/print?more").status,
            200,
            "a replica is not held up by what nobody reads"
        );
    }
    send(child.id(), Signal::INT);
    let status = eventually("the end", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0), "{status}");
    home.assert_empty();
}

/// O16: each verb that prints and ends, as in `phalanx check | true`.
#[test]
fn no_verb_panics_at_a_closed_pipe() {
    let phalanx = Phalanx::up(&file(&puppets(1)));
    let admin = phalanx.admin.to_string();
    for arguments in [
        &["check"][..],
        &["check", "--schema"],
        &["status", "--admin", &admin],
        &["status", "--admin", &admin, "--json"],
        &["completions", "bash"],
        &["token", "keys", "generate"],
        &["--help"],
        &["--version"],
    ] {
        for closes_stderr in [false, true] {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let mut printing = command(&phalanx.home, arguments);
            printing.stdout(writer.try_clone().unwrap());
            match closes_stderr {
                true => printing.stderr(writer),
                false => printing.stderr(Stdio::piped()),
            };
            let ended = printing.output().unwrap();
            // 101 is a panic, no code a signal.
            assert!(ended.status.code().is_some_and(|code| code != 101), "{arguments:?}: {ended:?}");
            assert!(!String::from_utf8_lossy(&ended.stderr).contains("panicked"), "{arguments:?}: {ended:?}");
        }
    }
    phalanx.stop();
}

/// The line with the addresses, where standard output and error go the same way: the log may come first.
fn line_of_addresses(reader: &mut impl BufRead) -> String {
    reader.lines().map(Result::unwrap).find(|line| line.contains(" starts ")).unwrap()
}

#[test]
fn a_terminal_that_stands_still_holds_nobody_up() {
    let home = Arc::new(Home::new());
    home.write("phalanx.toml", &file(&puppets(1)));
    // As in `phalanx up 2>&1 | less`: the pipe stays open, and from some moment on nobody reads.
    let (reader, writer) = std::io::pipe().unwrap();
    let mut up = command(&home, &["up"]);
    let mut child = up.stdout(writer.try_clone().unwrap()).stderr(writer).spawn().unwrap();
    drop(up);
    let mut reader = BufReader::new(reader);
    let (gateway, admin) = addresses(&line_of_addresses(&mut reader));

    let is_ready = || (http::get(admin, "/readyz").status == 200).then_some(());
    eventually("a replica serves", is_ready);
    // Several times what a pipe and the queue before it hold.
    let print = format!("/print?{}", "x".repeat(1_000));
    for _ in 0..600 {
        assert_eq!(http::get(gateway, &print).status, 200);
    }
    send(child.id(), Signal::INT);
    let status = eventually("the end", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0), "{status}");
    home.assert_empty();
    drop(reader);
}

#[test]
fn what_a_replica_prints_is_prefixed_with_its_instance() {
    let phalanx = Phalanx::up(&file(&puppets(2)));
    for instance in ["api-1", "api-2"] {
        http::get(phalanx.address_of(instance), "/print?from-me");
        phalanx.program.stdout.tells(&format!("\n{instance} | from-me\n"));
    }
    phalanx.stop();
}

#[test]
fn without_a_terminal_there_are_no_escapes() {
    let phalanx = Phalanx::up(&file(&shell(RED)));
    phalanx.program.stdout.tells("api-1 | red\n");
    let ended = phalanx.stop();
    assert!(!ended.stdout.contains(ESCAPE) && !ended.stderr.contains(ESCAPE), "{ended:#?}");
    let home = Arc::new(Home::new());
    home.write("phalanx.toml", "[gatway]");
    let faults = run(&home, &["check"]).with_code(3);
    assert!(!faults.stderr.contains(ESCAPE), "{}", faults.stderr);
}

/// H18: whatever stands in a target, in a field, in credentials.
#[test]
fn what_a_client_sends_neither_forges_nor_steers_a_log_line() {
    let hostile = "\u{1b}[2J\u{202e}\u{9b}31m\u{2028}";
    let request = |target: &str, fields: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let requests = [
        (request(&format!("/{hostile}"), ""), 400),
        (request("/%0d%0a{\"level\":\"ERROR\"}", ""), 400),
        (request("/", &format!("User-Agent: {hostile}\r\n")), 400),
        (request("/", "User-Agent: a\r\u{202e}\r\n"), 400),
        (request("/", "User-Agent: \u{202e}\u{9b}31m\r\nX-Request-Id: \u{202e}\u{9b}31m\r\n"), 200),
        (request("/", "Authorization: Basic \u{202e}\u{2028}\r\nX-Forwarded-For: \u{202e}\r\n"), 200),
    ];
    for format in ["json", "text"] {
        let log = format!("\n[log]\nformat = '{format}'\nlevel = 'debug'\n");
        let phalanx = Phalanx::up(&(file(&puppets(1)) + &log));
        for (request, status) in &requests {
            let answer = phalanx.exchange(request.as_bytes());
            assert_eq!(answer.status, *status, "{request:?}");
        }
        phalanx.program.stderr.tells("refused a request");
        let ended = phalanx.stop();
        for line in ended.stderr.lines() {
            let may_steer = |character: char| {
                character.is_control() || (hostile.contains(character) && !character.is_ascii())
            };
            assert!(!line.contains(may_steer), "{line:?}");
            if format == "json" {
                let event: serde_json::Value = serde_json::from_str(line).expect("a line is one event");
                assert_ne!(event["level"], "ERROR", "{line}");
            }
        }
    }
}

#[test]
fn a_terminal_gets_colours_unless_it_refuses_them() {
    for (no_color, expected) in [("", true), ("1", false)] {
        let home = Arc::new(Home::new());
        home.write("phalanx.toml", &file(&shell(RED)));
        let mut up = command(&home, &["up"]);
        up.env("NO_COLOR", no_color).env("TERM", "xterm");
        up.arg("--plain");
        let terminal = Terminal::run(up, 100);
        let text = terminal.shown.tells("Ctrl-C drains");
        send(terminal.id(), Signal::INT);
        assert_eq!(terminal.ended().code(), Some(0));
        assert_eq!(text.contains(ESCAPE), expected, "{text}");
        assert_eq!(text.contains("api-1 | \u{1b}[31mred"), expected, "{text}");
    }
}

#[test]
fn faults_and_status_fit_a_narrow_terminal() {
    const COLUMNS: u16 = 40;
    let phalanx = Phalanx::up(&file(&puppets(2)));
    let status = command(&phalanx.home, &["status", "--admin", &phalanx.admin.to_string()]);
    let terminal = Terminal::run(status, COLUMNS);
    let table = terminal.shown.clone();
    assert!(terminal.ended().success());
    let table = table.whole();
    assert!(table.contains("serving"), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= COLUMNS.into()), "{table}");
    phalanx.stop();

    let home = Arc::new(Home::new());
    home.write("phalanx.toml", "[gatway]");
    let terminal = Terminal::run(command(&home, &["check"]), COLUMNS);
    let faults = terminal.shown.clone();
    assert_eq!(terminal.ended().code(), Some(3));
    assert!(faults.whole().contains("gatway"), "{}", faults.text());
}

/// A replica that prints in colour.
const RED: &str = "printf '\\033[31mred\\033[0m\\n'; exec \"$0\"";
