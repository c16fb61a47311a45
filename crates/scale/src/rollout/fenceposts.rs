//! The bounds that a rollout keeps between: how many replicas there may be, and how many must be available.
//!
//! Invariant: a rollout can always go on, since one of both bounds leaves room for a replica as long as any is desired.

use super::amount::IntOrPercent;

/// The bounds of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fenceposts {
    /// Replicas that may be there above the desired ones.
    pub surge: u32,
    /// Desired replicas that may be unavailable.
    pub unavailable: u32,
    /// Replicas that may be there: the desired ones and the surge.
    pub max_total: u32,
    /// Replicas that must be available before an available one is taken away.
    pub min_available: u32,
}

/// The bounds for `desired` replicas. The surge is rounded up and the unavailable ones are rounded down, so that a percentage of
/// few replicas errs towards more of them; where nothing is left of both, one may be unavailable.
#[must_use]
pub fn fenceposts(desired: u32, max_surge: IntOrPercent, max_unavailable: IntOrPercent) -> Fenceposts {
    let surge = max_surge.rounded_up(desired);
    let unavailable = match max_unavailable.rounded_down(desired) {
        0 if surge == 0 => 1,
        unavailable => unavailable,
    };
    let unavailable = unavailable.min(desired);
    let max_total = desired.saturating_add(surge);
    Fenceposts { surge, unavailable, max_total, min_available: desired - unavailable }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn surge_rounds_up_unavailable_rounds_down_and_one_of_both_is_left() {
        for (desired, surge, unavailable, expected) in [
            (1, "25%", "25%", [1, 0, 2, 1]),
            (3, "25%", "25%", [1, 0, 4, 3]),
            (4, "25%", "25%", [1, 1, 5, 3]),
            (10, "25%", "25%", [3, 2, 13, 8]),
            (7, "30%", "30%", [3, 2, 10, 5]),
            (10, "3", "2", [3, 2, 13, 8]),
            (2, "0%", "1%", [0, 1, 2, 1]),
            (1, "0%", "1%", [0, 1, 1, 0]),
            (2, "1%", "0%", [1, 0, 3, 2]),
            (2, "0", "0", [0, 1, 2, 1]),
            (3, "0", "7", [0, 3, 3, 0]),
            (3, "200%", "100%", [6, 3, 9, 0]),
            (0, "25%", "25%", [0, 0, 0, 0]),
            (0, "2", "2", [2, 0, 2, 0]),
            (u32::MAX, "1", "0", [1, 0, u32::MAX, u32::MAX]),
        ] {
            let posts = fenceposts(desired, surge.parse().unwrap(), unavailable.parse().unwrap());
            let got = [posts.surge, posts.unavailable, posts.max_total, posts.min_available];
            assert_eq!(got, expected, "{desired} desired, surge {surge}, unavailable {unavailable}");
        }
    }

    fn amount() -> impl Strategy<Value = IntOrPercent> {
        prop_oneof![any::<u32>().prop_map(IntOrPercent::Int), any::<u32>().prop_map(IntOrPercent::Percent)]
    }

    proptest! {
        #[test]
        fn a_rollout_always_has_room(desired in 1_u32..u32::MAX, surge in amount(), unavailable in amount()) {
            let posts = fenceposts(desired, surge, unavailable);
            prop_assert!(posts.max_total > desired || posts.min_available < desired);
            prop_assert!(posts.min_available <= desired && desired <= posts.max_total);
        }
    }
}
