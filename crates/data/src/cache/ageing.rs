//! When an entry ends, and when it is loaded anew before that. Chance is an argument.

use std::time::Duration;

/// A lifetime shortened by up to `share` of it, so that what was filled together does not end together.
pub(super) fn jittered(lifetime: Duration, share: f64, random: f64) -> Duration {
    lifetime.mul_f64(1.0 - share.clamp(0.0, 1.0) * random)
}

/// XFetch: whether this read should load anew, with probability exp(-t/(βδ)) for a remaining life of t and a load time of δ.
///
/// The more often a value is read and the longer its load takes, the earlier somebody begins; on average one reader.
pub(super) fn refresh_is_due(remaining: Duration, load_time: Duration, beta: f64, random: f64) -> bool {
    // Redis keeps milliseconds, and a load that took none would never be begun early.
    let load_seconds = load_time.as_secs_f64().max(0.001);
    random < (-remaining.as_secs_f64() / (beta * load_seconds)).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn jitter_only_shortens_and_by_no_more_than_its_share() {
        assert_eq!(jittered(SECOND, 0.1, 0.0), SECOND);
        assert_eq!(jittered(SECOND, 0.5, 0.5), Duration::from_millis(750));
        assert_eq!(jittered(SECOND, 0.0, 0.9), SECOND);
    }

    #[test]
    fn refreshes_follow_the_exponential_law() {
        let mut random = fastrand::Rng::with_seed(7);
        for (remaining, beta, expected) in
            [(1.0, 1.0, 0.368), (2.0, 1.0, 0.135), (1.0, 2.0, 0.607), (0.0, 1.0, 1.0)]
        {
            let remaining = Duration::from_secs_f64(remaining);
            let begun = (0..20_000).filter(|_| refresh_is_due(remaining, SECOND, beta, random.f64())).count();
            let share = f64::from(u32::try_from(begun).unwrap()) / 20_000.0;
            assert!((share - expected).abs() < 0.015, "{remaining:?} {beta}: {share}");
        }
        assert!(!refresh_is_due(SECOND, SECOND, 0.0, 0.0), "beta 0 switches it off");
    }
}
