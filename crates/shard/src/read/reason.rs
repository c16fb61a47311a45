//! Why a read went where it went: the labels of `phalanx_reads_total{target,reason}`. Both sets are closed, so that a counter for
//! each pair can be made beforehand.

/// Who served a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A replica.
    Replica,
    /// The primary.
    Primary,
    /// Nobody: it failed.
    None,
}

impl Target {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Replica, Self::Primary, Self::None];

    /// The text of the label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Replica => "replica",
            Self::Primary => "primary",
            Self::None => "none",
        }
    }
}

/// Why a read went there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The caller asked for the primary.
    Asked,
    /// Anything would do.
    Eventual,
    /// A replica was known to be far enough.
    Known,
    /// A replica was asked, and was far enough.
    Guarded,
    /// A replica was far enough after a wait.
    Waited,
    /// No replica is far enough.
    Behind,
    /// No replica follows the timeline of the write: there was a failover.
    Timeline,
    /// All replicas are further behind than any read should bear.
    Lag,
    /// No replica serves.
    NoReplica,
    /// The caller prefers what is old to what is slow.
    Stale,
    /// The primary has served as many fallbacks as it bears.
    Capped,
    /// What is to be seen was written by a newer map of buckets than any shard has.
    Epoch,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Asked,
        Self::Eventual,
        Self::Known,
        Self::Guarded,
        Self::Waited,
        Self::Behind,
        Self::Timeline,
        Self::Lag,
        Self::NoReplica,
        Self::Stale,
        Self::Capped,
        Self::Epoch,
    ];

    /// The text of the label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Eventual => "eventual",
            Self::Known => "known",
            Self::Guarded => "guarded",
            Self::Waited => "waited",
            Self::Behind => "behind",
            Self::Timeline => "timeline",
            Self::Lag => "lag",
            Self::NoReplica => "no_replica",
            Self::Stale => "stale",
            Self::Capped => "capped",
            Self::Epoch => "epoch",
        }
    }

    /// Whether a read that goes to the primary for this reason counts against the cap. Replicas that lag must not move every
    /// read to the primary. Where there are none, or none that can be used after a failover, the primary is all there is.
    #[must_use]
    pub fn is_capped(self) -> bool {
        match self {
            Self::Behind | Self::Lag => true,
            Self::Asked
            | Self::Eventual
            | Self::Known
            | Self::Guarded
            | Self::Waited
            | Self::Timeline
            | Self::NoReplica
            | Self::Stale
            | Self::Capped
            | Self::Epoch => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_label_is_one_of_its_own() {
        let labels: BTreeSet<_> = Reason::ALL.map(Reason::label).into();
        assert_eq!(labels.len(), Reason::ALL.len());
        assert_eq!(Target::ALL.map(Target::label), ["replica", "primary", "none"]);
    }
}
