//! Positions in the write-ahead logs of shards: how far a reader has to be to see a write, and by which map of buckets the write
//! found its shard, since a reader with an older map would look for it in the log of another.
//!
//! Invariant: of one shard at most one position is kept, the furthest. Within a timeline that is the greater; a newer timeline
//! wins over an older one, whatever the numbers, since the log went another way there. Of the epochs the greatest is kept.
//! Elsewhere: the signed text that clients carry (`token`), who may serve a read that has a position (`crate::read`).

mod token;

use std::{fmt, str::FromStr};

pub use self::token::{KeyTooShort, TOKEN_AHEAD_MAX_SECONDS, TOKEN_LIFETIME_SECONDS, TokenError, TokenKey};
use crate::map::ShardId;

/// Of how many shards positions are kept at a time. Bounds what a client carries.
pub const POSITIONS_MAX: usize = 16;

/// A place in a write-ahead log: a count of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

/// As PostgreSQL writes it: `16/B374D848`.
impl fmt::Display for Lsn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:X}/{:X}", self.0 >> 32, self.0 & u64::from(u32::MAX))
    }
}

/// The text is no place in a log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no position in a log like 16/B374D848")]
pub struct ParseLsnError(pub String);

impl FromStr for Lsn {
    type Err = ParseLsnError;

    fn from_str(text: &str) -> Result<Self, ParseLsnError> {
        let half = |digits: &str| {
            let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_hex.then(|| u32::from_str_radix(digits, 16).ok()).flatten().map(u64::from)
        };
        let halves = text.split_once('/').and_then(|(high, low)| Some((half(high)?, half(low)?)));
        halves.map(|(high, low)| Self(high << 32 | low)).ok_or_else(|| ParseLsnError(text.to_owned()))
    }
}

/// The place in the log of one shard that a write has ended at. For SQLite the timeline is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// Whose log.
    pub shard: ShardId,
    /// Which history of it: failovers begin others.
    pub timeline: u32,
    /// The place.
    pub lsn: Lsn,
}

impl Position {
    fn is_before(&self, other: &Self) -> bool {
        (self.timeline, self.lsn) < (other.timeline, other.lsn)
    }
}

/// The positions that somebody's reads have to be at, at most one for each shard, and the least epoch of the map that such a
/// read may go by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positions {
    /// By shard.
    places: Vec<Position>,
    epoch: u64,
}

/// There are positions of [`POSITIONS_MAX`] other shards already: who has to see this write reads from the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("positions of {POSITIONS_MAX} shards are kept already, shard {0} is one too many")]
pub struct TooManyShards(pub ShardId);

impl Positions {
    /// The position in the log of `shard`, if there is one.
    #[must_use]
    pub fn of(&self, shard: ShardId) -> Option<Position> {
        self.place(shard).ok().map(|place| self.places[place])
    }

    /// The epoch of the newest map that a write of these went by; 0 where there is no map but the first.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether there are none, whatever the epoch.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// All of them, by shard.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Position> + '_ {
        self.places.iter().copied()
    }

    /// Adds the position of another write. Nothing changes if there is no room for it.
    pub fn advance(&mut self, position: Position) -> Result<(), TooManyShards> {
        match self.place(position.shard) {
            Ok(place) if self.places[place].is_before(&position) => self.places[place] = position,
            Ok(_) => {}
            Err(_) if self.places.len() == POSITIONS_MAX => return Err(TooManyShards(position.shard)),
            Err(place) => self.places.insert(place, position),
        }
        Ok(())
    }

    /// Adds the epoch of the map that a write went by.
    pub fn advance_epoch(&mut self, epoch: u64) {
        self.epoch = self.epoch.max(epoch);
    }

    /// Adds all of `others`, and their epoch. Those there is no room for are left out, and the first of them is named.
    pub fn merge(&mut self, others: &Self) -> Result<(), TooManyShards> {
        self.advance_epoch(others.epoch);
        let refused: Vec<_> = others.iter().filter_map(|position| self.advance(position).err()).collect();
        refused.first().map_or(Ok(()), |first| Err(*first))
    }

    fn place(&self, shard: ShardId) -> Result<usize, usize> {
        self.places.binary_search_by_key(&shard, |position| position.shard)
    }
}

#[cfg(test)]
mod tests;
