//! What `phalanx up` shows on a terminal: a few lines that are drawn anew, and the lines of the replicas above them.

use std::{
    io::{BufRead as _, BufReader},
    sync::Arc,
};

use rustix::process::Signal;

use crate::support::{
    home::{Home, send},
    http,
    phalanx::{addresses, command, file, puppets},
    terminal::Terminal,
    until,
};

const ESCAPE: char = '\u{1b}';

/// What stands in the rows of a terminal, whatever was drawn over: no escape sequences, one row each.
fn rows(shown: &str) -> Vec<String> {
    let mut plain = String::new();
    let mut characters = shown.chars();
    while let Some(character) = characters.next() {
        match character {
            // Up to the letter that ends it.
            ESCAPE => drop(characters.by_ref().skip(1).find(char::is_ascii_alphabetic)),
            '\r' => plain.push('\n'),
            character => plain.push(character),
        }
    }
    plain.lines().map(|row| row.trim_end().to_owned()).collect()
}

/// Whether there is a sequence that sets colours: one that ends with `m`.
fn has_colours(shown: &str) -> bool {
    shown
        .split(ESCAPE)
        .skip(1)
        .any(|sequence| sequence.find(char::is_alphabetic).is_some_and(|at| sequence[at..].starts_with('m')))
}

fn up(home: &Home, variables: &[(&str, &str)], arguments: &[&str]) -> std::process::Command {
    home.write("phalanx.toml", &file(&puppets(2)));
    let mut up = command(home, &[&["up"], arguments].concat());
    up.env("TERM", "xterm").envs(variables.iter().copied());
    up
}

fn gateway_and_admin(terminal: &Terminal) -> (std::net::SocketAddr, std::net::SocketAddr) {
    let shown = terminal.shown.tells("Ctrl-C drains");
    let rows = rows(&shown);
    addresses(rows.iter().find(|row| row.contains(" starts ")).unwrap())
}

#[test]
fn services_are_shown_below_what_the_replicas_print() {
    let home = Arc::new(Home::new());
    let terminal = Terminal::run(up(&home, &[], &[]), 100);
    let (gateway, _) = gateway_and_admin(&terminal);
    terminal.shown.tells("2/2 ready");
    http::get(gateway, "/print?a-line-of-a-replica");
    let shown = terminal.shown.tells("a-line-of-a-replica");
    assert!(shown.contains(" | a-line-of-a-replica"), "{shown}");
    // The log goes the same way, or it would be drawn over.
    assert!(rows(&shown).iter().any(|row| row.contains("replica is ready")), "{shown}");
    terminal.shown.tells("last     api rollout-complete");
    send(terminal.id(), Signal::INT);
    let shown = terminal.shown.clone();
    assert_eq!(terminal.ended().code(), Some(0));
    assert!(shown.whole().contains("all replicas have ended"), "the last lines come too");
    home.assert_empty();
}

#[test]
fn a_terminal_that_becomes_narrow_gets_lines_that_fit() {
    let home = Arc::new(Home::new());
    let terminal = Terminal::run(up(&home, &[("NO_COLOR", "1")], &[]), 100);
    gateway_and_admin(&terminal);
    terminal.shown.tells("connections");
    terminal.resize(40);
    let before = terminal.shown.text().len();
    let drawn = |shown: &str| rows(&shown[before..]).iter().filter(|row| row.starts_with("gateway ")).count();
    until("it is drawn for the new width", || drawn(&terminal.shown.text()) > 3);
    let shown = terminal.shown.text();
    // The first of them may have been on its way.
    let fits = |row: &&String| row.starts_with("gateway ") || row.starts_with("api ");
    for row in rows(&shown[before..]).iter().filter(fits).skip(4) {
        assert!(row.chars().count() <= 40, "{row:?}");
    }
    assert!(!has_colours(&shown), "a colour in {shown:?}");
    send(terminal.id(), Signal::INT);
    assert_eq!(terminal.ended().code(), Some(0));
}

#[test]
fn plain_lines_are_to_be_had() {
    for (variables, arguments) in
        [(&[("TERM", "dumb"), ("NO_COLOR", "1")][..], &[][..]), (&[("NO_COLOR", "1")], &["--plain"])]
    {
        let home = Arc::new(Home::new());
        let terminal = Terminal::run(up(&home, variables, arguments), 80);
        gateway_and_admin(&terminal);
        send(terminal.id(), Signal::INT);
        let shown = terminal.shown.clone();
        assert_eq!(terminal.ended().code(), Some(0));
        assert!(!shown.whole().contains(ESCAPE), "{}", shown.text());
    }
}

#[test]
fn a_terminal_that_goes_away_ends_nothing() {
    let home = Arc::new(Home::new());
    let (mut child, people_side) = Terminal::unread(up(&home, &[], &[]), 100);
    let mut shown = BufReader::new(people_side);
    let mut line = String::new();
    while !line.contains(" starts ") {
        line.clear();
        shown.read_line(&mut line).unwrap();
    }
    let (gateway, admin) = addresses(rows(&line).iter().find(|row| row.contains(" starts ")).unwrap());
    drop(shown);
    until("it serves", || http::get(admin, "/readyz").status == 200);
    for _ in 0..100 {
        assert_eq!(http::get(gateway, "/print?more").status, 200);
    }
    send(child.id(), Signal::TERM);
    let status = crate::support::eventually("the end", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0), "{status}");
    home.assert_empty();
}
