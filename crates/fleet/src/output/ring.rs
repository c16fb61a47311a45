//! What is remembered of the output of a replica: the last lines of its runs, for people, and of one run, for the message
//! about its end.
//!
//! Invariant: both are bounded, in lines and in the length of each; the ring in bytes as well.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

/// Of all runs of a replica.
const RING_LINES_MAX: usize = 500;
const RING_BYTES_MAX: usize = 256 << 10;
const RING_LINE_CHARS_MAX: usize = 2000;
/// Lines kept for the message about a crash: a panic or an exception with the inner part of its trace.
const LAST_LINES_MAX: usize = 20;
/// Of each of these lines.
const LAST_LINE_CHARS_MAX: usize = 400;

/// A line that a replica printed, as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputRecord {
    /// When it was read.
    pub at: SystemTime,
    /// Where it was printed.
    pub stream: OutputStream,
    /// Without escape sequences, clipped if it is very long.
    pub text: String,
}

/// What a program prints to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// The last lines of a replica, over its restarts.
#[derive(Debug, Default)]
pub(super) struct Ring(Mutex<Records>);

#[derive(Debug, Default)]
struct Records {
    lines: VecDeque<OutputRecord>,
    bytes: usize,
}

impl Ring {
    pub(super) fn push(&self, at: SystemTime, stream: OutputStream, text: &str) {
        let text = clipped(text, RING_LINE_CHARS_MAX).to_owned();
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        records.bytes += text.len();
        records.lines.push_back(OutputRecord { at, stream, text });
        while records.lines.len() > RING_LINES_MAX || records.bytes > RING_BYTES_MAX {
            let Some(oldest) = records.lines.pop_front() else { break };
            records.bytes -= oldest.text.len();
        }
    }

    pub(super) fn snapshot(&self) -> Vec<OutputRecord> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).lines.iter().cloned().collect()
    }
}

/// The last lines of one run, from both of its streams.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastLines(Arc<Mutex<VecDeque<String>>>);

impl LastLines {
    pub(super) fn push(&self, text: &str) {
        let kept = clipped(text, LAST_LINE_CHARS_MAX).to_owned();
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

fn clipped(text: &str, chars_max: usize) -> &str {
    text.char_indices().nth(chars_max).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use phalanx_telemetry::clock;

    use super::*;

    #[test]
    fn the_ring_keeps_the_last_lines_within_its_bounds() {
        let ring = Ring::default();
        let push = |text: &str| ring.push(clock::wall(), OutputStream::Stderr, text);
        (0..2 * RING_LINES_MAX).for_each(|n| push(&n.to_string()));
        let kept = ring.snapshot();
        assert_eq!(kept.len(), RING_LINES_MAX);
        assert_eq!((&*kept[0].text, kept[0].stream), ("500", OutputStream::Stderr));
        assert_eq!(kept[RING_LINES_MAX - 1].text, "999");

        let long = "\u{20ac}".repeat(2 * RING_LINE_CHARS_MAX);
        (0..RING_LINES_MAX).for_each(|_| push(&long));
        let kept = ring.snapshot();
        assert!(kept.iter().all(|record| record.text.chars().count() == RING_LINE_CHARS_MAX));
        let bytes: usize = kept.iter().map(|record| record.text.len()).sum();
        assert!((RING_BYTES_MAX - 3 * RING_LINE_CHARS_MAX..=RING_BYTES_MAX).contains(&bytes), "{bytes}");
    }
}
