//! Makes ids under one lease of a worker's number.
//!
//! A lease reserves a stretch of id time for its holder: `start` up to, not including, `horizon`. Renewing it moves the horizon
//! on; the next holder of the same number starts at the horizon of the one before. So two holders never share a unit of time,
//! whatever their clocks say and however late a holder learns that its lease is lost.
//!
//! Invariant: in a bucket ids grow, also when the clock goes back; each is within the lease.
//! Elsewhere: the table of leases (`phalanx-data`), which alone may say how far the horizon is.
//! Fails rather than wait: the caller tries again later, elsewhere, or answers 503.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::{Id, TICK_MS, Tick, Worker};
use crate::bucket::{BUCKETS, Bucket};

/// How far ids may run ahead of the clock: after it went back, or when a bucket makes more than sixteen ids in 8 ms. Clocks that
/// are set by the network step by less; whoever needs more ids than 2,000 a second in one bucket for longer is refused.
pub const AHEAD_MAX: Duration = Duration::from_secs(2);

const AHEAD_MAX_TICKS: u64 = 2_000 / TICK_MS;

/// Why no id was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenerateError {
    /// The clock is before 2025 or after 2059.
    #[error("the clock says {unix_ms} ms of Unix time, for which there are no ids")]
    Clock {
        /// What it says.
        unix_ms: u64,
    },
    /// The next id would be too far ahead of the clock: it went back, or ids are asked for faster than time passes.
    #[error("ids are {ahead:?} ahead of the clock, at most {AHEAD_MAX:?} is allowed")]
    Ahead {
        /// How far the next one would be.
        ahead: Duration,
    },
    /// The next id would be beyond the horizon: the lease was not renewed in time.
    #[error("the lease of worker {} ends at {} ms of Unix time", worker.get(), horizon.unix_ms())]
    LeaseOver {
        /// Whose lease.
        worker: Worker,
        /// The first unit of time outside of it.
        horizon: Tick,
    },
}

/// Makes the ids of one worker. May be shared by threads.
#[derive(Debug)]
pub struct Generator {
    worker: Worker,
    start: Tick,
    /// The first moment outside of the lease. It only grows.
    horizon: AtomicU64,
    /// The last moment that was given out in each bucket; zero before the first.
    last: Box<[AtomicU64]>,
}

impl Generator {
    /// A generator for the lease of `worker` from `start` up to, not including, `horizon`.
    #[must_use]
    pub fn new(worker: Worker, start: Tick, horizon: Tick) -> Self {
        let last = (0..BUCKETS).map(|_| AtomicU64::new(0)).collect();
        Self { worker, start, horizon: AtomicU64::new(horizon.first_moment()), last }
    }

    /// Whose ids these are.
    #[must_use]
    pub fn worker(&self) -> Worker {
        self.worker
    }

    /// The next id in `bucket`. `unix_ms` is what the clock says.
    pub fn next(&self, bucket: Bucket, unix_ms: u64) -> Result<Id, GenerateError> {
        let clock = Tick::at_unix_ms(unix_ms).ok_or(GenerateError::Clock { unix_ms })?;
        let earliest = clock.max(self.start).first_moment();
        // An older horizon than the latest is a nearer one, which only refuses too much: nothing has to be ordered.
        let horizon = self.horizon.load(Ordering::Relaxed);
        let last = &self.last[bucket.index()];
        let mut seen = last.load(Ordering::Relaxed);
        loop {
            let moment = earliest.max(seen + 1);
            self.judge(moment, clock, horizon)?;
            match last.compare_exchange_weak(seen, moment, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(Id::new(moment, self.worker, bucket).expect("a moment is not zero")),
                Err(other) => seen = other,
            }
        }
    }

    /// The lease was renewed up to `horizon`. One that is nearer than the last changes nothing.
    pub fn extend(&self, horizon: Tick) {
        self.horizon.fetch_max(horizon.first_moment(), Ordering::Relaxed);
    }

    /// Gives the lease up: from what comes back on, no ids were made, and the next holder may start there.
    #[must_use]
    pub fn release(self) -> Tick {
        let last = self.last.iter().map(|last| last.load(Ordering::Relaxed)).max().unwrap_or_default();
        if last == 0 { self.start } else { Tick(Tick::of_moment(last).0 + 1) }
    }

