//! How far a metric may be from its target before anything is done.

/// Shares of the target, separately for each direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// How far below the target still counts as on it.
    pub down: f64,
    /// How far above.
    pub up: f64,
}

impl Tolerance {
    /// Whether `ratio`, the metric through its target, counts as one.
    ///
    /// The ends are computed before they are compared: with a tolerance of 0.1 a ratio of 1.1 is inside, although the float
    /// `1.1 - 1.0` is above 0.1.
    #[must_use]
    pub fn covers(self, ratio: f64) -> bool {
        (1.0 - self.down) <= ratio && ratio <= (1.0 + self.up)
    }
}

impl Default for Tolerance {
    /// A tenth, as Kubernetes has it.
    fn default() -> Self {
        Self { down: 0.1, up: 0.1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_are_inside() {
        for (ratio, covered) in
            [(0.9, true), (0.89, false), (1.0, true), (1.1, true), (1.11, false), (f64::NAN, false)]
        {
            assert_eq!(Tolerance::default().covers(ratio), covered, "{ratio}");
        }
        let exact = Tolerance { down: 0.0, up: 0.0 };
        assert!(exact.covers(1.0) && !exact.covers(1.0 + f64::EPSILON) && !exact.covers(1.0 - f64::EPSILON));
    }
}
