//! The stages of a resharding, the order they come in, and the names that databases hold.
//!
//! Invariant: names are frozen, since a resharding may outlive the program that began it.

use std::{fmt, str::FromStr};

/// Where a resharding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The targets get their schema; the moving buckets are not theirs there.
    Provision,
    /// The streams of changes begin on the sources, before anything is copied.
    Stream,
    /// The rows are copied from a snapshot, and indexed after.
    Copy,
    /// The streams run until they lag little.
    CatchUp,
    /// Every row is compared, and reads are repeated on the targets in the dark.
    Verify,
    /// Reads go to the targets.
    SwitchReads,
    /// The sources pause writes of the moving buckets, and those under way end.
    Pause,
    /// The streams run until nothing is left in them.
    Drain,
    /// The sources give the buckets up, then the targets own them, paused, both at the next epoch.
    BumpEpoch,
    /// Streams from the targets to the sources begin.
    ReverseStream,
    /// The targets take writes.
    Open,
    /// All serves from the targets, for as long as was asked for; the sources are kept up to date.
    Soak,
    /// The streams and the rows on the sources are dropped.
    CleanUp,
    /// The buckets have moved.
    Done,
    /// The targets pause writes, and those under way end.
    PauseBack,
    /// The streams back run until nothing is left in them.
    DrainBack,
    /// The targets give the buckets up, then the sources own them, paused, both at another epoch. Where the targets were never open the
    /// sources come first, so that a target that hangs holds nobody up.
    ReturnEpoch,
    /// The sources take writes.
    Resume,
    /// Reads go to the sources.
    ReturnReads,
    /// The streams and the rows on the targets are dropped.
    TearDown,
    /// The buckets are where they were.
    Aborted,
}

impl Stage {
    /// Every stage, first those onwards, then those back.
    pub const ALL: [Self; 21] = [
        Self::Provision,
        Self::Stream,
        Self::Copy,
        Self::CatchUp,
        Self::Verify,
        Self::SwitchReads,
        Self::Pause,
        Self::Drain,
        Self::BumpEpoch,
        Self::ReverseStream,
        Self::Open,
        Self::Soak,
        Self::CleanUp,
        Self::Done,
        Self::PauseBack,
        Self::DrainBack,
        Self::ReturnEpoch,
        Self::Resume,
        Self::ReturnReads,
        Self::TearDown,
        Self::Aborted,
    ];

    /// The name under which it is stored and shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Provision => "provision",
            Self::Stream => "stream",
            Self::Copy => "copy",
            Self::CatchUp => "catch_up",
            Self::Verify => "verify",
            Self::SwitchReads => "switch_reads",
            Self::Pause => "pause",
            Self::Drain => "drain",
            Self::BumpEpoch => "bump_epoch",
            Self::ReverseStream => "reverse_stream",
            Self::Open => "open",
            Self::Soak => "soak",
            Self::CleanUp => "clean_up",
            Self::Done => "done",
            Self::PauseBack => "pause_back",
            Self::DrainBack => "drain_back",
            Self::ReturnEpoch => "return_epoch",
            Self::Resume => "resume",
            Self::ReturnReads => "return_reads",
            Self::TearDown => "tear_down",
            Self::Aborted => "aborted",
        }
    }

    /// The stage after one that has achieved what it is for; none after the last ones.
    #[must_use]
    pub fn following(self) -> Option<Self> {
        Some(match self {
            Self::Provision => Self::Stream,
            Self::Stream => Self::Copy,
            Self::Copy => Self::CatchUp,
            Self::CatchUp => Self::Verify,
            Self::Verify => Self::SwitchReads,
            Self::SwitchReads => Self::Pause,
            Self::Pause => Self::Drain,
            Self::Drain => Self::BumpEpoch,
            Self::BumpEpoch => Self::ReverseStream,
            Self::ReverseStream => Self::Open,
            Self::Open => Self::Soak,
            Self::Soak => Self::CleanUp,
            Self::CleanUp => Self::Done,
            Self::PauseBack => Self::DrainBack,
            Self::DrainBack => Self::ReturnEpoch,
            Self::ReturnEpoch => Self::Resume,
            Self::Resume => Self::ReturnReads,
            Self::ReturnReads => Self::TearDown,
            Self::TearDown => Self::Aborted,
            Self::Done | Self::Aborted => return None,
        })
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// No stage has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no stage of a resharding")]
pub struct NoSuchStage(pub String);

impl FromStr for Stage {
    type Err = NoSuchStage;

    fn from_str(name: &str) -> Result<Self, NoSuchStage> {
        let named = Self::ALL.into_iter().find(|stage| stage.name() == name);
        named.ok_or_else(|| NoSuchStage(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_and_no_other() {
        for stage in Stage::ALL {
            assert_eq!(stage.to_string().parse(), Ok(stage));
        }
        for name in ["", "Copy", "copy ", "catch-up"] {
            assert_eq!(name.parse::<Stage>(), Err(NoSuchStage(name.to_owned())));
        }
    }
}
