//! How many reads may fall back to the primary: a share of all reads, and a floor for when there are few.
//!
//! Without it replicas that lag would move every read to the primary, at the very moment when it has the most to do. Reads and
//! seconds earn, fallbacks spend, and what is not spent is kept up to a bound.
//!
//! Invariant: over any stretch, fallbacks ≤ what may be kept + share × its reads + floor × its seconds.

use std::time::Duration;

/// Counted in millionths of a fallback, so that ten reads of 0.1 are one.
const FALLBACK: u64 = 1_000_000;
/// Beyond this, a floor is as good as no cap.
const FLOOR_PER_SECOND_MAX: u32 = 1_000_000;

/// Whether a fallback is within the cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Withdrawal {
    /// It is, and has been paid for.
    Granted,
    /// It is not: the read fails, and is counted as `capped`.
    Refused,
}

/// The cap of one shard. Time is the time since the owner began; one that goes back earns nothing.
#[derive(Clone, Debug)]
pub struct PrimaryCap {
    /// What a read earns.
    share: u64,
    floor_per_second: u64,
    kept_max: u64,
    balance: u64,
    now: Duration,
}

impl PrimaryCap {
    /// A cap of `percent` of all reads and of `floor_per_second` besides, of which at most `fallbacks_max` can be spent at once.
    #[must_use]
    pub fn new(percent: u8, floor_per_second: u32, fallbacks_max: u32) -> Self {
        let kept_max = u64::from(fallbacks_max) * FALLBACK;
        Self {
            share: u64::from(percent.min(100)) * FALLBACK / 100,
            floor_per_second: floor_per_second.min(FLOOR_PER_SECOND_MAX).into(),
            kept_max,
            balance: kept_max,
            now: Duration::ZERO,
        }
    }

    /// A read has come, wherever it goes.
    pub fn deposit(&mut self, now: Duration) {
        self.turn_to(now);
        self.earn(self.share);
    }

    /// Asks for one fallback.
    pub fn withdraw(&mut self, now: Duration) -> Withdrawal {
        self.turn_to(now);
        match self.balance.checked_sub(FALLBACK) {
            Some(balance) => {
                self.balance = balance;
                Withdrawal::Granted
            }
            None => Withdrawal::Refused,
        }
    }

    fn turn_to(&mut self, now: Duration) {
        let whole = |now: Duration| u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
        // Of the whole microseconds since the beginning, or frequent calls would round everything away.
        let passed = whole(now).saturating_sub(whole(self.now));
        self.now = self.now.max(now);
        self.earn(passed.saturating_mul(self.floor_per_second));
    }

    fn earn(&mut self, amount: u64) {
        self.balance = self.balance.saturating_add(amount).min(self.kept_max);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn granted(cap: &mut PrimaryCap, asked: usize, now: Duration) -> usize {
        (0..asked).filter(|_| cap.withdraw(now) == Withdrawal::Granted).count()
    }

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_lagging_shard_falls_back_for_a_share_of_its_reads() {
        let mut cap = PrimaryCap::new(10, 5, 20);
        let mut fallbacks = 0;
        for read in 0..100_000 {
            cap.deposit(at(read));
            fallbacks += granted(&mut cap, 1, at(read));
        }
        // A hundred seconds, less what nobody has earned yet at their end.
        assert_eq!(fallbacks, 20 + 10_000 + 499);
    }

    #[test]
    fn what_is_kept_is_bounded_and_a_clock_that_goes_back_earns_nothing() {
        let mut cap = PrimaryCap::new(0, 5, 20);
        assert_eq!(granted(&mut cap, 100, at(3_600_000)), 20);
        assert_eq!(granted(&mut cap, 100, at(1_000)), 0);
        assert_eq!(granted(&mut cap, 100, at(3_601_000)), 5);
    }

    #[test]
    fn frequent_calls_round_nothing_away() {
        let mut cap = PrimaryCap::new(0, 1, 1);
        assert_eq!(granted(&mut cap, 1, at(0)), 1);
        let calls = (1..=1_100_u64).map(|step| Duration::from_nanos(step * 1_000_001));
        assert_eq!(calls.map(|now| granted(&mut cap, 1, now)).sum::<usize>(), 1);
    }

    proptest! {
        #[test]
        fn no_stretch_holds_more_than_it_earns(
            events in prop::collection::vec((0_u64..400, 0_usize..4, 0_usize..4), 1..120),
            percent in 0_u8..=100,
            floor in 0_u32..5,
            kept in 1_u32..9,
        ) {
            let mut cap = PrimaryCap::new(percent, floor, kept);
            let (mut now, mut turns) = (0, Vec::new());
            for (pause, reads, asked) in events {
                now += pause;
                (0..reads).for_each(|_| cap.deposit(at(now)));
                turns.push((now, reads as u64, granted(&mut cap, asked, at(now)) as u64));
            }
            for from in 0..turns.len() {
                let (mut reads, mut fallbacks) = (0, 0);
                for (now, more_reads, more_fallbacks) in &turns[from..] {
                    reads += more_reads;
                    fallbacks += more_fallbacks;
                    let earned = u64::from(percent) * reads * 10_000 + u64::from(floor) * (now - turns[from].0) * 1_000;
                    prop_assert!(fallbacks * FALLBACK <= u64::from(kept) * FALLBACK + earned);
                }
            }
        }
    }
}
