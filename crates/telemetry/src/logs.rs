//! Where log lines go and how they look: one line an event, as text or as JSON, to standard error or to whoever shares its
//! terminal.
//!
//! Invariant: a field cannot break its line, steer the terminal or reorder the text around it; see [`crate::escape`].
//! Whoever logs never waits for standard error: a thread writes, and lines that it cannot get rid of in time are lost, since
//! there is nowhere left to report them.

use std::{
    env,
    fmt::{self, Debug, Write as _},
    io::{self, IsTerminal as _},
};

use tracing::{Subscriber, field::Field, level_filters::LevelFilter};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    Layer as _,
    field::MakeExt as _,
    fmt::{FormatFields, format, layer},
    layer::SubscriberExt as _,
    registry,
};

use crate::escape;

#[cfg(test)]
mod tests;

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// The least severe level that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Faults that need a person.
    Error,
    /// What may become one.
    Warn,
    /// What happens in the life of a fleet.
    Info,
    /// For finding a fault.
    Debug,
    /// Everything.
    Trace,
}

/// Why logging could not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// This process has a subscriber already.
    #[error("logging has begun already")]
    AlreadyBegun(#[from] tracing::subscriber::SetGlobalDefaultError),
}

/// Lines on their way to standard error.
const QUEUE_LINES_MAX: usize = 8192;

/// The thread that writes. Dropped, it writes what is left, for at most about a second.
#[must_use = "without it the last lines are lost"]
#[derive(Debug)]
pub struct LogWriter {
    _guard: WorkerGuard,
}

/// Sends all events of this process to standard error; in colour if that is a terminal and `NO_COLOR` is not set.
///
/// # Errors
/// [`InitError::AlreadyBegun`] when called twice.
pub fn init(format: LogFormat, level: LogLevel) -> Result<LogWriter, InitError> {
    init_to(io::stderr(), format, level)
}

/// The same to `writer`, which stands for standard error: each line comes in one piece, on a thread that may wait.
///
/// # Errors
/// [`InitError::AlreadyBegun`] when called twice.
pub fn init_to(
    writer: impl io::Write + Send + 'static,
    format: LogFormat,
    level: LogLevel,
) -> Result<LogWriter, InitError> {
    let colour_refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let palette =
        if io::stderr().is_terminal() && !colour_refused { Palette::Coloured } else { Palette::Plain };
    let queue = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(QUEUE_LINES_MAX);
    let (writer, guard) = queue.finish(writer);
    tracing::subscriber::set_global_default(subscriber(format, level, palette, move || writer.clone()))?;
    Ok(LogWriter { _guard: guard })
}

/// Whether a line of text carries terminal colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Palette {
    Coloured,
    Plain,
}

fn subscriber<W: io::Write + 'static>(
    format: LogFormat,
    level: LogLevel,
    palette: Palette,
    writer: impl Fn() -> W + Send + Sync + 'static,
) -> impl Subscriber + Send + Sync {
    let lines = match format {
        LogFormat::Text => layer()
            .fmt_fields(text_fields())
            .with_ansi(palette == Palette::Coloured)
            .with_target(false)
            .with_writer(writer)
            // Reporting a failed write means `eprintln!`, which panics where standard error is what has failed.
            .log_internal_errors(false)
            .boxed(),
        LogFormat::Json => layer()
            .json()
            .flatten_event(true)
            .with_writer(move || JsonEscaping(writer()))
            .log_internal_errors(false)
            .boxed(),
    };
    registry().with(level_filter(level)).with(lines)
}

fn level_filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

/// `message key=value key=value`, escaped. The formatter's own fields escape only some terminal sequences, and no line
/// breaks.
fn text_fields() -> impl for<'a> FormatFields<'a> + Send + Sync + 'static {
    format::debug_fn(write_text_field).delimited(" ")
}

fn write_text_field(writer: &mut format::Writer<'_>, field: &Field, value: &dyn Debug) -> fmt::Result {
    match (field.name(), writer.has_ansi_escapes()) {
        ("message", _) => {}
        (name, true) => write!(writer, "\x1b[2m{name}=\x1b[0m")?,
        (name, false) => write!(writer, "{name}=")?,
    }
    write!(escape::Escaping(writer), "{value:?}")
}

/// Escapes what JSON itself lets stand in a string: DEL, the C1 controls, and the marks that reorder text.
struct JsonEscaping<W>(W);

impl<W: io::Write> io::Write for JsonEscaping<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        // The line's own end is the one control character that JSON has left.
        let hostile = |character: char| character != '\n' && escape::is_hostile(character);
        if !text.contains(hostile) {
            self.0.write_all(line)?;
            return Ok(line.len());
        }
        let mut escaped = String::with_capacity(text.len() + 16);
        for character in text.chars() {
            if hostile(character) {
                write!(escaped, "\\u{:04x}", u32::from(character)).expect("writing to a string cannot fail");
            } else {
                escaped.push(character);
            }
        }
        self.0.write_all(escaped.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
