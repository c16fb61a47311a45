//! When something that may run out is so nearly used up that no more work is taken on, and when there is enough of it again.
//!
//! Invariant: between the two shares nothing changes, so that a use that swings around one of them does not make requests pass and
//! fail in turn.

/// From this share on, in percent, it is short.
const SHORT_FROM: u128 = 90;
/// Below this share, in percent, it is not any more.
const AMPLE_BELOW: u128 = 85;

/// Whether something is nearly used up. It begins as if it were not.
#[derive(Clone, Debug, Default)]
pub struct Pressure {
    is_short: bool,
}

/// What has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is short from here on.
    Short,
    /// There is enough again.
    Ample,
}

impl Pressure {
    /// Takes in how much of `all` is `used`, and says what follows. Of nothing, nothing is used up.
    pub fn observe(&mut self, used: u64, all: u64) -> Option<Turn> {
        let reaches = |percent: u128| u128::from(used) * 100 >= u128::from(all) * percent;
        let is_short = all > 0 && reaches(if self.is_short { AMPLE_BELOW } else { SHORT_FROM });
        let was_short = std::mem::replace(&mut self.is_short, is_short);
        match (was_short, is_short) {
            (false, true) => Some(Turn::Short),
            (true, false) => Some(Turn::Ample),
            (false, false) | (true, true) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_short_from_one_share_and_ample_below_another() {
        let mut pressure = Pressure::default();
        let turns = [0, 85, 89, 90, 100, 89, 85, 84, 89, 85, 90].map(|used| pressure.observe(used, 100));
        let (short, ample) = (Some(Turn::Short), Some(Turn::Ample));
        assert_eq!(turns, [None, None, None, short, None, None, None, ample, None, None, short]);
    }

    #[test]
    fn of_nothing_nothing_is_used_up() {
        let mut pressure = Pressure::default();
        assert_eq!(pressure.observe(1, 0), None);
        assert_eq!(pressure.observe(1, 1), Some(Turn::Short));
        assert_eq!(pressure.observe(1, 0), Some(Turn::Ample));
    }

    proptest! {
        /// The model: shares as fractions, and the last turn.
        #[test]
        fn turns_take_turns_each_at_its_share(
            observed in prop::collection::vec((any::<u32>(), 1_u32..), 1..50),
        ) {
            let mut pressure = Pressure::default();
            let mut is_short = false;
            for (used, all) in observed {
                let share = f64::from(used) / f64::from(all);
                match pressure.observe(used.into(), all.into()) {
                    Some(Turn::Short) => {
                        prop_assert!(!is_short && share >= 0.9 - 1e-9);
                        is_short = true;
                    }
                    Some(Turn::Ample) => {
                        prop_assert!(is_short && share < 0.85 + 1e-9);
                        is_short = false;
                    }
                    None if is_short => prop_assert!(share >= 0.85 - 1e-9),
                    None => prop_assert!(share < 0.9 + 1e-9),
                }
            }
        }
    }
}
