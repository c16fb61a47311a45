//! What a client has written must be seen by what it asks next, at whichever replica: a response to a write says how far the
//! databases were and by which map of buckets, in a signed token, and a request that brings it back reads at least that.
//!
//! A token that does not hold is ignored and counted: it asks for nothing that would be wrong without it.
//! Elsewhere: the token (`phalanx_shard::position`); how a read is made to see a position (`phalanx-data`).

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, HeaderValue, header, request},
    response::AppendHeaders,
};
use phalanx_auth::KeyRing;
use phalanx_data::{Consistency, Fallback, ShardId};
use phalanx_shard::{
    self as shard, Lsn,
    position::{TOKEN_AHEAD_MAX_SECONDS, TokenKey},
};
use phalanx_telemetry::{
    clock,
    registry::{Counter, Registry},
};

use crate::{accounts::Wrote, service::Service};

const HEADER: HeaderName = HeaderName::from_static("phalanx-position");
const COOKIE: &str = "phalanx_position";
const PURPOSE: &str = "positions";
/// Whoever sends more wants them all verified.
const TOKENS_MAX: usize = 4;
/// For how long a replica that is a moment behind is waited for, before the primary is asked.
const REPLICA_WAIT: Duration = Duration::from_millis(20);

/// Signs and reads tokens of positions.
pub(crate) struct PositionTokens {
    key: TokenKey,
    ignored: Counter,
}

/// What the client of a request has to see.
#[derive(Debug, Default)]
pub(crate) struct Seen(shard::Positions);

impl PositionTokens {
    /// With a secret of the fleet's.
    pub(crate) fn new(ring: &KeyRing, registry: &mut Registry) -> Self {
        let ignored = Counter::default();
        let help = "Tokens of positions that were forged, expired or malformed";
        registry.register("phalanx_position_tokens_ignored", help, ignored.clone());
        let key = TokenKey::new(ring.derived(PURPOSE).as_bytes()).expect("a derived secret has 32 bytes");
        Self { key, ignored }
    }

    fn read(&self, headers: &HeaderMap) -> Seen {
        let mut seen = shard::Positions::default();
        for token in tokens(headers).take(TOKENS_MAX) {
            match self.key.verify(token, clock::unix_seconds()) {
                // Those there is no room for are of shards beyond the bound of a token, which none that was signed here has.
                Ok(positions) => drop(seen.merge(&positions)),
                Err(_) => {
                    self.ignored.inc();
                }
            }
        }
        Seen(seen)
    }

    /// The header and the cookie of a response to a write, by a client that had `seen` others.
    pub(crate) fn headers(
        &self,
        Seen(mut positions): Seen,
        wrote: &Wrote,
    ) -> AppendHeaders<Vec<(HeaderName, HeaderValue)>> {
        positions.advance_epoch(wrote.epoch);
        for position in wrote.positions.iter().filter_map(|position| of_data(*position)) {
            if positions.advance(position).is_err() {
                tracing::warn!(
                    shard = position.shard.get(),
                    "a client has written to more shards than a token holds"
                );
            }
        }
        if positions.is_empty() {
            return AppendHeaders(Vec::new());
        }
        let token = self.key.sign(&positions, clock::unix_seconds());
        let cookie =
            format!("{COOKIE}={token}; Path=/; Max-Age={TOKEN_AHEAD_MAX_SECONDS}; HttpOnly; SameSite=Lax");
        let value = |text: String| HeaderValue::try_from(text).expect("base64url is visible ASCII");
        AppendHeaders(vec![(HEADER, value(token)), (header::SET_COOKIE, value(cookie))])
    }
}

impl Seen {
    /// For a read that must not be older than anything: where the client's writes have gone, by a map that is no older than
    /// theirs.
    pub(crate) fn primary(&self) -> Consistency {
        Consistency::primary().at_epoch(self.0.epoch())
    }

    /// What a read has to see.
    pub(crate) fn consistency(&self) -> Consistency {
        let positions = self.0.iter().map(|position| phalanx_data::Position {
            shard: ShardId(position.shard.get()),
            timeline: position.timeline,
            lsn: position.lsn.0,
        });
        Consistency::after(positions).at_epoch(self.0.epoch()).or(Fallback::Wait(REPLICA_WAIT))
    }
}

impl FromRequestParts<Arc<Service>> for Seen {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut request::Parts,
        service: &Arc<Service>,
    ) -> Result<Self, Infallible> {
        Ok(service.positions.read(&parts.headers))
    }
}

fn of_data(position: phalanx_data::Position) -> Option<shard::Position> {
    let shard = shard::ShardId::try_from(position.shard.0).ok()?;
    Some(shard::Position { shard, timeline: position.timeline, lsn: Lsn(position.lsn) })
}

/// The values of the header, then those of the cookie.
fn tokens(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let direct = headers.get_all(HEADER).iter().filter_map(|value| value.to_str().ok());
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    direct.chain(pairs.filter(|(name, _)| *name == COOKIE).map(|(_, token)| token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_brings_back_what_was_written_and_by_which_map() {
        let ring = KeyRing::from_secret(b"a secret for tests that is long enough").unwrap();
        let tokens = PositionTokens::new(&ring, &mut Registry::new());
        let position = |shard, lsn| phalanx_data::Position { shard: ShardId(shard), timeline: 1, lsn };
        let token = |seen, positions: &[_], epoch| {
            let AppendHeaders(fields) = tokens.headers(seen, &Wrote { positions: positions.to_vec(), epoch });
            let mut headers = HeaderMap::new();
            headers.extend(fields.into_iter().filter(|(name, _)| *name == HEADER));
            headers
        };
        let first = tokens.read(&token(Seen::default(), &[position(1, 9)], 7));
        assert_eq!(
            first.consistency(),
            Consistency::after([position(1, 9)]).at_epoch(7).or(Fallback::Wait(REPLICA_WAIT))
        );
        // What was seen before stays, and so does its epoch.
        let both = tokens.read(&token(first, &[position(2, 5)], 6));
        let after = Consistency::after([position(1, 9), position(2, 5)]);
        let expected = after.at_epoch(7).or(Fallback::Wait(REPLICA_WAIT));
        assert_eq!(both.consistency(), expected);
        assert!(token(Seen::default(), &[], 7).is_empty());
    }

    #[test]
    fn tokens_are_found_in_header_and_cookie() {
        for (fields, expected) in [
            (&[][..], &[][..]),
            (&[("phalanx-position", "a")], &["a"]),
            (&[("cookie", "phalanx_position=b")], &["b"]),
            (&[("cookie", "x=1; phalanx_position=b;y=2")], &["b"]),
            (&[("cookie", "x_phalanx_position=b; phalanx_position")], &[]),
            (&[("cookie", "phalanx_position=b"), ("phalanx-position", "a")], &["a", "b"]),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, value.parse().unwrap());
            }
            assert_eq!(tokens(&headers).collect::<Vec<_>>(), expected, "{fields:?}");
        }
    }
}
