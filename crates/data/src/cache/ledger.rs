//! Remembers invalidations, and judges by them what may be kept. Pure: time is an argument.
//!
//! Invariant: nothing is admitted that was read before an invalidation of its key began here, nor what was read at a
//! position that the invalidating write is not part of, as long as the invalidation is remembered.
//! Cannot overflow: past its bound it forgets which keys were meant and judges all by the newest of their positions.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::position::{CachePosition, Floor, stricter};

/// When a read began, in the order of invalidations.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    sequence: u64,
    taken: Instant,
}

/// What is to be thought of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may be kept.
    Current,
    /// An invalidation overtook it: it may answer those who asked before that, and nobody else.
    Overtaken,
    /// It lacks a write that was known when its read began.
    Old,
}

#[derive(Debug)]
struct Mark {
    floor: Floor,
    sequence: u64,
    until: Instant,
}

#[derive(Debug)]
pub(super) struct Ledger {
    sequence: u64,
    /// Readings that began at or before this are overtaken, whatever their key.
    cleared: u64,
    marks: HashMap<Arc<str>, Mark>,
    /// What the marks said that were dropped for want of room.
    coarse: Option<Mark>,
    marks_max: usize,
    lifetime: Duration,
}

impl Ledger {
    pub(super) fn new(marks_max: usize, lifetime: Duration) -> Self {
        Self { sequence: 1, cleared: 0, marks: HashMap::new(), coarse: None, marks_max, lifetime }
    }

    pub(super) fn ticket(&self, now: Instant) -> Ticket {
        Ticket { sequence: self.sequence, taken: now }
    }

    /// A write to `key` ended at `position`.
    pub(super) fn invalidate(&mut self, key: &Arc<str>, position: CachePosition, now: Instant) {
        self.make_room(now);
        self.sequence += 1;
        let (sequence, until) = (self.sequence, now + self.lifetime);
        let mark = self.marks.entry(Arc::clone(key)).or_insert_with(|| Mark {
            floor: Floor::default(),
            sequence,
            until,
        });
        if mark.until <= now {
            mark.floor = Floor::default();
        }
        mark.floor.raise(position);
        (mark.sequence, mark.until) = (sequence, until);
    }

    /// Writes to unknown keys ended at these positions.
    pub(super) fn invalidate_all(&mut self, positions: &[CachePosition], now: Instant) {
        self.clear();
        let (sequence, until) = (self.sequence, now + self.lifetime);
        let mut floor = self.coarse.take().filter(|coarse| coarse.until > now).map(|coarse| coarse.floor);
        for position in positions {
            floor.get_or_insert_default().raise(*position);
        }
        self.coarse = floor.map(|floor| Mark { floor, sequence, until });
    }

    /// Invalidations may have been missed: whatever is being read counts as overtaken.
    pub(super) fn clear(&mut self) {
        self.sequence += 1;
        self.cleared = self.sequence;
    }

    /// The position that a read of `key` has to reach for its result to be kept, as far as one position can say it.
    pub(super) fn position(&self, key: &str, now: Instant) -> Option<CachePosition> {
        let of_key = self.mark(key, now).and_then(|mark| mark.floor.position());
        let coarse = self.coarse.as_ref().filter(|coarse| coarse.until > now);
        stricter(of_key, coarse.and_then(|coarse| coarse.floor.position()))
    }

    pub(super) fn judge(
        &self,
        key: &str,
        ticket: Ticket,
        position: Option<CachePosition>,
        now: Instant,
    ) -> Verdict {
        // Past the lifetime, what would have spoken against it may be forgotten.
        if ticket.sequence < self.cleared || now.duration_since(ticket.taken) >= self.lifetime {
            return Verdict::Overtaken;
        }
        let coarse = self.coarse.as_ref().filter(|coarse| coarse.until > now);
        let of_key = self.mark(key, now).map(|mark| (mark, mark.floor.admits(position)));
        let of_all = coarse.map(|mark| (mark, mark.floor.admits_on_its_shard(position)));
        for (mark, admitted) in of_key.into_iter().chain(of_all) {
            if ticket.sequence < mark.sequence {
                return Verdict::Overtaken;
            }
            if !admitted {
                return Verdict::Old;
            }
        }
        Verdict::Current
    }

