//! Slow start: an endpoint that has just begun to serve gets little, and by and by its whole share, while its caches fill and its
//! connections are made.
//!
//! Invariant: it never gets nothing, since what gets no requests never warms up.

use std::{num::NonZeroU32, time::Duration};

use crate::{Share, Weight};

/// What an endpoint begins with, in percent of its weight.
const FIRST_PERCENT: u128 = 10;

/// The share of an endpoint of `weight` that began to serve `elapsed` ago and takes `duration` until it gets all of it; without a
/// duration it does at once.
#[must_use]
pub fn share(weight: Weight, elapsed: Duration, duration: Duration) -> Share {
    Share::of(weight, sixty_fourths(elapsed, duration))
}

/// Grows in a straight line from a tenth to the whole.
fn sixty_fourths(elapsed: Duration, duration: Duration) -> NonZeroU32 {
    if elapsed >= duration {
        return Share::WHOLE;
    }
    let (elapsed, duration) = (elapsed.as_nanos(), duration.as_nanos());
    let percent_of_duration = FIRST_PERCENT * duration + (100 - FIRST_PERCENT) * elapsed;
    let grown = u128::from(Share::WHOLE.get()) * percent_of_duration / (100 * duration);
    u32::try_from(grown).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn grown(elapsed: Duration, duration: Duration) -> u32 {
        share(Weight::ONE, elapsed, duration).get()
    }

    #[test]
    fn a_share_grows_from_a_tenth_to_the_whole() {
        let shares = [0, 1, 5, 9, 10, 11].map(|elapsed| grown(elapsed * SECOND, 10 * SECOND));
        assert_eq!(shares, [6, 12, 35, 58, 64, 64]);
        assert_eq!(share(Weight::try_from(1_000).unwrap(), 5 * SECOND, 10 * SECOND).get(), 35_000);
    }

    #[test]
    fn without_a_duration_it_is_whole_at_once() {
        assert_eq!(grown(Duration::ZERO, Duration::ZERO), 64);
    }

    proptest! {
        #[test]
        fn it_never_shrinks_is_never_nothing_and_never_more_than_the_whole(
            duration in any::<u64>(),
            earlier in any::<u64>(),
            later in any::<u64>(),
        ) {
            let [duration, earlier, later] = [duration, earlier.min(later), earlier.max(later)].map(Duration::from_nanos);
            let (before, after) = (grown(earlier, duration), grown(later, duration));
            prop_assert!(1 <= before && before <= after && after <= 64);
            let naive = 64.0 * (0.1 + 0.9 * earlier.as_secs_f64() / duration.as_secs_f64()).min(1.0);
            prop_assert!((f64::from(before) - naive).abs() <= 1.001, "{} and {}", before, naive);
        }
    }
}
