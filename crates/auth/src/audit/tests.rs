use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use phalanx_telemetry::escape::is_hostile;
use proptest::prelude::*;
use tracing::subscriber::with_default;

use super::*;
use crate::{AttemptSettings, Attempts};

/// Where a test reads what would have gone to standard error.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a subscriber that escapes nothing by itself makes of an event: text, and JSON.
fn recorded(event: Event<'_>) -> [String; 2] {
    let client = Some(IpAddr::from([192, 0, 2, 1]));
    let captured = [Captured::default(), Captured::default()];
    let (text, json) = (captured[0].clone(), captured[1].clone());
    let builder = || tracing_subscriber::fmt().with_ansi(false);
    with_default(builder().with_writer(move || text.clone()).finish(), || event.record(client));
    with_default(builder().json().flatten_event(true).with_writer(move || json.clone()).finish(), || {
        event.record(client);
    });
    captured.map(|captured| String::from_utf8(captured.0.lock().unwrap().clone()).unwrap())
}

/// Every event, with `text` wherever somebody else can put one.
fn events<'a>(text: &'a str, login: &'a Alias) -> Vec<Event<'a>> {
    let (account, session, role, by) = (text, text, text, text);
    let retry_after = RetryAfter(Duration::from_millis(1500));
    vec![
        Event::Registered { account },
        Event::LoginSucceeded { account, session },
        Event::LoginFailed { login, reason: LoginFailure::UnknownAccount },
        Event::LoginFailed { login, reason: LoginFailure::WrongPassword },
        Event::LoginFailed { login, reason: LoginFailure::Disabled },
        Event::LoginThrottled { login, retry_after },
        Event::RefreshReused { account, session },
        Event::LoggedOut { account, session },
        Event::LoggedOutEverywhere { account },
        Event::SessionEnded { account, session },
        Event::PasswordChanged { account },
        Event::PasswordRehashed { account },
        Event::RoleChanged { account, role, by },
        Event::AccountDisabled { account, by },
        Event::AccountEnabled { account, by },
    ]
}

fn attempts() -> Attempts {
    Attempts::new(b"secret", &AttemptSettings::default(), None)
}

#[test]
fn events_say_who_what_and_from_where() {
    let login = attempts().alias("ada@example.com");
    let mut lines = String::new();
    for event in events("7", &login) {
        let [_, json] = recorded(event);
        let line: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((line["target"].as_str(), line["message"].as_str()), (Some("audit"), Some("audit")));
        assert_eq!((line["level"].as_str(), line["client"].as_str()), (Some("INFO"), Some("192.0.2.1")));
        lines += line["event"].as_str().unwrap();
        for name in ["account", "session", "role", "by", "reason", "retry_after_seconds"] {
            if !line[name].is_null() {
                lines += &format!(" {name}={}", line[name]);
            }
        }
        assert_eq!(line["login"].is_null(), !line["account"].is_null(), "{json}");
        lines += "\n";
    }
    let expected = r#"registered account="7"
login_succeeded account="7" session="7"
login_failed reason="unknown_account"
login_failed reason="wrong_password"
login_failed reason="disabled"
login_throttled retry_after_seconds=2
refresh_reused account="7" session="7"
logged_out account="7" session="7"
logged_out_everywhere account="7"
session_ended account="7" session="7"
password_changed account="7"
password_rehashed account="7"
role_changed account="7" role="7" by="7"
account_disabled account="7" by="7"
account_enabled account="7" by="7"
"#;
    assert_eq!(lines, expected);
}

#[test]
fn what_was_written_as_a_name_is_told_by_its_alias_alone() {
    // People write their password there.
    for written in ["ada@example.com", "correct horse battery", "eyJhbGciOiJIUzI1NiJ9.e30.c2ln"] {
        let login = attempts().alias(written);
        for line in events("7", &login).into_iter().flat_map(recorded) {
            for part in written.split(['@', ' ', '.']).filter(|part| part.len() > 3) {
                assert!(!line.contains(part), "{part} in {line}");
            }
        }
        assert_eq!(attempts().alias(written), login, "a series of failures shows as one");
    }
}

#[test]
fn text_of_others_forges_no_line_and_no_field() {
    let hostile = "7\n2026-01-01 INFO audit: \"admin\" client=\"10.0.0.1\"\r\u{1b}[2J\u{202e}\u{2028}";
    let long = "x".repeat(10_000);
    let login = attempts().alias(hostile);
    for text in [hostile, &long] {
        for line in events(text, &login).into_iter().flat_map(recorded) {
            let line = line.strip_suffix('\n').unwrap();
            assert_eq!(line.find(is_hostile), None, "{line}");
            assert!(!line.contains("client=\"10.0.0.1\""), "{line}");
            assert!(line.len() < 1200, "{} bytes", line.len());
        }
    }
}

proptest! {
    #[test]
    fn every_event_is_one_harmless_line(text: String) {
        let login = attempts().alias(&text);
        for line in events(&text, &login).into_iter().flat_map(recorded) {
            let line = line.strip_suffix('\n').unwrap();
            prop_assert_eq!(line.find(is_hostile), None);
        }
    }
}
