//! What replicas print: read line by line, kept for a crash message, passed on with the instance as its prefix.
//!
//! Invariants: a line is at most [`LINE_BYTES_MAX`] long, longer ones go on in the next. Nobody waits for a terminal that
//! stands still: a replica waits once, for [`STALL_MAX`], and from then on its lines are dropped and counted until they are
//! taken again.
//! Elsewhere: the thread that [`write_lines`] needs (the binary); the messages of the fleet itself (`crate::notice`).

mod clean;

use std::{
    collections::VecDeque,
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    sync::mpsc,
};

pub use self::clean::Colours;
pub(crate) use self::clean::clean;

/// Long enough for a line of JSON with a stack trace in it.
const LINE_BYTES_MAX: usize = 16 * 1024;
/// Lines on their way to the terminal.
const QUEUE_LINES_MAX: usize = 256;
/// How long a line may wait for a place in the queue.
const STALL_MAX: Duration = Duration::from_secs(1);
/// Lines kept for the message about a crash: a panic or an exception with the inner part of its trace.
const LAST_LINES_MAX: usize = 20;
/// Of each of these lines.
const LAST_LINE_CHARS_MAX: usize = 400;

/// A line that a replica printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputLine {
    /// Which replica; `None`: what Phalanx itself tells, printed as it is.
    pub instance: Option<Arc<str>>,
    /// As printed, without its end; bytes that are not UTF-8 are replaced.
    pub text: String,
}

impl OutputLine {
    /// What Phalanx itself tells, of one line or several.
    #[must_use]
    pub fn verbatim(text: String) -> Self {
        Self { instance: None, text }
    }
}

/// The queue between the replicas and the thread that runs [`write_lines`].
#[must_use]
pub fn output_queue() -> (mpsc::Sender<OutputLine>, mpsc::Receiver<OutputLine>) {
    mpsc::channel(QUEUE_LINES_MAX)
}

/// Writes each line as `INSTANCE | TEXT` until every sender is gone. Blocks, so it takes a thread of its own.
///
/// A writer that fails, such as a closed pipe, is not written to again; the lines are still taken, since a replica must not
/// stand still because nobody reads along.
///
/// # Errors
/// The first failure of `writer`, after the last line.
pub fn write_lines(
    mut lines: mpsc::Receiver<OutputLine>,
    mut writer: impl Write,
    colours: Colours,
) -> io::Result<()> {
    let mut written = Ok(());
    while let Some(line) = lines.blocking_recv() {
        if written.is_ok() {
            written = match &line.instance {
                Some(instance) => writeln!(writer, "{instance} | {}", clean(&line.text, colours)),
                None => writeln!(writer, "{}", line.text),
            };
        }
        // Flushed when there is nothing more to write, so that a flood costs few system calls.
        if written.is_ok() && lines.is_empty() {
            written = writer.flush();
        }
    }
    written
}

/// The last lines of one run, from both of its streams.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastLines(Arc<Mutex<VecDeque<String>>>);

impl LastLines {
    fn push(&self, text: &str) {
        let kept: String = clean(text, Colours::Strip).chars().take(LAST_LINE_CHARS_MAX).collect();
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LAST_LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(kept);
    }

