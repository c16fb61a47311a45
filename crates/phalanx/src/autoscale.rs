//! `phalanx autoscale`: decisions about the number of replicas, away from any replica.

mod chart;
mod compare;
mod explain;
mod file;
mod policy;
mod report;
mod simulate;
mod trace;

use crate::{cli::AutoscaleOperation, exit::Failure};

pub(crate) fn run(operation: &AutoscaleOperation) -> Result<(), Failure> {
    match operation {
        AutoscaleOperation::Explain(arguments) => explain::run(arguments),
        AutoscaleOperation::Simulate(arguments) => simulate::run(arguments),
    }
}

/// A number with at most three decimals, as thousandths; further ones are dropped.
pub(crate) fn milli(text: &str) -> Option<i64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(decimals) || text.ends_with('.') {
        return None;
    }
    let thousandths: String = decimals.chars().chain("000".chars()).take(3).collect();
    whole.parse::<i64>().ok()?.checked_mul(1_000)?.checked_add(thousandths.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_to_the_thousandth() {
        for (text, expected) in [
            ("0", Some(0)),
            ("250", Some(250_000)),
            ("12.5", Some(12_500)),
            ("0.0019", Some(1)),
            ("9223372036854775", Some(9_223_372_036_854_775_000)),
            ("9223372036854776", None),
            ("", None),
            (".5", None),
            ("5.", None),
            ("-1", None),
            ("+1", None),
            ("1e3", None),
            ("1,5", None),
            ("NaN", None),
        ] {
            assert_eq!(milli(text), expected, "{text}");
        }
    }
}
