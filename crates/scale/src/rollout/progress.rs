//! Whether a rollout gets on.
//!
//! Invariant: only getting further than ever before in this rollout is progress. A Deployment compares with the moment before
//! instead, so a version whose replicas become ready and crash, over and over, never runs into its deadline there.

use std::time::Duration;

use super::observed::Counts;

/// How far a rollout has come, and when it last came further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    last: Duration,
    best: Option<Counts>,
    /// The least and the most that were desired, where the number has changed.
    desired: Option<(u32, u32)>,
}

impl Progress {
    pub(super) fn from(now: Duration) -> Self {
        Self { last: now, best: None, desired: None }
    }

    /// When it last came further.
    pub(super) fn last(&self) -> Duration {
        self.last
    }

    /// Measures by what is there after this, since another number is desired. That alone does not count as progress.
    ///
    /// Only a number beyond those that this rollout has seen is another one: an autoscaler that goes up and down between two would
    /// otherwise keep a version that never becomes ready from its deadline.
    pub(super) fn rebase(&mut self, from: u32, to: u32) {
        let (least, most) = self.desired.unwrap_or((from, from));
        if (least..=most).contains(&to) {
            return;
        }
        self.desired = Some((least.min(to), most.max(to)));
        self.best = None;
    }

    pub(super) fn on(&mut self, counts: Counts, now: Duration) {
        let best = self.best.get_or_insert(counts);
        let further = counts.new > best.new
            || counts.new_ready > best.new_ready
            || counts.new_available > best.new_available
            || counts.old < best.old;
        if further {
            self.last = now;
            best.new = best.new.max(counts.new);
            best.new_ready = best.new_ready.max(counts.new_ready);
            best.new_available = best.new_available.max(counts.new_available);
            best.old = best.old.min(counts.old);
        }
    }

    /// When it has made no progress for too long.
    pub(super) fn stalls_at(&self, deadline: Option<Duration>) -> Option<Duration> {
        self.last.checked_add(deadline?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn counts(new: u32, new_ready: u32, new_available: u32, old: u32) -> Counts {
        Counts { new, new_ready, new_available, old, old_available: old, draining: 0 }
    }

    #[test]
    fn only_what_was_never_reached_is_progress() {
        let mut progress = Progress::from(Duration::ZERO);
        for (second, counts, last) in [
            (1, counts(0, 0, 0, 4), 0),
            (2, counts(1, 0, 0, 4), 2),
            (3, counts(1, 1, 0, 4), 3),
            (4, counts(1, 0, 0, 4), 3),
            (5, counts(1, 1, 0, 4), 3),
            (6, counts(1, 1, 1, 4), 6),
            (7, counts(1, 1, 1, 3), 7),
            (8, counts(1, 1, 1, 3), 7),
        ] {
            progress.on(counts, second * SECOND);
            assert_eq!(progress.last(), last * SECOND, "after {second} s");
        }
        progress.rebase(4, 6);
        progress.on(counts(0, 0, 0, 6), 9 * SECOND);
        assert_eq!(progress.last(), 7 * SECOND);
        progress.on(counts(1, 0, 0, 6), 10 * SECOND);
        assert_eq!(progress.last(), 10 * SECOND);
        assert_eq!(progress.stalls_at(Some(5 * SECOND)), Some(15 * SECOND));
        assert_eq!(progress.stalls_at(Some(Duration::MAX)), None);
        assert_eq!(progress.stalls_at(None), None);
    }

    #[test]
    fn a_number_that_goes_up_and_down_is_no_progress() {
        let mut progress = Progress::from(Duration::ZERO);
        progress.on(counts(2, 0, 0, 4), SECOND);
        for second in 1..20 {
            // One more replica of either version, of which none becomes ready, and one less again.
            let ((from, to), (before, after)) =
                if second % 2 == 1 { ((4, 5), (2, 3)) } else { ((5, 4), (3, 2)) };
            progress.rebase(from, to);
            progress.on(counts(before, 0, 0, 4), second * SECOND);
            progress.on(counts(after, 0, 0, 4), second * SECOND);
        }
        assert_eq!(progress.last(), SECOND);
        // Beyond that there is something to be done that was never done.
        progress.rebase(4, 6);
        progress.on(counts(3, 0, 0, 4), 30 * SECOND);
        progress.on(counts(4, 0, 0, 4), 30 * SECOND);
        assert_eq!(progress.last(), 30 * SECOND);
    }
}
