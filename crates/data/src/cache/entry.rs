//! What the cache keeps of a value, and its form in Redis.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::position::{CachePosition, POSITION_TEXT_BYTES};

const LOAD_TIME_BYTES: usize = 8;
const HEADER_BYTES: usize = POSITION_TEXT_BYTES + LOAD_TIME_BYTES + 1;
/// Stands where a value was read at no known position.
const NO_POSITION: &str = "----------------------------";

/// A value, or the knowledge that there is none, and how far the store had got that told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The value; `None` where the store has none.
    pub content: Option<Bytes>,
    /// Where its reader stood *before* it read: on a replica its replay position, on a primary its insert position.
    /// `None` where that is unknown: such a value is not kept while an invalidation of its key is remembered.
    pub position: Option<CachePosition>,
}

impl Reading {
    /// A value.
    #[must_use]
    pub fn found(content: Bytes, position: impl Into<Option<CachePosition>>) -> Self {
        Self { content: Some(content), position: position.into() }
    }

    /// There is no such value.
    #[must_use]
    pub fn absent(position: impl Into<Option<CachePosition>>) -> Self {
        Self { content: None, position: position.into() }
    }

    /// Whether it was read at `after` or later.
    pub(super) fn reaches(&self, after: Option<CachePosition>) -> bool {
        after.is_none_or(|after| self.position.is_some_and(|position| position.reaches(after)))
    }
}

/// A reading with what its ageing is judged by.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) reading: Reading,
    /// How long it took to load.
    pub(super) load_time: Duration,
    pub(super) expires: Instant,
    /// When it came into this process.
    pub(super) stored: Instant,
}

impl Entry {
    pub(super) fn bytes(&self) -> usize {
        HEADER_BYTES + self.reading.content.as_ref().map_or(0, Bytes::len)
    }

    /// Position, load time in milliseconds as hexadecimal, `V` or `A`, then the value.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut text = String::with_capacity(self.bytes());
        match self.reading.position {
            Some(position) => position.write_text(&mut text),
            None => text.push_str(NO_POSITION),
        }
        let load_ms = u32::try_from(self.load_time.as_millis()).unwrap_or(u32::MAX);
        text.push_str(&format!("{load_ms:08x}"));
        text.push(if self.reading.content.is_some() { 'V' } else { 'A' });
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(self.reading.content.as_deref().unwrap_or_default());
        bytes
    }

    /// `None` where somebody else wrote it.
    pub(super) fn decode(bytes: Vec<u8>, remaining: Duration, now: Instant) -> Option<Self> {
        let (position, rest) = bytes.split_at_checked(POSITION_TEXT_BYTES)?;
        let position = match position {
            position if position == NO_POSITION.as_bytes() => None,
            position => Some(CachePosition::parse(position)?),
        };
        let (load_ms, rest) = rest.split_at_checked(LOAD_TIME_BYTES)?;
        let load_ms = u32::from_str_radix(std::str::from_utf8(load_ms).ok()?, 16).ok()?;
        let present = match rest.first()? {
            b'V' => true,
            b'A' => false,
            _ => return None,
        };
        let content = present.then(|| Bytes::from(bytes).slice(HEADER_BYTES..));
        Some(Self {
            reading: Reading { content, position },
            load_time: Duration::from_millis(load_ms.into()),
            expires: now + remaining,
            stored: now,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_keeps_everything_but_the_clock() {
        let now = phalanx_telemetry::clock::now();
        let position = CachePosition { shard: 3, timeline: 1, lsn: u64::MAX };
        let readings = [
            Reading::found(Bytes::from_static(b"\0value"), position),
            Reading::found(Bytes::new(), None),
            Reading::absent(position),
        ];
        for reading in readings {
            let entry = Entry { reading, load_time: Duration::from_millis(1234), expires: now, stored: now };
            let decoded = Entry::decode(entry.encode(), Duration::from_secs(9), now).unwrap();
            assert_eq!((&decoded.reading, decoded.load_time), (&entry.reading, entry.load_time));
            assert_eq!(decoded.expires, now + Duration::from_secs(9));
        }
        for foreign in [&b""[..], b"hello", &[0xff; 60], &[b'-'; 37]] {
            assert!(Entry::decode(foreign.to_vec(), Duration::ZERO, now).is_none(), "{foreign:?}");
        }
    }
}
