//! What fills the set: follows the feed, tells the store what it lacks, and forgets what is over.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use phalanx_telemetry::clock;
use tokio_util::sync::CancellationToken;

use super::{
    Shared,
    feed::{BATCH, Follower, Page, PageEnd},
    outstanding::{Delivery, Lost},
};
use crate::StateError;

/// Between two attempts at a store that fails; doubled each time up to the second.
const DELAY_MIN: Duration = Duration::from_millis(50);
const DELAY_MAX: Duration = Duration::from_millis(500);

/// What is over is not found any more; how long it still takes up memory is of no importance.
const SWEEP_PERIOD: Duration = Duration::from_secs(10);

/// Keeps [`Revocations`](super::Revocations) up to date for as long as it runs.
pub struct RevocationUpkeep {
    shared: Arc<Shared>,
    follower: Follower,
    reading: Backoff,
    publishing: Backoff,
    swept_at: Instant,
    /// Whether the present silence of the feed was told.
    told: bool,
}

impl RevocationUpkeep {
    pub(super) fn new(shared: Arc<Shared>, follower: Follower) -> Self {
        let now = clock::now();
        let (reading, publishing) = (Backoff::new(now), Backoff::new(now));
        Self { shared, follower, reading, publishing, swept_at: now, told: false }
    }

    /// Runs until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let turns = async {
            loop {
                self.turn().await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = turns => {}
        }
        let lost = self.shared.outstanding.unsent();
        if lost > 0 {
            tracing::error!(
                lost,
                "revocations held in this process alone: the store did not take them before its end"
            );
        }
    }

    async fn turn(&mut self) {
        // Before the question: the answer holds all that was published by then.
        let begun = clock::now();
        match self.follower.next().await {
            Ok(page) => {
                self.reading.succeeded();
                self.read(page, begun).await;
            }
            Err(error) => {
                self.shared.counters.read_failures.add(1);
                self.tell_silence(&error);
                let now = clock::now();
                self.reading.failed(now);
                tokio::time::sleep(self.reading.wait(now)).await;
            }
        }
        self.sweep();
    }

    async fn read(&mut self, page: Page, begun: Instant) {
        match page {
            Page::Restarted => {
                // All that the pages from the beginning do not show has to be told to the store again.
                self.shared.counters.restarts.add(1);
                let live = self.shared.set.live(clock::unix_seconds());
                self.shared.has_to_send(&live);
            }
            Page::Next { entries, unreadable, end } => {
                self.shared.counters.unreadable.add(unreadable);
                self.shared.learn(&entries, clock::unix_seconds());
                self.shared.outstanding.seen(&entries);
                if end == PageEnd::OfFeed {
                    self.shared.completeness.reach(begun);
                    self.tell_return();
                    self.publish().await;
                }
            }
        }
    }

    /// Tells the store some of what it lacks.
    async fn publish(&mut self) {
        let now = clock::now();
        let Some(feed) = &self.shared.feed else { return };
        let entries = self.shared.outstanding.due(BATCH, now);
        if entries.is_empty() || !self.publishing.is_over(now) {
            return;
        }
        match feed.publish(&entries, clock::unix_seconds()).await {
            Ok(()) => {
                self.publishing.succeeded();
                let Lost(_) = self.shared.outstanding.add(&entries, Delivery::Sent(clock::now()));
                self.shared.counters.republished.add(entries.len() as u64);
            }
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::debug!(error, "the store does not take revocations");
                self.publishing.failed(clock::now());
            }
        }
    }

    fn sweep(&mut self) {
        let now = clock::now();
        if now.saturating_duration_since(self.swept_at) >= SWEEP_PERIOD {
            self.swept_at = now;
            let now = clock::unix_seconds();
            self.shared.set.sweep(now);
            self.shared.outstanding.sweep(now);
        }
    }

    /// Tells once that the feed is behind, which a short outage does not make it.
    fn tell_silence(&mut self, error: &StateError) {
        if self.shared.is_behind() && !std::mem::replace(&mut self.told, true) {
            let (error, policy): (&dyn std::error::Error, _) = (error, self.shared.settings.stale_policy);
            tracing::warn!(
                error,
                ?policy,
                "the feed of revocations is behind: tokens are judged by the policy"
            );
        }
    }

    fn tell_return(&mut self) {
        if std::mem::take(&mut self.told) {
            tracing::info!("the feed of revocations is complete again");
        }
    }
}

impl std::fmt::Debug for RevocationUpkeep {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("RevocationUpkeep").finish_non_exhaustive()
    }
}

/// When the next attempt is due.
struct Backoff {
    delay: Duration,
    next_at: Instant,
}

impl Backoff {
    fn new(now: Instant) -> Self {
        Self { delay: DELAY_MIN, next_at: now }
    }

    fn failed(&mut self, now: Instant) {
        self.next_at = now + self.delay;
        self.delay = (self.delay * 2).min(DELAY_MAX);
    }

    fn succeeded(&mut self) {
        self.delay = DELAY_MIN;
    }

    fn is_over(&self, now: Instant) -> bool {
        now >= self.next_at
    }

    fn wait(&self, now: Instant) -> Duration {
        self.next_at.saturating_duration_since(now)
    }
}
