//! How much of the traffic an endpoint is meant to get.

use std::num::NonZeroU16;

/// The share of an endpoint, relative to the others; never zero, so whoever is in a table can be picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight(NonZeroU16);

impl Weight {
    /// The weight of an endpoint that has none given.
    pub const ONE: Self = Self(NonZeroU16::MIN);

    /// The weight as a number.
    #[must_use]
    pub fn get(self) -> u16 {
        self.0.get()
    }
}

/// A weight of zero: an endpoint that takes no traffic is not in the table at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a weight is at least 1")]
pub struct ZeroWeight;

impl TryFrom<u16> for Weight {
    type Error = ZeroWeight;

    fn try_from(weight: u16) -> Result<Self, ZeroWeight> {
        NonZeroU16::new(weight).map(Self).ok_or(ZeroWeight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_never_zero() {
        assert_eq!(Weight::try_from(0), Err(ZeroWeight));
    }
}
