//! How far a store had got: what makes a value older or newer than a write.

use std::fmt::Write as _;

/// Bytes of a position in text.
pub(super) const POSITION_TEXT_BYTES: usize = 28;

/// A position in the write-ahead log of one shard.
///
/// Positions of different shards cannot be compared. On one shard a newer timeline is newer, whatever the position in
/// the log: what the old timeline had past the fork was lost with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CachePosition {
    /// The shard.
    pub shard: u16,
    /// Its timeline, which every failover raises.
    pub timeline: u32,
    /// The position in the log of that timeline.
    pub lsn: u64,
}

impl CachePosition {
    /// Whether data read at this position shows a write that ended at `other`.
    #[must_use]
    pub fn reaches(self, other: Self) -> bool {
        self.shard == other.shard && (self.timeline, self.lsn) >= (other.timeline, other.lsn)
    }

    /// Hexadecimal of a fixed width, so that a script compares it byte by byte: Lua's numbers end at 2^53.
    pub(super) fn write_text(self, text: &mut String) {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{:04x}{:08x}{:016x}", self.shard, self.timeline, self.lsn);
    }

    pub(super) fn text(self) -> String {
        let mut text = String::with_capacity(POSITION_TEXT_BYTES);
        self.write_text(&mut text);
        text
    }

    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok().filter(|text| text.len() == POSITION_TEXT_BYTES)?;
        let shard = u16::from_str_radix(text.get(..4)?, 16).ok()?;
        let timeline = u32::from_str_radix(text.get(4..12)?, 16).ok()?;
        let lsn = u64::from_str_radix(text.get(12..)?, 16).ok()?;
        Some(Self { shard, timeline, lsn })
    }
}

/// The positions that data must have reached: the newest of each shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Floor(Vec<CachePosition>);

impl Floor {
    pub(super) fn raise(&mut self, position: CachePosition) {
        match self.0.iter_mut().find(|known| known.shard == position.shard) {
            Some(known) if position.reaches(*known) => *known = position,
            Some(_) => {}
            None => self.0.push(position),
        }
    }

    /// Whether data of one key, read at `position`, shows all of that key's writes.
    ///
    /// A key has two shards only while it moves between them; what was read then proves too little, and nothing passes.
    pub(super) fn admits(&self, position: Option<CachePosition>) -> bool {
        match (self.0.as_slice(), position) {
            ([], _) => true,
            ([floor], Some(position)) => position.reaches(*floor),
            _ => false,
        }
    }

    /// Whether data read at `position` shows all writes to its shard, whichever key they were to.
    pub(super) fn admits_on_its_shard(&self, position: Option<CachePosition>) -> bool {
        match position {
            Some(position) => {
                self.0.iter().all(|floor| floor.shard != position.shard || position.reaches(*floor))
            }
            None => self.0.is_empty(),
        }
    }

    /// What a loader can be asked to reach.
    pub(super) fn position(&self) -> Option<CachePosition> {
        match self.0.as_slice() {
            [position] => Some(*position),
            _ => None,
        }
    }

    pub(super) fn positions(&self) -> &[CachePosition] {
        &self.0
    }
}

/// The stricter of two demands; where they are about different shards, the reader's own, which comes first.
pub(super) fn stricter(own: Option<CachePosition>, other: Option<CachePosition>) -> Option<CachePosition> {
    match (own, other) {
        (Some(own), Some(other)) if other.reaches(own) => Some(other),
        (own, other) => own.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(shard: u16, timeline: u32, lsn: u64) -> CachePosition {
        CachePosition { shard, timeline, lsn }
    }

    #[test]
    fn a_newer_timeline_is_newer_and_another_shard_is_neither() {
        assert!(at(1, 2, 5).reaches(at(1, 1, 900)));
        assert!(!at(1, 1, 900).reaches(at(1, 2, 5)));
        assert!(at(1, 2, 5).reaches(at(1, 2, 5)));
        assert!(!at(1, 2, 4).reaches(at(1, 2, 5)));
        assert!(!at(1, 2, 5).reaches(at(2, 2, 5)));
    }

    #[test]
    fn text_keeps_every_bit_and_its_order() {
        for position in [at(0, 0, 0), at(u16::MAX, u32::MAX, u64::MAX), at(7, 3, (1 << 53) + 1)] {
            assert_eq!(CachePosition::parse(position.text().as_bytes()), Some(position));
        }
        assert!(at(1, 1, (1 << 53) + 1).text() > at(1, 1, 1 << 53).text());
        for wrong in ["", "0001", "zzzz000000010000000000000001", "+001000000010000000000000001x"] {
            assert_eq!(CachePosition::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn a_key_that_moves_between_shards_admits_nothing() {
        let mut floor = Floor::default();
        assert!(floor.admits(None));
        floor.raise(at(1, 1, 10));
        floor.raise(at(1, 1, 5));
        assert!(floor.admits(Some(at(1, 1, 10))) && !floor.admits(Some(at(1, 1, 9))) && !floor.admits(None));
        floor.raise(at(2, 1, 3));
        assert!(!floor.admits(Some(at(2, 1, 30))));
        assert!(
            floor.admits_on_its_shard(Some(at(2, 1, 3))) && !floor.admits_on_its_shard(Some(at(1, 1, 9)))
        );
    }
}
