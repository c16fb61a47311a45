//! What a read has to see.

use phalanx_shard::read::Fallback;

use crate::{Position, ShardId};

/// What a read has to see, and what happens where no replica is known to show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consistency {
    demand: Demand,
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
    /// Any replica will do.
    Eventual,
    /// Everything up to the position.
    After(Position, Fallback),
    /// All that was written.
    Primary,
}

impl Consistency {
    /// Any state that a replica within its lag bounds has.
    #[must_use]
    pub const fn eventual() -> Self {
        Self { demand: Demand::Eventual }
    }

    /// All that was written before.
    #[must_use]
    pub const fn primary() -> Self {
        Self { demand: Demand::Primary }
    }

    /// At least what had been written at these positions; a shard that none of them is of may be in any state.
    #[must_use]
    pub fn after(positions: impl IntoIterator<Item = Position>) -> Self {
        Self {
            demand: Demand::After { positions: positions.into_iter().collect(), fallback: Fallback::Primary },
        }
    }

    /// The same with another fallback, [`Fallback::Primary`] otherwise. Without a position there is nothing to fall back from.
    #[must_use]
    pub fn or(self, other: Fallback) -> Self {
        match self.demand {
            Demand::After { positions, .. } => Self { demand: Demand::After { positions, fallback: other } },
            Demand::Eventual | Demand::Primary => self,
        }
    }

    /// What it demands of a shard.
    pub(crate) fn of(&self, shard: ShardId) -> ShardDemand {
        match &self.demand {
            Demand::Eventual => ShardDemand::Eventual,
            Demand::Primary => ShardDemand::Primary,
            Demand::After { positions, fallback } => positions
                .iter()
                .filter(|position| position.shard == shard)
                .max_by_key(|position| (position.timeline, position.lsn))
                .map_or(ShardDemand::Eventual, |position| ShardDemand::After(*position, *fallback)),
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
    use super::*;

    fn position(shard: u16, timeline: u32, lsn: u64) -> Position {
        Position { shard: ShardId(shard), timeline, lsn }
    }

    #[test]
    fn the_furthest_position_of_a_shard_counts_and_a_newer_timeline_is_further() {
        let consistency = Consistency::after([position(1, 1, 900), position(2, 1, 5), position(1, 2, 100)]);
        let demand = |shard| consistency.of(ShardId(shard));
        assert_eq!(demand(1), ShardDemand::After(position(1, 2, 100), Fallback::Primary));
        assert_eq!(demand(2), ShardDemand::After(position(2, 1, 5), Fallback::Primary));
        assert_eq!(demand(3), ShardDemand::Eventual);
    }

    #[test]
    fn a_fallback_is_that_of_a_position() {
        let consistency = Consistency::after([position(1, 1, 9)]).or(Fallback::Error);
        assert_eq!(consistency.of(ShardId(1)), ShardDemand::After(position(1, 1, 9), Fallback::Error));
        assert_eq!(Consistency::primary().or(Fallback::Stale).of(ShardId(1)), ShardDemand::Primary);
    }
}
