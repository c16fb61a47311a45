//! How much of what a replica prints is taken: lines and bytes a second, with room for a burst. Pure.
//!
//! A generic cell rate algorithm over one clock: each line moves a point in time on by what it costs, a thousandth of a second
//! or more if it is long, and that point may not be further ahead than the burst. Once it was, nothing is taken until half of
//! the burst is free again: a flood is then told of once a second, and not between any two lines.

use std::time::{Duration, Instant};

const LINES_PER_SECOND_MAX: u32 = 1000;
const BYTES_PER_SECOND_MAX: u32 = 1 << 20;
/// A program that starts may print two seconds' worth at once.
const BURST: Duration = Duration::from_secs(2);
const RESUMPTION: Duration = Duration::from_secs(1);

/// The bound of one replica.
#[derive(Debug, Default)]
pub(super) struct Bound {
    /// When all that was taken would have come at the highest rate.
    due: Option<Instant>,
    is_over: bool,
}

impl Bound {
    /// Takes a line of so many bytes, or says until when none is taken.
    pub(super) fn admit(&mut self, bytes: usize, now: Instant) -> Result<(), Instant> {
        let due = self.due.map_or(now, |due| due.max(now));
        let ahead = due - now;
        self.is_over = if self.is_over { ahead > RESUMPTION } else { ahead + cost(bytes) > BURST };
        if self.is_over {
            return Err(due - RESUMPTION);
        }
        self.due = Some(due + cost(bytes));
        Ok(())
    }
}

fn cost(bytes: usize) -> Duration {
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    let of_bytes = Duration::from_secs(bytes.into()) / BYTES_PER_SECOND_MAX;
    of_bytes.max(Duration::from_secs(1) / LINES_PER_SECOND_MAX)
}

#[cfg(test)]
mod tests {
    use phalanx_telemetry::clock;

    use super::*;

    /// How many lines of so many bytes are taken of a flood that begins after `pause` and lasts for `length`.
    fn taken(bound: &mut Bound, now: &mut Instant, bytes: usize, length: Duration) -> u32 {
        let (end, mut taken) = (*now + length, 0);
        while *now < end {
            match bound.admit(bytes, *now) {
                Ok(()) => taken += 1,
                // As whoever asks: not again before.
                Err(until) => {
                    assert!(until > *now, "a bound that never ends its wait");
                    *now = until;
                }
            }
            *now += Duration::from_micros(10);
        }
        taken
    }

    #[test]
    fn lines_below_the_rate_are_all_taken() {
        let (mut bound, began) = (Bound::default(), clock::now());
        for millis in 0..100_000 {
            assert_eq!(bound.admit(80, began + Duration::from_millis(millis)), Ok(()), "{millis}");
        }
    }

    #[test]
    fn a_flood_gets_its_burst_and_then_the_rate() {
        for (bytes, per_second) in [(1, 1000), (1024, 1000), (16 << 10, 64)] {
            let (mut bound, mut now) = (Bound::default(), clock::now());
            let burst = taken(&mut bound, &mut now, bytes, Duration::from_millis(100));
            assert!((2 * per_second..=2 * per_second + per_second / 5).contains(&burst), "{bytes}: {burst}");
            let later = taken(&mut bound, &mut now, bytes, Duration::from_secs(100));
            assert!((98 * per_second..=101 * per_second).contains(&later), "{bytes}: {later}");
            now += Duration::from_secs(10);
            let again = taken(&mut bound, &mut now, bytes, Duration::from_millis(100));
            assert!(again >= 2 * per_second, "{bytes}: a pause gives the burst back, not {again}");
        }
    }

    #[test]
    fn a_flood_is_cut_once_a_second() {
        let (mut bound, began) = (Bound::default(), clock::now());
        let (mut now, mut cuts) = (began, 0);
        while now < began + Duration::from_secs(20) {
            if let Err(until) = bound.admit(1, now) {
                cuts += 1;
                now = until;
            }
            now += Duration::from_micros(10);
        }
        assert!((18..=21).contains(&cuts), "{cuts}");
    }
}
