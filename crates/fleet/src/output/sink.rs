//! Where the output of one replica goes, and those of all replicas.
//!
//! Invariant: a [`Sink`] outlives the runs of its replica and goes with the replica, so that what is remembered of output is
//! bounded by the replicas there are.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use phalanx_telemetry::clock;
use tokio::sync::mpsc;

use super::{
    OutputLine,
    bound::Bound,
    clean::{Colours, clean},
    ring::{LastLines, OutputRecord, OutputStream, Ring},
};

/// How long a line may wait for a place in the queue.
const STALL_MAX: Duration = Duration::from_secs(1);

/// Where the output of one replica goes.
#[derive(Debug)]
pub(crate) struct Sink {
    instance: Arc<str>,
    ring: Ring,
    bound: Mutex<Bound>,
    dropped_lines: AtomicU64,
    terminal: mpsc::Sender<OutputLine>,
}

impl Sink {
    fn new(instance: Arc<str>, terminal: mpsc::Sender<OutputLine>) -> Self {
        let (ring, bound, dropped_lines) = (Ring::default(), Mutex::default(), AtomicU64::new(0));
        Self { instance, ring, bound, dropped_lines, terminal }
    }

    /// Whether a line of so many bytes is taken; if not, until when none is.
    pub(super) fn admit(&self, bytes: usize) -> Result<(), Instant> {
        self.bound.lock().unwrap_or_else(PoisonError::into_inner).admit(bytes, clock::now())
    }

    pub(super) fn remember(&self, stream: OutputStream, text: &str, last_lines: &LastLines) {
        let text = clean(text, Colours::Strip);
        last_lines.push(&text);
        self.ring.push(clock::wall(), stream, &text);
    }

    /// Passes a line on to the terminal, for which it waits a while; whether it was taken.
    pub(super) async fn send(&self, text: String) -> bool {
        self.terminal.send_timeout(self.line(text), STALL_MAX).await.is_ok()
    }

    /// The same, without waiting.
    pub(super) fn try_send(&self, text: String) -> bool {
        self.terminal.try_send(self.line(text)).is_ok()
    }

    pub(super) fn count_dropped(&self, lines: u64) {
        self.dropped_lines.fetch_add(lines, Ordering::Relaxed);
    }

    fn line(&self, text: String) -> OutputLine {
        OutputLine { instance: Some(Arc::clone(&self.instance)), text }
    }
}

/// The output of all replicas.
#[derive(Debug)]
pub(crate) struct Outputs {
    sinks: Mutex<HashMap<Arc<str>, Weak<Sink>>>,
    terminal: mpsc::Sender<OutputLine>,
}

impl Outputs {
    pub(crate) fn new(terminal: mpsc::Sender<OutputLine>) -> Self {
        Self { sinks: Mutex::default(), terminal }
    }

    /// The sink of a replica, which keeps it.
    pub(crate) fn sink(&self, instance: &Arc<str>) -> Arc<Sink> {
        let mut sinks = self.sinks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sink) = sinks.get(instance).and_then(Weak::upgrade) {
            return sink;
        }
        sinks.retain(|_, sink| sink.strong_count() > 0);
        let sink = Arc::new(Sink::new(Arc::clone(instance), self.terminal.clone()));
        sinks.insert(Arc::clone(instance), Arc::downgrade(&sink));
        sink
    }

    /// The last lines of a replica; none where there is no such replica.
    pub(crate) fn records(&self, instance: &str) -> Vec<OutputRecord> {
        self.existing(instance).map(|sink| sink.ring.snapshot()).unwrap_or_default()
    }

    /// Lines of a replica that were dropped, since it has been there.
    pub(crate) fn dropped_lines(&self, instance: &str) -> u64 {
        self.existing(instance).map_or(0, |sink| sink.dropped_lines.load(Ordering::Relaxed))
    }

    fn existing(&self, instance: &str) -> Option<Arc<Sink>> {
        self.sinks.lock().unwrap_or_else(PoisonError::into_inner).get(instance)?.upgrade()
    }
}
