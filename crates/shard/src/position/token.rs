//! The text in which a client carries its positions from one request to the next: signed, since who could invent a position
//! could push all its reads to the primary, and soon over, since after a while every replica has caught up.
//!
//! Before base64url without padding it is: version 1 · expiry in seconds of Unix time (8 bytes) · epoch of the map (8) · number of
//! positions (1) · for each its shard (2), timeline (4) and place (8) · HMAC-SHA256 of all before, cut to 16 bytes. Numbers are
//! big-endian.
//!
//! Invariant: there is one text for each content; one that differs in a bit is refused.
//! Fails with a [`TokenError`], whatever the bytes; a client without a valid token merely has no position.

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{Lsn, POSITIONS_MAX, Position, Positions};
use crate::map::ShardId;

/// For how long a token counts.
pub const TOKEN_LIFETIME_SECONDS: u64 = 25;
/// How far ahead an expiry may lie. More than the lifetime by as much as the clocks of a fleet may differ.
pub const TOKEN_AHEAD_MAX_SECONDS: u64 = 30;

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 1 + 8 + 8 + 1;
const POSITION_BYTES: usize = 2 + 4 + 8;
const MAC_BYTES: usize = 16;
const TOKEN_BYTES_MAX: usize = HEADER_BYTES + POSITIONS_MAX * POSITION_BYTES + MAC_BYTES;
const TEXT_BYTES_MAX: usize = TOKEN_BYTES_MAX.div_ceil(3) * 4;
const KEY_BYTES_MIN: usize = 16;

/// The secret that the whole fleet signs with.
#[derive(Clone)]
pub struct TokenKey(Hmac<Sha256>);

/// Who guesses such a key signs what he likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key of {0} bytes is too short, {KEY_BYTES_MIN} are needed")]
pub struct KeyTooShort(pub usize);

/// Why a token gives no positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is no token of this version.
    #[error("the token is malformed")]
    Malformed,
    /// It was not signed with this key, or was changed.
    #[error("the token was not signed here")]
    Forged,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// It claims a longer life than tokens have: the signer's clock is wrong.
    #[error("the token expires more than {TOKEN_AHEAD_MAX_SECONDS} s ahead")]
    TooFarAhead,
}

impl TokenKey {
    /// A key of at least 16 bytes.
    pub fn new(secret: &[u8]) -> Result<Self, KeyTooShort> {
        if secret.len() < KEY_BYTES_MIN {
            return Err(KeyTooShort(secret.len()));
        }
        Ok(Self(Hmac::new_from_slice(secret).expect("HMAC takes keys of any length")))
    }

    /// The token of `positions`, good for [`TOKEN_LIFETIME_SECONDS`] from `now` in Unix time on.
    #[must_use]
    pub fn sign(&self, positions: &Positions, now: u64) -> String {
        self.sign_until(positions, now.saturating_add(TOKEN_LIFETIME_SECONDS))
    }

    /// The positions of a token that is valid at `now` in Unix time.
    pub fn verify(&self, token: &str, now: u64) -> Result<Positions, TokenError> {
        if token.len() > TEXT_BYTES_MAX {
            return Err(TokenError::Malformed);
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).map_err(|_| TokenError::Malformed)?;
        let (content, mac) = bytes.split_last_chunk::<MAC_BYTES>().ok_or(TokenError::Malformed)?;
        // Before anything that it says is looked at.
        let verified = self.0.clone().chain_update(content).verify_truncated_left(mac);
        let (expiry, positions) = match (verified, parsed(content)) {
            (_, None) => return Err(TokenError::Malformed),
            (Err(_), Some(_)) => return Err(TokenError::Forged),
            (Ok(()), Some(parsed)) => parsed,
        };
        match expiry {
            expiry if expiry <= now => Err(TokenError::Expired),
            expiry if expiry - now > TOKEN_AHEAD_MAX_SECONDS => Err(TokenError::TooFarAhead),
            _ => Ok(positions),
        }
    }

    fn sign_until(&self, positions: &Positions, expiry: u64) -> String {
        let mut bytes = Vec::with_capacity(TOKEN_BYTES_MAX);
        bytes.push(VERSION);
        bytes.extend(expiry.to_be_bytes());
        bytes.extend(positions.epoch.to_be_bytes());
        bytes.push(u8::try_from(positions.places.len()).expect("positions are few"));
        for position in positions.iter() {
            bytes.extend(position.shard.get().to_be_bytes());
            bytes.extend(position.timeline.to_be_bytes());
            bytes.extend(position.lsn.0.to_be_bytes());
        }
        let mac = self.0.clone().chain_update(&bytes).finalize().into_bytes();
        bytes.extend(&mac[..MAC_BYTES]);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TokenKey")
    }
}

