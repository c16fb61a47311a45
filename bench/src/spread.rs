//! How far the rounds of one measurement lie apart.

/// A median and the extremes around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// # Panics
    /// Of no values: every round measures every proxy under every scenario.
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let count = values.len();
        Self {
            least: values[0],
            median: f64::midpoint(values[(count - 1) / 2], values[count / 2]),
            most: values[count - 1],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn a_spread_has_its_median_in_the_middle() {
        let of = |values: &[f64]| Spread::of(values.iter().copied());
        assert_eq!(of(&[3.0]), Spread { least: 3.0, median: 3.0, most: 3.0 });
        assert_eq!(of(&[9.0, 1.0, 2.0]), Spread { least: 1.0, median: 2.0, most: 9.0 });
        assert_eq!(of(&[4.0, 1.0, 2.0, 9.0]), Spread { least: 1.0, median: 3.0, most: 9.0 });
    }
}
