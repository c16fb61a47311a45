//! `phalanx_log_lost_lines`: log lines that standard error did not take, or not in time.
//!
//! Counted for the process, which has one log. Elsewhere: lines of replicas, which go to standard output (`phalanx-fleet`).

use std::{
    fmt,
    io::{self, Write},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter},
};
use tracing_appender::non_blocking::ErrorCounter;

static REFUSED: AtomicU64 = AtomicU64::new(0);
static NOT_QUEUED: OnceLock<ErrorCounter> = OnceLock::new();

/// What exposes how many lines of this process's log are lost.
pub fn lost_collector() -> Box<dyn Collector> {
    Box::new(LostCollector { count: lost_lines })
}

/// Lines for which the queue has no room are counted by it.
pub(super) fn count_queue(counter: ErrorCounter) {
    // A second log cannot begin, and is refused elsewhere.
    let _ = NOT_QUEUED.set(counter);
}

fn lost_lines() -> u64 {
    let not_queued = NOT_QUEUED.get().map_or(0, |counter| counter.dropped_lines() as u64);
    REFUSED.load(Ordering::Relaxed) + not_queued
}

/// Where lines are written, each by one `write_all`; those that fail are counted.
pub(super) struct Counting<W> {
    inner: W,
    refused: &'static AtomicU64,
}

impl<W: Write> Counting<W> {
    pub(super) fn new(inner: W) -> Self {
        Self { inner, refused: &REFUSED }
    }
}

impl<W: Write> Write for Counting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)
    }

    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        let written = self.inner.write_all(line);
        if written.is_err() {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

struct LostCollector {
    count: fn() -> u64,
}

impl fmt::Debug for LostCollector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LostCollector").finish_non_exhaustive()
    }
}

impl Collector for LostCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Lines of the log that standard error did not take.";
        let lost = encoder.encode_descriptor("phalanx_log_lost_lines", help, None, MetricType::Counter)?;
        ConstCounter::new((self.count)()).encode(lost)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use tracing_appender::non_blocking::NonBlockingBuilder;

    use super::*;
    use crate::exposition::Exposition;

    #[test]
    fn each_line_that_a_full_disk_refuses_is_counted() {
        static REFUSED: AtomicU64 = AtomicU64::new(0);
        let full = File::options().write(true).open("/dev/full").unwrap();
        let (mut queue, guard) =
            NonBlockingBuilder::default().finish(Counting { inner: full, refused: &REFUSED });
        for _ in 0..100 {
            queue.write_all(b"a line\n").unwrap();
        }
        drop(guard);
        let collector = LostCollector { count: || REFUSED.load(Ordering::Relaxed) };
        let exposition = Exposition::of(Box::new(collector));
        assert_eq!(exposition.value("phalanx_log_lost_lines_total", &[]), Some(100.0));
    }

    #[test]
    fn a_line_that_is_written_is_not_lost() {
        static REFUSED: AtomicU64 = AtomicU64::new(0);
        let mut written = Counting { inner: Vec::new(), refused: &REFUSED };
        written.write_all(b"a line\n").unwrap();
        assert_eq!((written.inner.as_slice(), REFUSED.load(Ordering::Relaxed)), (&b"a line\n"[..], 0));
    }
}
