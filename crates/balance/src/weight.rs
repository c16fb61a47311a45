//! How much of the traffic an endpoint is meant to get: its weight, which is configured, and its share, which is what counts at
//! the moment.

use std::num::{NonZeroU16, NonZeroU32};

/// The configured share of an endpoint, relative to the others; never zero, so whoever is in a table can be picked.
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

/// The share of an endpoint at the moment, in 64ths of the unit of weights, so that it can be less than its weight and is still
/// a whole number; never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(NonZeroU32);

impl Share {
    /// The 64ths that make a whole.
    pub(crate) const WHOLE: NonZeroU32 = NonZeroU32::new(64).expect("64 is not zero");

    /// So many 64ths of `weight`.
    pub(crate) fn of(weight: Weight, sixty_fourths: NonZeroU32) -> Self {
        Self(NonZeroU32::from(weight.0).saturating_mul(sixty_fourths))
    }

    /// The share as a number, which makes the same share again.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0.get()
    }
}

/// The whole of a weight.
impl From<Weight> for Share {
    fn from(weight: Weight) -> Self {
        Self::of(weight, Self::WHOLE)
    }
}

impl From<NonZeroU32> for Share {
    fn from(share: NonZeroU32) -> Self {
        Self(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_never_zero() {
        assert_eq!(Weight::try_from(0), Err(ZeroWeight));
    }

    #[test]
    fn the_whole_share_of_a_weight_is_64_times_as_much() {
        assert_eq!(Share::from(Weight::ONE).get(), 64);
        assert_eq!(Share::from(Weight::try_from(u16::MAX).unwrap()).get(), 64 * 65_535);
    }
}
