use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use tracing::{Level, event, info, subscriber::with_default};

use super::*;
use crate::escape;

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

fn logged(format: LogFormat, level: LogLevel, palette: Palette, log: impl FnOnce()) -> String {
    let captured = Captured::default();
    let writer = captured.clone();
    with_default(subscriber(format, level, palette, move || writer.clone()), log);
    let bytes = captured.0.lock().unwrap().clone();
    String::from_utf8(bytes).expect("log lines are UTF-8")
}

/// The one line of a text, without its end.
fn only_line(text: &str) -> &str {
    let line = text.strip_suffix('\n').expect("a line has an end");
    assert!(!line.contains('\n'), "more than one line: {text:?}");
    line
}

const HOSTILE: &str = "a\r\nb\x1b[31mc\u{9b}2Jd\u{202e}e\u{2066}f\x7fg\u{2028}h\0i\u{61c}";

#[test]
fn text_says_message_and_fields() {
    let text = logged(LogFormat::Text, LogLevel::Info, Palette::Plain, || {
        info!(service = "api", pid = 7, address = %"127.0.0.1:1", "replica started");
    });
    assert_eq!(
        only_line(&text).split_once("  INFO ").expect("a level").1,
        r#"replica started service="api" pid=7 address=127.0.0.1:1"#
    );
}

#[test]
fn json_says_message_and_fields() {
    let text = logged(LogFormat::Json, LogLevel::Info, Palette::Plain, || {
        info!(service = "api", pid = 7, "replica started");
    });
    let event: serde_json::Value = serde_json::from_str(only_line(&text)).expect("JSON");
    assert_eq!(event["level"], "INFO");
    assert_eq!(event["message"], "replica started");
    assert_eq!(event["service"], "api");
    assert_eq!(event["pid"], 7);
    assert!(event["timestamp"].is_string());
}

#[derive(Debug, thiserror::Error)]
#[error("read an account")]
struct Outer {
    source: Inner,
}

#[derive(Debug, thiserror::Error)]
#[error("connect to {address}")]
struct Inner {
    address: &'static str,
    source: io::Error,
}

#[test]
fn an_error_is_shown_with_its_causes() {
    let log = || {
        let source = Inner { address: "10.0.0.1:5432", source: io::Error::other("no\nroute") };
        let error: &(dyn std::error::Error + 'static) = &Outer { source };
        info!(error, attempts = 2, "failed");
    };
    let text = logged(LogFormat::Text, LogLevel::Info, Palette::Plain, log);
    let (_, fields) = only_line(&text).split_once("  INFO ").expect("a level");
    assert_eq!(fields, r"failed error=read an account: connect to 10.0.0.1:5432: no\nroute attempts=2");
    let text = logged(LogFormat::Json, LogLevel::Info, Palette::Plain, log);
    let event: serde_json::Value = serde_json::from_str(only_line(&text)).expect("JSON");
    assert_eq!(event["error"], "read an account: connect to 10.0.0.1:5432: no\nroute");
    assert_eq!(event["attempts"], 2);
}

#[test]
fn colours_are_for_terminals() {
    let text = |palette| logged(LogFormat::Text, LogLevel::Info, palette, || info!(pid = 7, "started"));
    assert!(text(Palette::Coloured).contains('\x1b'));
    assert!(!text(Palette::Plain).contains('\x1b'));
}

#[test]
fn hostile_text_is_escaped_wherever_it_stands() {
    for format in [LogFormat::Text, LogFormat::Json] {
        let text = logged(format, LogLevel::Info, Palette::Plain, || {
            info!(quoted = HOSTILE, shown = %HOSTILE, debugged = ?HOSTILE, "{HOSTILE}");
        });
        assert_eq!(only_line(&text).find(escape::is_hostile), None, "{text}");
        assert!(text.contains(r"\u{202e}") || text.contains(r"\u202e"), "{text}");
    }
}

#[test]
fn json_fields_keep_their_value_through_the_escapes() {
    let text = logged(LogFormat::Json, LogLevel::Info, Palette::Plain, || info!(path = HOSTILE, "refused"));
    let event: serde_json::Value = serde_json::from_str(only_line(&text)).expect("JSON");
    assert_eq!(event["path"], HOSTILE);
}

proptest! {
    #[test]
    fn an_event_is_one_harmless_line(value: String) {
        for format in [LogFormat::Text, LogFormat::Json] {
            let text = logged(format, LogLevel::Info, Palette::Plain, || info!(shown = %value, "{value}"));
            prop_assert_eq!(only_line(&text).find(escape::is_hostile), None);
        }
    }
}

#[test]
fn less_severe_events_are_left_out() {
    let log = || {
        event!(Level::ERROR, "error");
        event!(Level::WARN, "warn");
        event!(Level::INFO, "info");
        event!(Level::DEBUG, "debug");
        event!(Level::TRACE, "trace");
    };
    let levels = [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];
    for (level, written) in levels.into_iter().zip(1..) {
        let text = logged(LogFormat::Text, level, Palette::Plain, log);
        assert_eq!(text.lines().count(), written, "{level:?}");
    }
}

#[test]
fn a_closed_standard_error_costs_the_line_and_nothing_else() {
    struct Closed;
    impl io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }
    for format in [LogFormat::Text, LogFormat::Json] {
        let subscriber = subscriber(format, LogLevel::Info, Palette::Plain, || Closed);
        with_default(subscriber, || info!(path = HOSTILE, "lost"));
    }
}
