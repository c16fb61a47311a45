//! What this process knows to be revoked and has not read in the feed: revocations that the store did not take, those that it
//! took a moment ago and may yet lose, and all that a store which lost its data has to be told again.
//!
//! Invariants: an entry leaves when the feed shows it or it is over, and in no other way; there is at most one for each target,
//! and there are never more than `entries_max`.

use std::{
    collections::{HashMap, hash_map},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::entry::{Entry, Extent, Target};

/// What was sent is read in the feed within milliseconds; what is not after this is sent again.
const READ_BACK_MAX: Duration = Duration::from_secs(1);

pub(super) struct Outstanding {
    entries: Mutex<HashMap<Target, Held>>,
    entries_max: usize,
}

struct Held {
    extent: Extent,
    delivery: Delivery,
}

/// Whether an entry has to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    Due,
    /// It was sent, or is being sent by somebody who may give up.
    Sent(Instant),
}

/// How many entries found no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) struct Lost(pub(super) usize);

impl Outstanding {
    pub(super) fn new(entries_max: usize) -> Self {
        Self { entries: Mutex::default(), entries_max }
    }

    /// Keeps entries.
    pub(super) fn add(&self, added: &[Entry], delivery: Delivery) -> Lost {
        let mut entries = self.lock();
        let mut lost = Lost(0);
        for Entry { target, extent } in added {
            let room = entries.len() < self.entries_max;
            match entries.entry(target.clone()) {
                hash_map::Entry::Occupied(mut held) => {
                    let held = held.get_mut();
                    held.extent.join(extent);
                    held.delivery = delivery;
                }
                hash_map::Entry::Vacant(place) if room => {
                    place.insert(Held { extent: *extent, delivery });
                }
                hash_map::Entry::Vacant(_) => lost.0 += 1,
            }
        }
        lost
    }

    /// The feed shows these entries: what they cover has arrived.
    pub(super) fn seen(&self, seen: &[Entry]) {
        let mut entries = self.lock();
        if entries.is_empty() {
            return;
        }
        for Entry { target, extent } in seen {
            if entries.get(target).is_some_and(|held| extent.covers(&held.extent)) {
                entries.remove(target);
            }
        }
    }

    /// Whether there is an entry of this target.
    pub(super) fn holds(&self, target: &Target) -> bool {
        self.lock().contains_key(target)
    }

    /// Up to `count` entries that have to be sent at `now`.
    pub(super) fn due(&self, count: usize, now: Instant) -> Vec<Entry> {
        let entries = self.lock();
        let due = entries.iter().filter(|(_, held)| held.delivery.is_due(now));
        let entry = |(target, held): (&Target, &Held)| Entry { target: target.clone(), extent: held.extent };
        due.take(count).map(entry).collect()
    }

    /// How many entries nobody has sent successfully.
    pub(super) fn unsent(&self) -> usize {
        self.lock().values().filter(|held| held.delivery == Delivery::Due).count()
    }

    /// Forgets what is over at `now`, in Unix seconds.
    pub(super) fn sweep(&self, now: u64) {
        self.lock().retain(|_, held| held.extent.until > now);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Target, Held>> {
        // Nothing under this lock panics half way.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Delivery {
    fn is_due(self, now: Instant) -> bool {
        match self {
            Self::Due => true,
            Self::Sent(at) => now.saturating_duration_since(at) > READ_BACK_MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use phalanx_telemetry::clock;

    use super::*;
    use crate::revocation::entry::Revocation;

    fn subject(epoch: u64, until: u64) -> Entry {
        Entry::new(&Revocation::Subject { subject: "7".to_owned(), epoch }, until)
    }

    fn session(session: &str) -> Entry {
        Entry::new(&Revocation::Session { session: session.to_owned() }, 100)
    }

    #[test]
    fn an_entry_is_outstanding_until_the_feed_shows_as_much() {
        for (seen, left) in [
            (subject(3, 100), 0),
            (subject(4, 101), 0),
            (subject(2, 100), 1),
            (subject(3, 99), 1),
            (session("7"), 1),
        ] {
            let outstanding = Outstanding::new(9);
            assert_eq!(outstanding.add(&[subject(3, 50), subject(1, 100)], Delivery::Due), Lost(0));
            outstanding.seen(std::slice::from_ref(&seen));
            assert_eq!(outstanding.unsent(), left, "{seen:?}");
        }
    }

    #[test]
    fn what_was_sent_is_due_again_when_it_is_not_read_back() {
        let sent_at = clock::now();
        let after = |delay| sent_at + delay;
        for (delivery, now, count) in [
            (Delivery::Due, sent_at, 1),
            (Delivery::Sent(sent_at), after(READ_BACK_MAX), 0),
            (Delivery::Sent(sent_at), after(READ_BACK_MAX + Duration::from_millis(1)), 1),
            // A clock of another core that is behind by a little.
            (Delivery::Sent(after(READ_BACK_MAX)), sent_at, 0),
        ] {
            let outstanding = Outstanding::new(9);
            assert_eq!(outstanding.add(&[session("1")], delivery), Lost(0));
            assert_eq!(outstanding.due(9, now).len(), count, "{delivery:?}");
        }
    }

    #[test]
    fn past_the_bound_entries_are_lost_and_counted() {
        let outstanding = Outstanding::new(2);
        let added = [session("1"), session("2"), session("1"), session("3")];
        assert_eq!(outstanding.add(&added, Delivery::Due), Lost(1));
        assert_eq!(outstanding.due(9, clock::now()).len(), 2);
        assert_eq!(outstanding.due(1, clock::now()).len(), 1);
        outstanding.sweep(100);
        assert_eq!(outstanding.unsent(), 0);
    }
}
