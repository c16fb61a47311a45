//! An amount of replicas as a policy gives it: a number, or a share of those desired.

use std::{fmt, str::FromStr};

/// So many replicas, or so many of every hundred that are desired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntOrPercent {
    /// A number of replicas.
    Int(u32),
    /// Percent of the desired replicas; above 100 is meaningful for a surge.
    Percent(u32),
}

impl IntOrPercent {
    /// The amount out of `desired`; a part of a replica counts as a whole one.
    pub(super) fn rounded_up(self, desired: u32) -> u32 {
        match self {
            Self::Int(count) => count,
            Self::Percent(percent) => saturated((u64::from(percent) * u64::from(desired)).div_ceil(100)),
        }
    }

    /// The amount out of `desired`; a part of a replica counts for nothing.
    pub(super) fn rounded_down(self, desired: u32) -> u32 {
        match self {
            Self::Int(count) => count,
            Self::Percent(percent) => saturated(u64::from(percent) * u64::from(desired) / 100),
        }
    }

    pub(super) fn is_zero(self) -> bool {
        matches!(self, Self::Int(0) | Self::Percent(0))
    }
}

/// As it is configured: `3` or `25%`.
impl fmt::Display for IntOrPercent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(count) => count.fmt(formatter),
            Self::Percent(percent) => write!(formatter, "{percent}%"),
        }
    }
}

impl From<u32> for IntOrPercent {
    fn from(count: u32) -> Self {
        Self::Int(count)
    }
}

/// A text that is neither a whole number nor a whole percentage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is neither a number of replicas, such as 3, nor a percentage of them, such as 25%")]
pub struct NoAmount {
    /// What was given.
    pub text: String,
}

impl FromStr for IntOrPercent {
    type Err = NoAmount;

    fn from_str(text: &str) -> Result<Self, NoAmount> {
        let parsed = match text.strip_suffix('%') {
            Some(percent) => digits(percent).map(Self::Percent),
            None => digits(text).map(Self::Int),
        };
        parsed.ok_or_else(|| NoAmount { text: text.to_owned() })
    }
}

/// Digits alone: the parser of the standard library would take a sign as well.
fn digits(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn saturated(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_and_percentages_are_read_and_nothing_else() {
        for (text, amount) in [
            ("0", IntOrPercent::Int(0)),
            ("3", IntOrPercent::Int(3)),
            ("4294967295", IntOrPercent::Int(u32::MAX)),
            ("0%", IntOrPercent::Percent(0)),
            ("25%", IntOrPercent::Percent(25)),
            ("007%", IntOrPercent::Percent(7)),
            ("150%", IntOrPercent::Percent(150)),
        ] {
            assert_eq!(text.parse(), Ok(amount), "{text}");
        }
        for text in
            ["", "%", "-1", "+1", "+25%", "25 %", " 25%", "25%%", "2.5%", "4294967296", "25percent", "٣"]
        {
            assert_eq!(text.parse::<IntOrPercent>(), Err(NoAmount { text: text.to_owned() }));
        }
    }

    #[test]
    fn parts_of_a_replica_round_up_or_down() {
        for (percent, desired, up, down) in
            [(25, 10, 3, 2), (25, 4, 1, 1), (30, 7, 3, 2), (1, 1, 1, 0), (0, 9, 0, 0), (100, 3, 3, 3)]
        {
            let amount = IntOrPercent::Percent(percent);
            assert_eq!(
                (amount.rounded_up(desired), amount.rounded_down(desired)),
                (up, down),
                "{amount} of {desired}"
            );
        }
        let most = IntOrPercent::Percent(u32::MAX);
        assert_eq!((most.rounded_up(u32::MAX), most.rounded_down(u32::MAX)), (u32::MAX, u32::MAX));
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_again(value in any::<u32>(), is_percent in any::<bool>()) {
            let amount = if is_percent { IntOrPercent::Percent(value) } else { IntOrPercent::Int(value) };
            prop_assert_eq!(amount.to_string().parse(), Ok(amount));
        }

        #[test]
        fn no_text_is_too_strange(text in any::<String>()) {
            let _ = text.parse::<IntOrPercent>();
        }
    }
}
