//! What a read has to see.

use phalanx_shard::read::{Fallback, Moment, Reason};

use crate::{Position, ShardId};

/// What a read has to see, and what happens where no replica is known to show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consistency {
    demand: Demand,
    epoch: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Demand {
    Eventual,
    After { positions: Vec<Position>, fallback: Fallback },
    Primary,
}

/// What a [`Consistency`] demands of one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShardDemand {
    /// Any replica will do that has the buckets, which those that moved here have from this moment on.
    Eventual(Option<Moment>),
    /// Everything up to the position.
    After(Position, Fallback),
    /// All that was written.
    Primary(Reason),
}

impl Consistency {
    /// Any state that a replica within its lag bounds has.
    #[must_use]
    pub const fn eventual() -> Self {
        Self { demand: Demand::Eventual, epoch: 0 }
    }

    /// All that was written before. Of a bucket that has just moved, a process that has not heard of it yet
    /// ([`Settings::map_period`](crate::Settings)) sees what was written before the move; [`Self::at_epoch`] makes it hear of it.
    #[must_use]
    pub const fn primary() -> Self {
        Self { demand: Demand::Primary, epoch: 0 }
    }

    /// At least what had been written at these positions; a shard that none of them is of may be in any state.
    #[must_use]
    pub fn after(positions: impl IntoIterator<Item = Position>) -> Self {
        let positions = positions.into_iter().collect();
        Self { demand: Demand::After { positions, fallback: Fallback::Primary }, epoch: 0 }
    }

    /// The same by a map of buckets that is no older: that of the writes which are to be seen, since they may have gone to shards
    /// that an older map does not name. A process with an older one looks for a newer; where no shard has one, as after a backup
    /// was restored, the read goes to the primary of the shard that has the bucket by the newest there is.
    #[must_use]
    pub fn at_epoch(self, epoch: u64) -> Self {
        Self { epoch: self.epoch.max(epoch), ..self }
    }

    /// The same with another fallback, [`Fallback::Primary`] otherwise. Without a position there is nothing to fall back from.
    #[must_use]
    pub fn or(self, other: Fallback) -> Self {
        let demand = match self.demand {
            Demand::After { positions, .. } => Demand::After { positions, fallback: other },
            demand @ (Demand::Eventual | Demand::Primary) => demand,
        };
        Self { demand, ..self }
    }

    /// The least epoch of the map to read by.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether it asks for no position of any shard: only then may another than the owner of a bucket answer.
    pub(crate) fn asks_for_nothing(&self) -> bool {
        match &self.demand {
            Demand::Eventual => true,
            Demand::Primary => false,
            Demand::After { positions, .. } => positions.is_empty(),
        }
    }

    /// What it demands of a shard, whose log shows from `since` on all that was written elsewhere to the buckets in question.
    /// Whoever has written at any position may have done so to them.
    pub(crate) fn of(&self, shard: ShardId, since: Option<Moment>) -> ShardDemand {
        match &self.demand {
            Demand::Primary => ShardDemand::Primary(Reason::Asked),
            Demand::After { positions, fallback } if !positions.is_empty() => {
                let since = since.map(|since| Position::at(shard, since));
                let own = positions.iter().copied().filter(|position| position.shard == shard);
                own.chain(since)
                    .max_by_key(|position| (position.timeline, position.lsn))
                    .map_or(ShardDemand::Eventual(None), |position| ShardDemand::After(position, *fallback))
            }
            Demand::Eventual | Demand::After { .. } => ShardDemand::Eventual(since),
        }
    }
}

impl Default for Consistency {
    fn default() -> Self {
        Self::eventual()
    }
}

#[cfg(test)]
mod tests {
    use phalanx_shard::Lsn;

    use super::*;

    fn position(shard: u16, timeline: u32, lsn: u64) -> Position {
        Position { shard: ShardId(shard), timeline, lsn }
    }

    fn moment(timeline: u32, lsn: u64) -> Moment {
        Moment { timeline, lsn: Lsn(lsn) }
    }

    #[test]
    fn the_furthest_position_of_a_shard_counts_and_a_newer_timeline_is_further() {
        let consistency = Consistency::after([position(1, 1, 900), position(2, 1, 5), position(1, 2, 100)]);
        let demand = |shard| consistency.of(ShardId(shard), None);
        assert_eq!(demand(1), ShardDemand::After(position(1, 2, 100), Fallback::Primary));
        assert_eq!(demand(2), ShardDemand::After(position(2, 1, 5), Fallback::Primary));
        assert_eq!(demand(3), ShardDemand::Eventual(None));
    }

    #[test]
    fn a_bucket_that_moved_here_is_seen_from_where_it_is_whole() {
        let after = |positions: &[Position]| Consistency::after(positions.to_vec());
        let (one, both) = ([position(1, 1, 9)], [position(1, 1, 9), position(3, 1, 70)]);
        for (consistency, since, expected) in [
            (after(&one), moment(1, 50), ShardDemand::After(position(3, 1, 50), Fallback::Primary)),
            (after(&both), moment(1, 50), ShardDemand::After(position(3, 1, 70), Fallback::Primary)),
            (after(&both), moment(2, 5), ShardDemand::After(position(3, 2, 5), Fallback::Primary)),
            (after(&[]), moment(1, 50), ShardDemand::Eventual(Some(moment(1, 50)))),
            (Consistency::eventual(), moment(1, 50), ShardDemand::Eventual(Some(moment(1, 50)))),
            (Consistency::primary(), moment(1, 50), ShardDemand::Primary(Reason::Asked)),
        ] {
            assert_eq!(consistency.of(ShardId(3), Some(since)), expected, "{consistency:?}");
        }
    }

    #[test]
    fn only_who_has_written_nowhere_asks_for_nothing() {
        assert!(Consistency::eventual().asks_for_nothing());
        assert!(Consistency::after([]).at_epoch(3).asks_for_nothing());
        assert!(!Consistency::after([position(1, 1, 9)]).asks_for_nothing());
        assert!(!Consistency::primary().asks_for_nothing());
    }

    #[test]
    fn a_fallback_is_that_of_a_position_and_an_epoch_only_grows() {
        let consistency = Consistency::after([position(1, 1, 9)]).at_epoch(4).or(Fallback::Error).at_epoch(2);
        assert_eq!(consistency.of(ShardId(1), None), ShardDemand::After(position(1, 1, 9), Fallback::Error));
        assert_eq!(consistency.epoch(), 4);
        let primary = Consistency::primary().or(Fallback::Stale);
        assert_eq!(primary.of(ShardId(1), None), ShardDemand::Primary(Reason::Asked));
    }
}
