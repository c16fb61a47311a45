//! When the limit of a service falls to its minimum for a moment, and for how long.
//!
//! All limits of a service find the same answers, each for itself, from the seed, the time, and what they know of the service:
//! lengths and distances are doubled and halved, so that a slightly different usual time gives the same ones, and a very different one
//! gives others that still fall together now and then.

use std::time::Duration;

/// Probes are never closer together.
const INTERVAL_MIN: Duration = Duration::from_secs(30);
/// Nor do they take more than one part in so many of all time.
const INTERVAL_FACTOR: u32 = 64;
/// A probe takes this many usual response times, and up to twice as many.
const HOLD_FACTOR: f64 = 16.0;
/// A longer probe would do more harm than a limit that is somewhat wrong.
const HOLD_MAX: Duration = Duration::from_secs(10);

/// The probes of one service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    /// Probes are whole intervals after this.
    offset: Duration,
}

impl Schedule {
    pub(super) fn new(seed: u64) -> Self {
        let share = fastrand::Rng::with_seed(seed).f64();
        Self { offset: INTERVAL_MIN.mul_f64(share) }
    }

    /// The first probe after `now`.
    pub(super) fn next(&self, usual_seconds: f64, now: Duration) -> Duration {
        let mut interval = INTERVAL_MIN;
        while interval < hold(usual_seconds).min(HOLD_MAX) * INTERVAL_FACTOR {
            interval *= 2;
        }
        // Whole seconds suffice, because every interval is a whole number of them.
        let passed = now.saturating_sub(self.offset).as_secs() / interval.as_secs();
        self.offset + Duration::from_secs(interval.as_secs() * (passed + 1))
    }
}

/// How long a probe lasts.
fn hold(usual_seconds: f64) -> Duration {
    // Durations beyond any that is bearable need not be told apart.
    let seconds = (usual_seconds * HOLD_FACTOR).min(2.0 * HOLD_MAX.as_secs_f64());
    let nanos = u64::try_from(Duration::from_secs_f64(seconds).as_nanos()).expect("it is less than a minute");
    Duration::from_nanos(nanos.next_power_of_two())
}

/// Whether the service is fast enough for probes.
pub(super) fn is_bearable(usual_seconds: f64) -> bool {
    hold(usual_seconds) <= HOLD_MAX
}

/// Whether, so long after a probe began, what was sent before it has been answered and nobody else's probe has ended: those of
/// workers that found half or twice the length overlap.
pub(super) fn is_quiet(usual_seconds: f64, elapsed: Duration) -> bool {
    let hold = hold(usual_seconds);
    (hold / 4..hold / 2).contains(&elapsed)
}

/// Whether, so long after it began, a probe ends.
pub(super) fn is_over(usual_seconds: f64, elapsed: Duration) -> bool {
    elapsed >= hold(usual_seconds)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Usual times of services that are probed.
    fn bearable() -> impl Strategy<Value = f64> {
        (0.000_1_f64..0.5).prop_filter("a probe would be too long", |seconds| is_bearable(*seconds))
    }

    proptest! {
        #[test]
        fn probes_come_in_time_and_take_little_of_it(usual in bearable(), now in 0_u64..100_000_000, seed in any::<u64>()) {
            let schedule = Schedule::new(seed);
            let now = Duration::from_millis(now);
            let first = schedule.next(usual, now);
            let second = schedule.next(usual, first);
            prop_assert!(first > now);
            prop_assert!(second - first >= INTERVAL_MIN);
            prop_assert!(first - now <= (second - first) + INTERVAL_MIN);
            prop_assert!(hold(usual) * INTERVAL_FACTOR <= second - first);
            prop_assert!(hold(usual).as_secs_f64() >= usual * HOLD_FACTOR);
            prop_assert!(hold(usual).as_secs_f64() <= usual * HOLD_FACTOR * 2.0);
        }

        #[test]
        fn workers_that_differ_hold_back_together_while_either_measures(
            usual in bearable(),
            other in 0.55_f64..1.8,
            now in 0_u64..100_000_000,
            seed in any::<u64>(),
        ) {
            let other = usual * other;
            prop_assume!(is_bearable(other));
            let schedule = Schedule::new(seed);
            let (now, rarer) = (Duration::from_millis(now), if hold(other) > hold(usual) { other } else { usual });
            let probe = schedule.next(rarer, now);
            // The one with the longer intervals never probes alone.
            let just_before = probe.saturating_sub(Duration::from_nanos(1));
            prop_assert_eq!(schedule.next(usual, just_before), probe);
            prop_assert_eq!(schedule.next(other, just_before), probe);
            for (one, another) in [(usual, other), (other, usual)] {
                let quiet = (0..1_000).map(|part| hold(one) * part / 1_000).filter(|at| is_quiet(one, *at));
                prop_assert!(quiet.clone().count() > 200);
                prop_assert!(quiet.into_iter().all(|at| !is_over(another, at)));
            }
        }
    }

    #[test]
    fn slow_services_are_not_probed() {
        for (seconds, bearable) in
            [(0.01, true), (0.5, true), (0.7, false), (60.0, false), (f64::INFINITY, false)]
        {
            assert_eq!(is_bearable(seconds), bearable, "{seconds}");
        }
    }

    #[test]
    fn services_are_probed_at_times_of_their_own() {
        let mut moments: Vec<_> =
            (0..100).map(|seed| Schedule::new(seed).next(0.01, Duration::ZERO)).collect();
        moments.sort_unstable();
        assert!(moments[99] - moments[0] > Duration::from_secs(20), "{moments:?}");
        moments.dedup();
        assert_eq!(moments.len(), 100);
    }
}