    fn mark(&self, key: &str, now: Instant) -> Option<&Mark> {
        self.marks.get(key).filter(|mark| mark.until > now)
    }

    fn make_room(&mut self, now: Instant) {
        if self.marks.len() < self.marks_max {
            return;
        }
        self.marks.retain(|_, mark| mark.until > now);
        // Half of the bound, or a full ledger would look through itself at every write.
        if self.marks.len() <= self.marks_max / 2 {
            return;
        }
        let mut coarse = self.coarse.take().filter(|coarse| coarse.until > now).unwrap_or_else(|| Mark {
            floor: Floor::default(),
            sequence: 0,
            until: now,
        });
        for (_, mark) in self.marks.drain() {
            mark.floor.positions().iter().for_each(|position| coarse.floor.raise(*position));
            coarse.sequence = coarse.sequence.max(mark.sequence);
            coarse.until = coarse.until.max(mark.until);
        }
        self.coarse = Some(coarse);
    }
}

#[cfg(test)]
mod tests {
    use phalanx_telemetry::clock;

    use super::*;

    const LIFETIME: Duration = Duration::from_secs(60);

    fn at(lsn: u64) -> CachePosition {
        CachePosition { shard: 1, timeline: 1, lsn }
    }

    fn ledger() -> (Ledger, Arc<str>, Instant) {
        (Ledger::new(4, LIFETIME), Arc::from("key"), clock::now())
    }

    #[test]
    fn an_invalidation_overtakes_reads_and_refuses_older_ones() {
        let (mut ledger, key, now) = ledger();
        let before = ledger.ticket(now);
        ledger.invalidate(&key, at(10), now);
        let after = ledger.ticket(now);
        assert_eq!(ledger.position(&key, now), Some(at(10)));
        for (ticket, position, verdict) in [
            (before, Some(at(50)), Verdict::Overtaken),
            (after, Some(at(9)), Verdict::Old),
            (after, None, Verdict::Old),
            (after, Some(at(10)), Verdict::Current),
        ] {
            assert_eq!(ledger.judge(&key, ticket, position, now), verdict, "{ticket:?} {position:?}");
        }
        assert_eq!(ledger.judge("other", before, None, now), Verdict::Current);
    }

    #[test]
    fn a_mark_ends_and_no_read_outlives_it() {
        let (mut ledger, key, now) = ledger();
        let before = ledger.ticket(now);
        ledger.invalidate(&key, at(10), now);
        let later = now + LIFETIME;
        assert_eq!(ledger.judge(&key, before, Some(at(9)), later), Verdict::Overtaken);
        assert_eq!(ledger.judge(&key, ledger.ticket(later), Some(at(9)), later), Verdict::Current);
    }

    #[test]
    fn an_invalidation_that_comes_late_lowers_nothing() {
        let (mut ledger, key, now) = ledger();
        ledger.invalidate(&key, at(10), now);
        ledger.invalidate(&key, at(3), now);
        assert_eq!(ledger.judge(&key, ledger.ticket(now), Some(at(9)), now), Verdict::Old);
    }

    #[test]
    fn a_full_ledger_forgets_keys_and_not_positions() {
        let (mut ledger, _, now) = ledger();
        let before = ledger.ticket(now);
        for index in 0..9 {
            ledger.invalidate(&Arc::from(format!("key {index}")), at(index), now);
        }
        assert!(ledger.marks.len() <= 4);
        assert_eq!(ledger.position("key 2", now), Some(at(7)));
        assert_eq!(ledger.judge("key 2", before, Some(at(50)), now), Verdict::Overtaken);
        assert_eq!(ledger.judge("key 2", ledger.ticket(now), Some(at(1)), now), Verdict::Old);
        assert_eq!(ledger.judge("key 2", ledger.ticket(now), Some(at(8)), now), Verdict::Current);
    }

    #[test]
    fn invalidating_all_judges_every_key() {
        let (mut ledger, _, now) = ledger();
        let before = ledger.ticket(now);
        ledger.invalidate_all(&[at(10)], now);
        assert_eq!(ledger.judge("any", before, Some(at(50)), now), Verdict::Overtaken);
        assert_eq!(ledger.judge("any", ledger.ticket(now), Some(at(9)), now), Verdict::Old);
    }
}