/// The expiry and the positions of a token's content. None where [`TokenKey::sign_until`] would have written something else.
fn parsed(content: &[u8]) -> Option<(u64, Positions)> {
    let (&[VERSION], rest) = content.split_first_chunk()? else { return None };
    let (expiry, rest) = rest.split_first_chunk()?;
    let (epoch, rest) = rest.split_first_chunk()?;
    let (&[count], mut rest) = rest.split_first_chunk()?;
    let mut places = Vec::with_capacity(POSITIONS_MAX);
    for _ in 0..count {
        let (shard, behind) = rest.split_first_chunk()?;
        let (timeline, behind) = behind.split_first_chunk()?;
        let (lsn, behind) = behind.split_first_chunk()?;
        let shard = ShardId::try_from(u16::from_be_bytes(*shard)).ok()?;
        let (timeline, lsn) = (u32::from_be_bytes(*timeline), Lsn(u64::from_be_bytes(*lsn)));
        places.push(Position { shard, timeline, lsn });
        rest = behind;
    }
    let is_ordered = places.is_sorted_by(|one, next| one.shard < next.shard);
    // More than POSITIONS_MAX do not fit into a text of TEXT_BYTES_MAX.
    let is_whole = rest.is_empty() && is_ordered;
    let positions = Positions { places, epoch: u64::from_be_bytes(*epoch) };
    is_whole.then(|| (u64::from_be_bytes(*expiry), positions))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn key() -> TokenKey {
        TokenKey::new(b"0123456789abcdef").unwrap()
    }

    fn positions(epoch: u64, shards: impl IntoIterator<Item = (u16, u32, u64)>) -> Positions {
        let mut positions = Positions::default();
        positions.advance_epoch(epoch);
        for (shard, timeline, lsn) in shards {
            let shard = ShardId::try_from(shard).unwrap();
            positions.advance(Position { shard, timeline, lsn: Lsn(lsn) }).unwrap();
        }
        positions
    }

    fn signed(content: &[u8]) -> String {
        let mac = key().0.chain_update(content).finalize().into_bytes();
        BASE64_URL_SAFE_NO_PAD.encode([content, &mac[..MAC_BYTES]].concat())
    }

    #[test]
    fn the_form_is_that_of_the_page() {
        let token = key().sign(&positions(9, [(2, 3, 0x16_B374_D848)]), NOW);
        assert_eq!(token, "AQAAAABrSdIZAAAAAAAAAAkBAAIAAAADAAAAFrN02EgLNQ_1SawBzpDY6_D-3JSG");
    }

    #[test]
    fn a_token_lives_its_time_and_no_longer() {
        let positions = positions(2, [(1, 1, 7)]);
        let token = key().sign(&positions, NOW);
        for (now, expected) in [
            (NOW, Ok(positions.clone())),
            (NOW + 24, Ok(positions.clone())),
            (NOW + 25, Err(TokenError::Expired)),
            (NOW - 5, Ok(positions)),
            (NOW - 6, Err(TokenError::TooFarAhead)),
            (0, Err(TokenError::TooFarAhead)),
            (u64::MAX, Err(TokenError::Expired)),
        ] {
            assert_eq!(key().verify(&token, now), expected, "{now}");
        }
        // Where time itself ends, nothing overflows.
        assert_eq!(
            key().verify(&key().sign(&Positions::default(), u64::MAX), u64::MAX),
            Err(TokenError::Expired)
        );
    }

    #[test]
    fn what_is_no_token_is_malformed() {
        let expiry = (NOW + 20).to_be_bytes();
        let whole = [&[1][..], &expiry, &[0; 8], &[1], &[0, 1], &[0; 4], &[0; 8]].concat();
        assert!(key().verify(&signed(&whole), NOW).is_ok());
        let two = [&whole[..17], &[2], &whole[18..], &whole[18..]].concat();
        let seventeen: Vec<_> = (1..=17).flat_map(|shard| [&[0, shard][..], &[0; 12]].concat()).collect();
        let many = [&whole[..17], &[17], &seventeen].concat();
        let no_shard = [&whole[..19], &[0], &whole[20..]].concat();
        let longer = [&whole[..], &[0]].concat();
        for content in
            [&[], &[2][..], &whole[..9], &whole[..17], &whole[..31], &longer, &two, &many, &no_shard]
        {
            assert_eq!(key().verify(&signed(content), NOW), Err(TokenError::Malformed), "{content:?}");
        }
        for text in ["", "====", "AQ", "é", &"A".repeat(1 << 20)] {
            assert_eq!(key().verify(text, NOW), Err(TokenError::Malformed));
        }
    }

    #[test]
    fn another_key_forges() {
        let token = TokenKey::new(b"0123456789abcdeF").unwrap().sign(&positions(2, [(1, 1, 7)]), NOW);
        assert_eq!(key().verify(&token, NOW), Err(TokenError::Forged));
        assert_eq!(TokenKey::new(b"0123456789abcde").unwrap_err(), KeyTooShort(15));
        assert_eq!(format!("{:?}", key()), "TokenKey");
    }

    proptest! {
        #[test]
        fn positions_come_back_and_a_flipped_bit_never_verifies(
            shards in prop::collection::btree_map(1_u16..=4096, (any::<u32>(), any::<u64>()), 0..=POSITIONS_MAX),
            epoch in any::<u64>(),
            bit in any::<prop::sample::Index>(),
        ) {
            let positions = positions(epoch, shards.into_iter().map(|(shard, (timeline, lsn))| (shard, timeline, lsn)));
            let token = key().sign(&positions, NOW);
            prop_assert!(token.len() <= TEXT_BYTES_MAX);
            prop_assert_eq!(key().verify(&token, NOW), Ok(positions));

            // Of the bytes, and of the text, where a bit that means nothing must not pass either.
            let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(&token).unwrap();
            let flipped = bit.index(bytes.len() * 8);
            bytes[flipped / 8] ^= 1 << (flipped % 8);
            prop_assert!(key().verify(&BASE64_URL_SAFE_NO_PAD.encode(bytes), NOW).is_err());
            let mut text = token.into_bytes();
            let flipped = bit.index(text.len() * 7);
            text[flipped / 7] ^= 1 << (flipped % 7);
            prop_assert!(key().verify(std::str::from_utf8(&text).unwrap(), NOW).is_err());
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), text in ".*", now in any::<u64>()) {
            prop_assert!(key().verify(&text, now).is_err());
            prop_assert!(key().verify(&BASE64_URL_SAFE_NO_PAD.encode(&bytes), now).is_err());
            // Content that is signed goes deeper.
            let _never_panics = key().verify(&signed(&bytes), now);
            let _never_panics = key().verify(&signed(&[&[1][..], &bytes].concat()), now);
        }
    }
}
