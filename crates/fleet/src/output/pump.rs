//! Reads one stream of a replica to its end.
//!
//! Invariants: a line is at most [`LINE_BYTES_MAX`] long, longer ones go on in the next. A stream that is beyond its bound is
//! read on, in large pieces at a steady pace and without a look at what they say: the program goes on, up to
//! about 32 MB a second, and the thread that reads has time for everything else.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    time::{sleep, sleep_until},
};

use super::{
    ring::{LastLines, OutputStream},
    sink::Sink,
};

/// Long enough for a line of JSON with a stack trace in it.
pub(super) const LINE_BYTES_MAX: usize = 16 * 1024;
/// What is read at once.
const PIECE_BYTES_MAX: usize = 32 * 1024;
/// Between two pieces of a flood.
const PIECE_PAUSE: Duration = Duration::from_millis(1);
/// What is kept of a flood, in case it is the last that a program says.
const TAIL_BYTES_MAX: usize = 4 * 1024;

/// Reads `stream` to its end.
pub(crate) async fn pump(
    stream: impl AsyncRead + Unpin,
    origin: OutputStream,
    sink: Arc<Sink>,
    last_lines: LastLines,
) {
    let stream = BufReader::with_capacity(PIECE_BYTES_MAX, stream);
    let mut pump = Pump { stream, line: Vec::new(), origin, sink, last_lines, untaken: 0 };
    // A stream that cannot be read is one that has ended: the process does not depend on being listened to.
    while let Ok(true) = pump.pass_line().await {}
}

struct Pump<S> {
    stream: BufReader<S>,
    /// What was read of the next line.
    line: Vec<u8>,
    origin: OutputStream,
    sink: Arc<Sink>,
    last_lines: LastLines,
    /// Lines that the terminal did not take, and has not been told of.
    untaken: u64,
}

/// What was dropped of a flood.
#[derive(Default)]
struct Flood {
    lines: u64,
    tail: Vec<u8>,
    has_ended: bool,
}

impl<S: AsyncRead + Unpin> Pump<S> {
    /// `false` at the end of the stream.
    async fn pass_line(&mut self) -> io::Result<bool> {
        if !self.read_line().await? {
            return Ok(false);
        }
        let text = take_text(&mut self.line);
        match self.sink.admit(text.len()) {
            Ok(()) => self.deliver(text).await,
            Err(until) => return self.pass_flood(until).await,
        }
        Ok(true)
    }

    /// Appends to `line` up to the end of the line, of the stream, or of the room; `false` at the end of the stream.
    async fn read_line(&mut self) -> io::Result<bool> {
        let room = LINE_BYTES_MAX - self.line.len();
        (&mut self.stream).take(room as u64).read_until(b'\n', &mut self.line).await?;
        Ok(!self.line.is_empty())
    }

    async fn deliver(&mut self, text: String) {
        self.sink.remember(self.origin, &text, &self.last_lines);
        if self.untaken > 0 {
            let told = format!("({} lines were dropped: nobody took them)", self.untaken);
            if self.sink.try_send(told) {
                self.untaken = 0;
            }
        }
        let is_taken = match self.untaken {
            0 => self.sink.send(text).await,
            // It has waited once.
            _ => self.sink.try_send(text),
        };
        if !is_taken {
            self.untaken += 1;
            self.sink.count_dropped(1);
        }
    }

    /// Drops what comes until then, from the line on that was just read, and tells how much it was.
    async fn pass_flood(&mut self, until: Instant) -> io::Result<bool> {
        // The rest of a line that was cut is dropped with it.
        self.line.clear();
        let mut flood = self.discard(until).await?;
        flood.lines += u64::from(flood.is_within_a_line());
        let last_words = if flood.has_ended { flood.last_words() } else { Vec::new() };
        self.sink.count_dropped(flood.lines);
        let lines = flood.lines;
        self.deliver(format!(
            "({lines} lines were dropped: it printed more than 1000 lines or 1 MiB a second)"
        ))
        .await;
        for text in last_words {
            self.deliver(text).await;
        }
        if flood.is_within_a_line() && !flood.has_ended {
            let goes_on = self.read_line().await?;
            self.line.clear();
            return Ok(goes_on);
        }
        Ok(!flood.has_ended)
    }

    async fn discard(&mut self, until: Instant) -> io::Result<Flood> {
        let mut flood = Flood { lines: 1, ..Flood::default() };
        loop {
            let piece = tokio::select! {
                biased;
                () = sleep_until(until.into()) => return Ok(flood),
                piece = self.stream.fill_buf() => piece?,
            };
            flood.add(piece);
            let bytes = piece.len();
            self.stream.consume(bytes);
            match bytes {
                0 => return Ok(flood),
                PIECE_BYTES_MAX => sleep(PIECE_PAUSE).await,
                _ => {}
            }
        }
    }
}

impl Flood {
    fn add(&mut self, piece: &[u8]) {
        self.has_ended = piece.is_empty();
        self.lines += piece.iter().map(|byte| u64::from(*byte == b'\n')).sum::<u64>();
        let kept = &piece[piece.len().saturating_sub(TAIL_BYTES_MAX)..];
        let excess = (self.tail.len() + kept.len()).saturating_sub(TAIL_BYTES_MAX);
        self.tail.drain(..excess);
        self.tail.extend_from_slice(kept);
    }

    fn is_within_a_line(&self) -> bool {
        self.tail.last().is_some_and(|last| *last != b'\n')
    }

    /// The last whole lines, which then are not dropped: they may tell why the program ended.
    fn last_words(&mut self) -> Vec<String> {
        let begin = self.tail.iter().position(|byte| *byte == b'\n').map_or(self.tail.len(), |end| end + 1);
        let tail = String::from_utf8_lossy(&self.tail[begin..]).into_owned();
        let lines: Vec<_> = tail.lines().map(str::to_owned).collect();
        self.lines = self.lines.saturating_sub(lines.len() as u64);
        lines
    }
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
mod tests;
