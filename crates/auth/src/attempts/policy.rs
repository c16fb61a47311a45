//! How long the next attempt at login has to wait, from how many there were.
//!
//! Three counters bound what guessing gets: of one account from one address, of one account from wherever, and from one address
//! at whatever accounts. A pair of account and address from which somebody has logged in is *known*, and waits for its own
//! counter alone. So
//!
//! * whoever guesses at one account gets [`Ladder::free`] tries and then one per [`Ladder::delay_max`], however many addresses he
//!   has;
//! * the owner at a known address waits for nobody's failures but those from there;
//! * the owner at another address waits in one line with whoever is guessing: he may be told to come back for as long as that
//!   goes on.
//!
//! Invariant: only attempts that were let in count. One that was refused neither costs anything nor makes the wait longer.
//! Elsewhere: where counters are kept, and that an attempt is counted before its password is looked at (`attempts`).

#[cfg(test)]
mod tests;

use std::time::Duration;

/// How one counter makes those wait whom it counts. The wait doubles with each attempt from [`Self::delay_min`] on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ladder {
    /// Attempts without a wait.
    pub free: u32,
    /// The wait after the last of these.
    pub delay_min: Duration,
    /// The longest wait.
    pub delay_max: Duration,
    /// After so long without an attempt the counter begins anew; longer than `delay_max`.
    pub memory: Duration,
}

/// What login attempts have to keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptPolicy {
    /// One account from one address.
    pub pair: Ladder,
    /// One account from all addresses that are not known.
    pub account: Ladder,
    /// One address at all accounts that it is not known for.
    pub address: Ladder,
    /// How long after a login account and address know each other.
    pub known_for: Duration,
}

impl Default for AttemptPolicy {
    fn default() -> Self {
        let (second, minute, hour) =
            (Duration::from_secs(1), Duration::from_secs(60), Duration::from_secs(60 * 60));
        Self {
            pair: Ladder { free: 5, delay_min: second, delay_max: 15 * minute, memory: hour },
            // Three thousand guesses a day. A longer wait would keep an owner on a journey out for longer.
            account: Ladder { free: 20, delay_min: second, delay_max: 30 * second, memory: hour },
            // Behind one address may be an office, whose people mistype.
            address: Ladder { free: 50, delay_min: second, delay_max: minute, memory: hour },
            known_for: 30 * 24 * hour,
        }
    }
}

/// Attempts that were let in, and when the last one was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counter {
    pub(super) attempts: u32,
    /// In Unix milliseconds.
    pub(super) last: u64,
}

/// What is known of an attempt before it is let in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) pair: Counter,
    pub(super) account: Counter,
    pub(super) address: Counter,
}

/// Whether account and address know each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Acquaintance {
    Known,
    Unknown,
}

/// Whether an attempt is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// With the counters as they are with it.
    Admitted(Counters),
    Refused {
        retry_after: Duration,
        /// The counters as they are to be kept: others than before only where the clock was set back.
        counters: Counters,
    },
}

/// Judges one attempt at `now`, in Unix milliseconds.
pub(super) fn judge(
    policy: &AttemptPolicy,
    counters: &Counters,
    acquaintance: Acquaintance,
    now: u64,
) -> Verdict {
    let counters = &counters.until(now);
    let pair = policy.pair.wait(counters.pair, now);
    let wait = match acquaintance {
        Acquaintance::Known => pair,
        Acquaintance::Unknown => pair
            .max(policy.account.wait(counters.account, now))
            .max(policy.address.wait(counters.address, now)),
    };
    if !wait.is_zero() {
        return Verdict::Refused { retry_after: wait, counters: *counters };
    }
    let mut counted = *counters;
    counted.pair = policy.pair.count(counters.pair, now);
    if acquaintance == Acquaintance::Unknown {
        counted.account = policy.account.count(counters.account, now);
        counted.address = policy.address.count(counters.address, now);
    }
    Verdict::Admitted(counted)
}

impl Ladder {
    fn wait(&self, counter: Counter, now: u64) -> Duration {
        let counter = self.remembered(counter, now);
        let Some(steps) = counter.attempts.checked_sub(self.free) else { return Duration::ZERO };
        let delay = self.delay_min.saturating_mul(1 << steps.min(31)).min(self.delay_max);
        delay.saturating_sub(Duration::from_millis(now.saturating_sub(counter.last)))
    }

    fn count(&self, counter: Counter, now: u64) -> Counter {
        Counter { attempts: self.remembered(counter, now).attempts.saturating_add(1), last: now }
    }

    fn remembered(&self, counter: Counter, now: u64) -> Counter {
        let quiet = Duration::from_millis(now.saturating_sub(counter.last));
        if quiet < self.memory { counter } else { Counter::default() }
    }
}

impl Counters {
    /// Without attempts in the future. After a clock was set back they would let nobody in until it is where it was; so the wait
    /// begins when somebody meets it.
    fn until(self, now: u64) -> Self {
        let until = |counter: Counter| Counter { last: counter.last.min(now), ..counter };
        Self { pair: until(self.pair), account: until(self.account), address: until(self.address) }
    }
}

impl Counter {
    /// Without an attempt that turned out to be none; `None` if nothing is left to be remembered.
    pub(super) fn taken_back(self) -> Option<Self> {
        (self.attempts > 1).then(|| Self { attempts: self.attempts - 1, ..self })
    }
}
