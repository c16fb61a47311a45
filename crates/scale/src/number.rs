//! Integers and floats as the arithmetic needs them: every conversion saturates, and what is no number counts as nothing.
//!
//! Kubernetes computes in `int32`, `int64` and `float64`. Where those stay within their ranges the results here are the same
//! bit for bit; where they would wrap, these stop at the end of the range.

use std::fmt;

/// The most replicas that can be asked for: what Kubernetes' `int32` holds.
pub const REPLICAS_MAX: u32 = i32::MAX.unsigned_abs();

/// A value in thousandths, shown as a number without needless decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Thousandths(pub i64);

impl fmt::Display for Thousandths {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, rest) = (self.0.unsigned_abs() / 1000, self.0.unsigned_abs() % 1000);
        if rest == 0 {
            return write!(formatter, "{sign}{whole}");
        }
        let decimals = format!("{rest:03}");
        write!(formatter, "{sign}{whole}.{}", decimals.trim_end_matches('0'))
    }
}

/// A count of replicas out of a float, rounded up.
pub(crate) fn replicas_up(count: f64) -> u32 {
    replicas(toward_zero(count.ceil()))
}

/// A count of replicas out of an integer.
pub(crate) fn replicas(count: i64) -> u32 {
    u32::try_from(count.clamp(0, i64::from(REPLICAS_MAX))).unwrap_or(REPLICAS_MAX)
}

/// How many to ask for so that this many work while others crash. Each that is needed is asked for a second time at most, so that
/// a version which always crashes does not multiply without end.
pub(crate) fn beside_crashing(needed: u32, crashing: u32) -> u32 {
    needed.saturating_add(crashing.min(needed)).min(REPLICAS_MAX)
}

/// The integer part of a float.
#[expect(clippy::cast_possible_truncation, reason = "to drop the fraction and to saturate is what is wanted")]
pub(crate) fn toward_zero(value: f64) -> i64 {
    value as i64
}

/// The nearest float: counts of replicas are exact, values above 2^53 are rounded as Go rounds them.
pub(crate) fn float(value: i64) -> f64 {
    value as f64
}

/// How many there are, as a factor.
pub(crate) fn count(entries: usize) -> f64 {
    entries as f64
}

/// An integer that fits 64 bits, or the end of their range.
pub(crate) fn narrow(value: i128) -> i64 {
    let end = if value < 0 { i64::MIN } else { i64::MAX };
    i64::try_from(value).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousandths_show_no_needless_decimals() {
        let shown = [0, 12_500, 1, -500, -1_050, i64::MIN].map(|milli| Thousandths(milli).to_string());
        assert_eq!(shown, ["0", "12.5", "0.001", "-0.5", "-1.05", "-9223372036854775.808"]);
    }

    #[test]
    fn what_does_not_fit_stops_at_the_end_of_the_range() {
        assert_eq!(replicas_up(2.000_000_1), 3);
        assert_eq!(replicas_up(-0.5), 0);
        assert_eq!(replicas_up(f64::NAN), 0);
        assert_eq!(replicas_up(f64::INFINITY), REPLICAS_MAX);
        assert_eq!(replicas_up(f64::NEG_INFINITY), 0);
        assert_eq!(replicas(-1), 0);
        assert_eq!(replicas(i64::MAX), REPLICAS_MAX);
        assert_eq!(toward_zero(-1.9), -1);
        assert_eq!(narrow(i128::MAX), i64::MAX);
        assert_eq!(narrow(i128::MIN), i64::MIN);
    }
}