    pub(crate) fn snapshot(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// Reads one stream of a replica to its end.
pub(crate) async fn pump(
    stream: impl AsyncRead + Unpin,
    instance: Arc<str>,
    last_lines: LastLines,
    output: mpsc::Sender<OutputLine>,
) {
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    let mut dropped = 0_u64;
    // A stream that cannot be read is one that has ended: the process does not depend on being listened to.
    while let Ok(true) = read_line(&mut stream, &mut line).await {
        let text = take_text(&mut line);
        last_lines.push(&text);
        let instance = || Some(Arc::clone(&instance));
        if dropped > 0 {
            let text = format!("({dropped} lines were dropped: nobody took them)");
            if output.try_send(OutputLine { instance: instance(), text }).is_ok() {
                dropped = 0;
            }
        }
        let line = OutputLine { instance: instance(), text };
        let taken = match dropped {
            0 => output.send_timeout(line, STALL_MAX).await.is_ok(),
            // It has waited once.
            _ => output.try_send(line).is_ok(),
        };
        dropped += u64::from(!taken);
    }
}

/// Appends to `line` up to the end of the line, of the stream, or of the room; `false` at the end of the stream.
async fn read_line(stream: &mut BufReader<impl AsyncRead + Unpin>, line: &mut Vec<u8>) -> io::Result<bool> {
    let room = LINE_BYTES_MAX - line.len();
    stream.take(room as u64).read_until(b'\n', line).await?;
    Ok(!line.is_empty())
}

/// Takes the text out of `line`; what stays is the begun character at the end of a line that was cut.
fn take_text(line: &mut Vec<u8>) -> String {
    let was_cut = line.len() == LINE_BYTES_MAX && line.last() != Some(&b'\n');
    let whole = match str::from_utf8(line) {
        Err(error) if was_cut && error.error_len().is_none() => error.valid_up_to(),
        _ => line.len(),
    };
    let rest = line.split_off(whole);
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    let text = String::from_utf8_lossy(text.strip_suffix(b"\r").unwrap_or(text)).into_owned();
    *line = rest;
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_come_out_as_they_were_printed() {
        for (printed, lines) in [
            (&b"one\ntwo\r\n\nlast without end"[..], vec!["one", "two", "", "last without end"]),
            (b"caf\xc3\xa9 \xff\xfe\n", vec!["caf\u{e9} \u{fffd}\u{fffd}"]),
            (b"", vec![]),
        ] {
            assert_eq!(pumped(printed).await, lines);
        }
    }

    #[tokio::test]
    async fn a_line_without_end_is_cut_between_characters() {
        let printed = "\u{20ac}".repeat(LINE_BYTES_MAX);
        let lines = pumped(printed.as_bytes()).await;
        assert!(lines.iter().all(|line| line.len() <= LINE_BYTES_MAX), "{:?}", lines.iter().map(String::len));
        assert_eq!(lines.concat(), printed);
    }

    #[tokio::test]
    async fn only_the_last_lines_are_kept_and_each_is_bounded() {
        let (sender, mut receiver) = output_queue();
        let last_lines = LastLines::default();
        let printed: String = (0..50).map(|n| format!("{n} {}\n", "x".repeat(1000))).collect();
        pump(printed.as_bytes(), "api-1".into(), last_lines.clone(), sender).await;
        receiver.close();
        let kept = last_lines.snapshot();
        assert_eq!(kept.len(), LAST_LINES_MAX);
        assert!(kept[0].starts_with("30 ") && kept[19].starts_with("49 "), "{kept:?}");
        assert!(kept.iter().all(|line| line.len() == LAST_LINE_CHARS_MAX));
    }

    #[test]
    fn each_line_is_written_with_its_instance() {
        assert_eq!(written(&["ready", "\u{1b}[31mred"], Vec::new()), "api-1 | ready\napi-1 | red\n");
    }

    #[test]
    fn a_closed_terminal_does_not_stop_the_lines() {
        let (sender, receiver) = output_queue();
        let writer = std::thread::spawn(|| write_lines(receiver, BrokenPipe, Colours::Strip));
        for _ in 0..2 * QUEUE_LINES_MAX {
            sender.blocking_send(line("more")).unwrap();
        }
        drop(sender);
        assert_eq!(writer.join().unwrap().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    struct BrokenPipe;

    impl Write for BrokenPipe {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn line(text: &str) -> OutputLine {
        OutputLine { instance: Some("api-1".into()), text: text.to_owned() }
    }

    fn written(texts: &[&str], mut to: Vec<u8>) -> String {
        let (sender, receiver) = output_queue();
        for text in texts {
            sender.try_send(line(text)).unwrap();
        }
        drop(sender);
        write_lines(receiver, &mut to, Colours::Strip).unwrap();
        String::from_utf8(to).unwrap()
    }

    async fn pumped(printed: &[u8]) -> Vec<String> {
        let (sender, mut receiver) = output_queue();
        pump(printed, "api-1".into(), LastLines::default(), sender).await;
        let mut lines = Vec::new();
        while let Some(line) = receiver.recv().await {
            lines.push(line.text);
        }
        lines
    }
}
