//! When a cached value ends, and when it is fetched again before that.
//!
//! Values that were stored together must not end together, so their time to live is shortened by a random part. And the one that
//! everybody asks for must not end while everybody asks: with a chance that grows towards the end, one of them fetches it early
//! (XFetch: Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", 2015).
//!
//! Invariant: jitter only shortens, since longer than its time no value may be believed.
//! Elsewhere: the cache, the clock, and the random numbers, which are evenly distributed from 0 to 1, without 1.

use std::time::Duration;

/// How early values are fetched again: β. Greater is earlier.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Eagerness(f64);

impl Eagerness {
    /// What suits most: the chance is 1/e when as much time is left as fetching takes.
    pub const ONE: Self = Self(1.0);
}

/// This is no measure of eagerness or jitter.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{value} is not from {min} to {max}")]
pub struct OutOfRange {
    /// What was given.
    pub value: f64,
    /// The least that is allowed.
    pub min: f64,
    /// The most that is allowed.
    pub max: f64,
}

impl TryFrom<f64> for Eagerness {
    type Error = OutOfRange;

    /// From 0, which is never early, to 100.
    fn try_from(value: f64) -> Result<Self, OutOfRange> {
        within(value, 100.0).map(Self)
    }
}

/// By what part a time to live is shortened at most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jitter(f64);

impl Jitter {
    /// A time to live of `duration`, shortened by a part of the jitter that `random` chooses.
    #[must_use]
    pub fn shorten(self, duration: Duration, random: f64) -> Duration {
        let part = self.0 * random.clamp(0.0, 1.0);
        duration.saturating_sub(duration.mul_f64(part))
    }
}

impl TryFrom<f64> for Jitter {
    type Error = OutOfRange;

    /// From 0, which is none, to 0.5.
    fn try_from(value: f64) -> Result<Self, OutOfRange> {
        within(value, 0.5).map(Self)
    }
}

/// What a reader of a cached value does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Takes it as it is.
    Fresh,
    /// Takes it, and fetches it again for those who come next.
    RefreshEarly,
    /// Does not take it: its time is over.
    Expired,
}

/// What a reader does with a value that has `left` to live and took `cost` to fetch: t and δ in P = exp(-t / (β·δ)).
#[must_use]
pub fn freshness(left: Duration, cost: Duration, eagerness: Eagerness, random: f64) -> Freshness {
    if left.is_zero() {
        return Freshness::Expired;
    }
    let scale = eagerness.0 * cost.as_secs_f64();
    // What costs nothing is never fetched early; nor is it divided by.
    let chance = if scale > 0.0 { (-left.as_secs_f64() / scale).exp() } else { 0.0 };
    if random < chance { Freshness::RefreshEarly } else { Freshness::Fresh }
}

fn within(value: f64, max: f64) -> Result<f64, OutOfRange> {
    if (0.0..=max).contains(&value) { Ok(value) } else { Err(OutOfRange { value, min: 0.0, max }) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_chance_is_that_of_the_paper() {
        for (left, cost, eagerness, chance) in [
            (1.0, 1.0, 1.0, 0.367_879),
            (2.0, 1.0, 1.0, 0.135_335),
            (2.0, 1.0, 2.0, 0.367_879),
            (60.0, 0.1, 1.0, 0.0),
            (0.001, 1.0, 1.0, 0.999_000),
        ] {
            let (left, cost) = (Duration::from_secs_f64(left), Duration::from_secs_f64(cost));
            let eagerness = Eagerness::try_from(eagerness).unwrap();
            let early = (0..100_000).filter(|step| {
                freshness(left, cost, eagerness, f64::from(*step) / 1e5) == Freshness::RefreshEarly
            });
            assert!((early.count() as f64 / 1e5 - chance).abs() < 1e-4, "{left:?} {cost:?}");
        }
    }

    #[test]
    fn what_is_over_is_over_and_what_costs_nothing_is_not_early() {
        assert_eq!(freshness(Duration::ZERO, SECOND, Eagerness::ONE, 0.99), Freshness::Expired);
        assert_eq!(freshness(Duration::from_nanos(1), Duration::ZERO, Eagerness::ONE, 0.0), Freshness::Fresh);
        let never = Eagerness::try_from(0.0).unwrap();
        assert_eq!(freshness(Duration::from_nanos(1), SECOND, never, 0.0), Freshness::Fresh);
    }

    #[test]
    fn measures_have_their_bounds() {
        for value in [-0.1, f64::NAN, f64::INFINITY, 101.0] {
            assert!(Eagerness::try_from(value).is_err() && Jitter::try_from(value).is_err(), "{value}");
        }
        assert_eq!(Jitter::try_from(0.6).unwrap_err().to_string(), "0.6 is not from 0 to 0.5");
    }

    proptest! {
        #[test]
        fn the_chance_grows_towards_the_end(
            nearer in 1_u64..10_000_000,
            farther in 1_u64..10_000_000,
            cost in 0_u64..1_000_000,
            random in 0.0..1.0_f64,
        ) {
            let early = |left| {
                let [left, cost] = [left, cost].map(Duration::from_micros);
                freshness(left, cost, Eagerness::ONE, random) == Freshness::RefreshEarly
            };
            prop_assert!(early(nearer.min(farther)) || !early(nearer.max(farther)));
        }

        #[test]
        fn jitter_shortens_by_at_most_its_part(
            nanos in any::<u64>(),
            part in 0.0..=0.5_f64,
            random in prop_oneof![0.0..1.0_f64, any::<f64>()],
        ) {
            let duration = Duration::from_nanos(nanos);
            let shortened = Jitter::try_from(part).unwrap().shorten(duration, random);
            prop_assert!(shortened <= duration);
            prop_assert!(shortened.as_secs_f64() >= duration.as_secs_f64() * (1.0 - part) * 0.999_999 - 1e-8);
        }
    }
}
