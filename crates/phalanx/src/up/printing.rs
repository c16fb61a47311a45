//! What is printed: the lines of the replicas, Phalanx's own and, where they share a terminal with these, the log's.
//!
//! Invariant: a thread writes, and nobody who runs on the main thread ever waits for it.
//! Elsewhere: how a terminal is drawn (`super::live`); which lines are dropped where nobody takes them (`phalanx-fleet`).

use std::{
    fs::File,
    io::{self, IsTerminal as _, Write},
    os::fd::AsFd as _,
    thread,
    time::Duration,
};

use anyhow::Context as _;
use phalanx_config::{Log, LogFormat, LogLevel};
use phalanx_fleet::{Colours, LostLines, OutputLine};
use phalanx_telemetry::logs::{self, LogWriter};
use tokio::sync::{mpsc, oneshot, watch};

use super::{live, view::View};
use crate::{exit::Failure, terminal};

/// How long the last lines may take to be printed.
const LAST_OUTPUT_MAX: Duration = Duration::from_secs(1);

/// The threads that write.
pub(super) struct Printing {
    pub(super) lines: mpsc::Sender<OutputLine>,
    /// What a terminal shows at the bottom; `None` where lines are all.
    pub(super) views: Option<watch::Sender<Option<View>>>,
    /// Counts the lines that standard output did not take.
    pub(super) lost: LostLines,
    printed: oneshot::Receiver<()>,
    log: LogWriter,
}

/// Starts to print; on a terminal with a live view unless it is to be `plain`.
pub(super) fn start(log: &Log, plain: bool) -> Result<Printing, Failure> {
    let (lines, queue) = phalanx_fleet::output_queue();
    let lost = LostLines::default();
    let colours = if terminal::takes_colours() { Colours::Keep } else { Colours::Strip };
    if plain || !live::is_possible() {
        let log = start_log(io::stderr(), log)?;
        let printed = write_lines(queue, colours, lost.clone())
            .context("start the output thread")
            .map_err(Failure::Runtime)?;
        return Ok(Printing { lines, views: None, lost, printed, log });
    }
    // What went past the thread that draws would be drawn over.
    let log = match io::stderr().is_terminal() {
        true => start_log(LogLines(lines.clone()), log)?,
        false => start_log(io::stderr(), log)?,
    };
    let (views, shown) = watch::channel(None);
    let printed =
        live::start(queue, shown, colours).context("start the output thread").map_err(Failure::Runtime)?;
    Ok(Printing { lines, views: Some(views), lost, printed, log })
}

impl Printing {
    /// Writes what is left, unless nobody takes it. Everybody else who prints has ended.
    pub(super) async fn finish(self) {
        let Self { lines, views, printed, log, .. } = self;
        drop((lines, views, log));
        let _ = tokio::time::timeout(LAST_OUTPUT_MAX, printed).await;
    }
}

fn start_log(writer: impl Write + Send + 'static, log: &Log) -> Result<LogWriter, Failure> {
    let format = match log.format {
        LogFormat::Json => logs::LogFormat::Json,
        LogFormat::Text => logs::LogFormat::Text,
    };
    let level = match log.level {
        LogLevel::Error => logs::LogLevel::Error,
        LogLevel::Warn => logs::LogLevel::Warn,
        LogLevel::Info => logs::LogLevel::Info,
        LogLevel::Debug => logs::LogLevel::Debug,
        LogLevel::Trace => logs::LogLevel::Trace,
    };
    logs::init_to(writer, format, level).context("start the log").map_err(Failure::Runtime)
}

/// The log, among the lines that are printed. It is written on a thread of its own, which may wait.
struct LogLines(mpsc::Sender<OutputLine>);

impl Write for LogLines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes).trim_end().to_owned();
        // Nobody prints any more at the very end; then the line is lost, as it would be in a closed terminal.
        let _ = self.0.blocking_send(OutputLine::verbatim(text));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Starts the thread that writes plain lines to standard output; what it returns comes when everything has been written.
fn write_lines(
    lines: mpsc::Receiver<OutputLine>,
    colours: Colours,
    lost: LostLines,
) -> io::Result<oneshot::Receiver<()>> {
    // Without the buffer of the standard library, which would keep what a full disk did not take.
    let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let (printed, all_printed) = oneshot::channel();
    thread::Builder::new().name("output".to_owned()).spawn(move || {
        phalanx_fleet::write_lines(lines, stdout, colours, &lost);
        // Nobody waits any more where the program ends without it.
        let _ = printed.send(());
    })?;
    Ok(all_printed)
}