    fn judge(&self, moment: u64, clock: Tick, horizon: u64) -> Result<(), GenerateError> {
        let tick = Tick::of_moment(moment);
        if moment >= horizon {
            return Err(GenerateError::LeaseOver { worker: self.worker, horizon: Tick::of_moment(horizon) });
        }
        let ahead = tick.0.saturating_sub(clock.0);
        if ahead > AHEAD_MAX_TICKS {
            return Err(GenerateError::Ahead { ahead: Duration::from_millis(ahead * TICK_MS) });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: u64 = 1_800_000_000_000;

    fn tick(unix_ms: u64) -> Tick {
        Tick::at_unix_ms(unix_ms).unwrap()
    }

    fn bucket(number: u16) -> Bucket {
        Bucket::try_from(number).unwrap()
    }

    fn generator(start: u64, horizon: u64) -> Generator {
        Generator::new(Worker(7), tick(start), tick(horizon))
    }

    #[test]
    fn sixteen_ids_share_a_unit_of_time_and_the_next_runs_ahead() {
        let generator = generator(NOON, NOON + 60_000);
        let ids: Vec<_> = (0..17).map(|_| generator.next(bucket(3), NOON).unwrap()).collect();
        assert!(ids.is_sorted_by(|earlier, later| earlier < later));
        assert_eq!(ids.iter().filter(|id| id.time() == tick(NOON)).count(), 16);
        assert_eq!(ids[16].time(), tick(NOON + 8));
        assert!(ids.iter().all(|id| (id.bucket(), id.worker()) == (bucket(3), Worker(7))));
        // Another bucket has a counter of its own.
        assert_eq!(generator.next(bucket(4), NOON).unwrap().time(), tick(NOON));
    }

    #[test]
    fn a_clock_that_goes_back_is_borne_up_to_a_bound() {
        let generator = generator(NOON - 60_000, NOON + 60_000);
        let before = generator.next(bucket(0), NOON).unwrap();
        let back = generator.next(bucket(0), NOON - 2_000).unwrap();
        assert!(back > before);
        let refused = generator.next(bucket(0), NOON - 2_008);
        assert_eq!(refused, Err(GenerateError::Ahead { ahead: Duration::from_millis(2_008) }));
        assert!(generator.next(bucket(0), NOON).unwrap() > back);
    }

    #[test]
    fn a_burst_is_refused_two_seconds_ahead_of_the_clock() {
        let generator = generator(NOON, NOON + 60_000);
        let made = (0..10_000).take_while(|_| generator.next(bucket(0), NOON).is_ok()).count();
        assert_eq!(made, 16 * (2_000 / 8 + 1));
        assert!(generator.next(bucket(0), NOON + 8).is_ok());
    }

    #[test]
    fn nothing_is_made_outside_of_the_lease() {
        let generator = generator(NOON, NOON + 80);
        // The holder before may have been ahead of this clock: the start counts, not the clock.
        assert_eq!(generator.next(bucket(0), NOON - 1_000).unwrap().time(), tick(NOON));
        assert!(matches!(generator.next(bucket(0), NOON - 5_000), Err(GenerateError::Ahead { .. })));
        assert!(generator.next(bucket(0), NOON + 79).is_ok());
        let over = Err(GenerateError::LeaseOver { worker: Worker(7), horizon: tick(NOON + 80) });
        assert_eq!(generator.next(bucket(0), NOON + 80), over);
        generator.extend(tick(NOON + 40));
        assert_eq!(generator.next(bucket(0), NOON + 80), over);
        generator.extend(tick(NOON + 88));
        assert_eq!(generator.next(bucket(0), NOON + 80).unwrap().time(), tick(NOON + 80));
        assert!(generator.next(bucket(0), NOON + 88).is_err());
    }

    #[test]
    fn a_clock_outside_of_all_time_is_named() {
        let generator = Generator::new(Worker(0), Tick::FIRST, Tick::END);
        assert_eq!(generator.next(bucket(0), 0), Err(GenerateError::Clock { unix_ms: 0 }));
        let end = Tick::END.unix_ms();
        assert_eq!(generator.next(bucket(0), end), Err(GenerateError::Clock { unix_ms: end }));
        assert!(generator.next(bucket(0), end - 1).is_ok());
        // The very first id of all is positive.
        assert_eq!(
            Generator::new(Worker(0), Tick::FIRST, Tick::END)
                .next(bucket(0), Tick::FIRST.unix_ms())
                .unwrap()
                .get(),
            1 << 26
        );
    }

    #[test]
    fn a_lease_given_up_leaves_the_time_that_was_not_used() {
        assert_eq!(generator(NOON, NOON + 60_000).release(), tick(NOON));
        let used = generator(NOON, NOON + 60_000);
        let last = used.next(bucket(9), NOON + 800).unwrap();
        used.next(bucket(8), NOON + 80).unwrap();
        assert_eq!(used.release(), tick(NOON + 808));
        assert!(last.time() < tick(NOON + 808));
    }
}
