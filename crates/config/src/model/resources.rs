//! What a replica is expected to use, and what it may use.

use std::num::{NonZeroU32, NonZeroU64};

/// Invariant: no limit is below the request of its kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// `resources`: what percentages are of.
    pub requests: Amounts,
    /// `cpu` and `memory` of `limits`: what a replica gets at most.
    pub limits: Amounts,
}

/// Amounts of what a replica uses; what is not given has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Thousandths of a core.
    pub cpu_milli: Option<NonZeroU32>,
    /// Bytes.
    pub memory_bytes: Option<NonZeroU64>,
}

impl Amounts {
    /// Whether no amount is given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
