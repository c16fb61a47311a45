//! Where log lines go and how they look: one line an event, as text or as JSON, to standard error or to whoever shares its
//! terminal.
//!
//! An error among the fields (`error = &error as &dyn Error`) is shown with all its causes.
//!
//! Invariant: a field cannot break its line, steer the terminal or reorder the text around it; see [`crate::escape`].
//! Whoever logs never waits for standard error: a thread writes, and lines that it cannot get rid of are lost, and counted
//! (`lost`), since there is nowhere left to report them.

mod json;
mod lost;
#[cfg(test)]
mod tests;
mod text;

use std::{
    env,
    io::{self, IsTerminal as _},
};

use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{Layer as _, fmt::layer, layer::SubscriberExt as _, registry};

pub use self::lost::lost_collector;
use self::{json::JsonLines, lost::Counting, text::TextFields};

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
    let (writer, guard) = queue.finish(Counting::new(writer));
    lost::count_queue(writer.error_counter());
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
            .fmt_fields(TextFields)
            .with_ansi(palette == Palette::Coloured)
            .with_target(false)
            .with_writer(writer)
            // Reporting a failed write means `eprintln!`, which panics where standard error is what has failed.
            .log_internal_errors(false)
            .boxed(),
        LogFormat::Json => {
            layer().event_format(JsonLines).with_writer(writer).log_internal_errors(false).boxed()
        }
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
