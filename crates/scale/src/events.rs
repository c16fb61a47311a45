//! The changes of the recent past in one direction: what the rates count.
//!
//! An event that no rate counts any more is marked and its place used again, so a log is as long as the changes that fit into
//! the longest period, and no longer.

use std::time::Duration;

/// A change of the number of replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// By how many.
    pub change: u32,
    /// When.
    pub at: Duration,
    /// Whether a rate may still count it.
    pub standing: Standing,
}

/// Whether an event may still be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may.
    Recent,
    /// It was older than the longest period when another event came.
    Outdated,
}

/// The changes in one direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventLog(Vec<Event>);

impl EventLog {
    /// A log of changes that were made before: by how many, and when.
    pub fn of(changes: impl IntoIterator<Item = (u32, Duration)>) -> Self {
        let event = |(change, at)| Event { change, at, standing: Standing::Recent };
        Self(changes.into_iter().map(event).collect())
    }

    /// The changes as they are kept.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.0
    }

    /// By how many the number changed within `period`; a change exactly that long ago is over.
    #[must_use]
    pub fn change_within(&self, period: Duration, now: Duration) -> u64 {
        self.within(period, now).map(|event| u64::from(event.change)).sum()
    }

    /// When the oldest change within `period` will be over, if there is one.
    #[must_use]
    pub fn next_over(&self, period: Duration, now: Duration) -> Option<Duration> {
        self.within(period, now).map(|event| event.at.saturating_add(period)).min()
    }

    /// Adds a change, in place of the last that is older than `period_longest` if there is one.
    pub fn store(&mut self, change: u32, period_longest: Duration, now: Duration) {
        for event in &mut self.0 {
            if event.at.saturating_add(period_longest) < now {
                event.standing = Standing::Outdated;
            }
        }
        let event = Event { change, at: now, standing: Standing::Recent };
        match self.0.iter_mut().rfind(|event| event.standing == Standing::Outdated) {
            Some(outdated) => *outdated = event,
            None => self.0.push(event),
        }
    }

    fn within(&self, period: Duration, now: Duration) -> impl Iterator<Item = &Event> {
        self.0.iter().filter(move |event| event.at.saturating_add(period) > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_change_is_over_exactly_at_the_end_of_its_period() {
        let log = EventLog::of([(4, at(0)), (2, at(1))]);
        assert_eq!(log.change_within(at(60), at(59)), 6);
        assert_eq!(log.change_within(at(60), at(60)), 2);
        assert_eq!(log.change_within(at(60), at(61)), 0);
        assert_eq!(log.next_over(at(60), at(59)), Some(at(60)));
        assert_eq!(log.next_over(at(60), at(60)), Some(at(61)));
        assert_eq!(log.next_over(at(60), at(61)), None);
    }

    #[test]
    fn a_place_is_used_again_only_after_the_longest_period() {
        let mut log = EventLog::of([(1, at(0)), (2, at(1))]);
        log.store(3, at(60), at(60));
        assert_eq!(log.events().len(), 3, "exactly at its end the period is not over for the place");
        log.store(4, at(60), at(62));
        let changes: Vec<_> = log.events().iter().map(|event| event.change).collect();
        assert_eq!(changes, [1, 4, 3]);
    }

    #[test]
    fn changes_that_do_not_fit_saturate() {
        let mut log = EventLog::of([(u32::MAX, Duration::MAX), (u32::MAX, Duration::MAX)]);
        assert_eq!(log.change_within(Duration::MAX, Duration::ZERO), 2 * u64::from(u32::MAX));
        log.store(1, Duration::MAX, Duration::MAX);
        assert_eq!(log.events().len(), 3);
    }
}
