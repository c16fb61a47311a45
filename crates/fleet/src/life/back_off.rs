//! How long a replica that failed waits before its next start: the rule of the kubelet, and a spread.

use std::time::Duration;

use phalanx_config::BackOff;

/// The failed runs of a replica that still count.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Failures(u32);

impl Failures {
    /// Counts a run that lasted for `ran_for`, and says how long to wait until the next.
    ///
    /// The first failure costs no pause, the second `first`, each further one twice as much, up to `longest`. A long run
    /// forgives those before it, and its own end is the first again.
    pub(crate) fn count(&mut self, ran_for: Duration, back_off: &BackOff, ordinal: u32) -> Duration {
        if ran_for > back_off.forgiven_after {
            self.0 = 0;
        }
        let pause = pause(self.0, back_off);
        self.0 = self.0.saturating_add(1);
        spread(pause, ordinal)
    }
}

/// The pause of a replica that failed `failures_before` times before.
fn pause(failures_before: u32, back_off: &BackOff) -> Duration {
    let Some(doublings) = failures_before.checked_sub(1) else { return Duration::ZERO };
    let doublings = doublings.min(u32::BITS - 1);
    back_off.first.saturating_mul(1 << doublings).min(back_off.longest)
}

/// Up to a fifth shorter, by ordinal, so that replicas that fall together do not come back together. Not by chance: what a
/// test or a person saw once happens again.
pub(super) fn spread(pause: Duration, ordinal: u32) -> Duration {
    // Steps of the golden ratio fall far from each other, however many replicas there are.
    let share = (f64::from(ordinal) * 0.618_033_988_75).fract();
    pause.mul_f64(1.0 - share / 5.0)
}
