//! The parts that the lines of all reasons have in common, so that no two decisions are told in different words.

use std::fmt::{self, Display, Formatter};

use crate::host::HostLimit;

/// How a line begins: which number becomes which.
pub(crate) fn numbers_to(formatter: &mut Formatter<'_>, from: u32, to: u32) -> fmt::Result {
    if from == to { write!(formatter, "held at {to}: ") } else { write!(formatter, "{from} → {to}: ") }
}

/// What each metric said, and how many replicas were not counted on.
pub(crate) fn metrics_to<R: Display>(
    formatter: &mut Formatter<'_>,
    reasons: &[R],
    crashing: u32,
) -> fmt::Result {
    for (index, reason) in reasons.iter().enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        write!(formatter, "{separator}{reason}")?;
    }
    if crashing > 0 {
        write!(formatter, "; {crashing} not counted, crashing")?;
    }
    Ok(())
}

/// Why max is no more, behind the number.
pub(crate) fn host_limit_to(formatter: &mut Formatter<'_>, limit: Option<HostLimit>) -> fmt::Result {
    limit.map_or(Ok(()), |limit| write!(formatter, ": {limit}"))
}
