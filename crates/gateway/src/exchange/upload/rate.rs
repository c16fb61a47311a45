//! Whether a client sends a body fast enough: a byte now and then would hold a connection, and one to an endpoint, for ever.
//!
//! Only time counts in which the client lets the gateway wait. Any ten seconds of it, in steps of one, are judged.

use std::time::Duration;

const STEP: Duration = Duration::from_secs(1);
const STEPS: u32 = 10;

/// The client has sent too little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooSlow;

/// How fast one body comes.
pub(in crate::exchange) struct BodyRate {
    /// What has to come in all steps together.
    bytes_min: u64,
    /// Bytes of the present step and of those before it.
    received: [u64; STEPS as usize],
    steps_ended: u32,
    /// Time of the present step that has passed.
    waited: Duration,
}

impl BodyRate {
    /// Of a body of which so many bytes a second have to come; with zero none has to.
    pub(in crate::exchange) fn new(bytes_per_second_min: u32) -> Self {
        Self {
            bytes_min: u64::from(bytes_per_second_min) * u64::from(STEPS),
            received: [0; STEPS as usize],
            steps_ended: 0,
            waited: Duration::ZERO,
        }
    }

    /// When to look again, although nothing comes.
    pub(super) fn until_judged(&self) -> Duration {
        if self.bytes_min == 0 { Duration::MAX } else { STEP - self.waited }
    }

    /// Takes in that the client has let the gateway wait for so long.
    pub(super) fn waited(&mut self, elapsed: Duration) -> Result<(), TooSlow> {
        self.waited += elapsed;
        while self.waited >= STEP {
            self.waited -= STEP;
            self.steps_ended = self.steps_ended.saturating_add(1);
            if self.steps_ended >= STEPS && self.received.iter().sum::<u64>() < self.bytes_min {
                return Err(TooSlow);
            }
            self.received.rotate_right(1);
            self.received[0] = 0;
        }
        Ok(())
    }

    /// Takes in that so many bytes have come.
    pub(super) fn received(&mut self, bytes: usize) {
        self.received[0] = self.received[0].saturating_add(bytes as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The step, from one, at whose end a body is found too slow of which so many bytes come in each step, if ever.
    fn found_slow(bytes_per_second_min: u32, received: impl IntoIterator<Item = usize>) -> Option<usize> {
        let mut rate = BodyRate::new(bytes_per_second_min);
        received
            .into_iter()
            .position(|bytes| {
                rate.received(bytes);
                // In unequal parts: how a wait is cut says nothing.
                rate.waited(STEP / 3).and_then(|()| rate.waited(STEP - STEP / 3)).is_err()
            })
            .map(|step| step + 1)
    }

    #[test]
    fn any_ten_seconds_are_judged() {
        assert_eq!(found_slow(16, [0; 30]), Some(10), "nothing comes");
        assert_eq!(found_slow(16, [15; 30]), Some(10), "a little less");
        assert_eq!(found_slow(16, [16; 30]), None, "just enough");
        let once_in_ten = |bytes| (0..30).map(move |step| if step % 10 == 9 { bytes } else { 0 });
        assert_eq!(found_slow(16, once_in_ten(160)), None, "all at once, just in time");
        assert_eq!(found_slow(16, once_in_ten(159)), Some(10));
        let then_nothing = |steps: usize| (0..30).map(move |step| if step < steps { 1000 } else { 0 });
        assert_eq!(found_slow(16, then_nothing(5)), Some(15), "what came early is soon forgotten");
        assert_eq!(found_slow(0, [0; 30]), None, "switched off");
    }

    #[test]
    fn a_wait_ends_when_there_is_something_to_judge() {
        let mut rate = BodyRate::new(16);
        rate.waited(STEP / 4).unwrap();
        assert_eq!(rate.until_judged(), STEP - STEP / 4);
        assert_eq!(BodyRate::new(0).until_judged(), Duration::MAX);
    }

    #[test]
    fn a_long_wait_is_judged_as_many_short_ones() {
        assert_eq!(BodyRate::new(1).waited(10 * STEP), Err(TooSlow));
        assert_eq!(BodyRate::new(1).waited(10 * STEP - Duration::from_nanos(1)), Ok(()));
    }
}
