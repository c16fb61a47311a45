//! Requests that a client may send again: under one `Idempotency-Key` a request is carried out once, and whoever repeats it gets
//! the answer that it had (draft-ietf-httpapi-idempotency-key-header).
//!
//! A key is claimed on the shard of its digest before anything is done, together with the id of the account that is to be
//! created; the answer is stored there before it leaves. Invariants: of the attempts under one key only the last that claimed it
//! stores an answer; whoever takes over the claim of an attempt that died works under the same account id, so that what the dead
//! one has done is his own.
//!
//! An answer holds tokens and a request a password. The database has the answer encrypted and of the request a keyed hash, under
//! what is derived from the key and a secret of the fleet's, and knows the key itself by a digest (`sealed`). Whoever reads the
//! database can neither use an answer nor try passwords, even where a client's keys are easy to guess. A fleet with another
//! secret knows none of the keys.
//! Elsewhere: a registration that is repeated under its id (`crate::accounts`); the digest's shard (`phalanx-data`).
//! How it fails: [`IdempotencyError`]. Nothing has been done then, or the key tells later what was.

use phalanx_data::{AccessError, Data, Migration, Value};
use phalanx_telemetry::clock;

use self::{
    answer::{AnswerError, StoredAnswer},
    row::{Claim, Found, Holder, KeyRow},
    sealed::{Material, SALT_BYTES, Secret, Unreadable},
    ticket::Ticket,
};
use crate::{accounts::AccountId, problem::Problem};

mod answer;
mod key;
mod reaper;
mod row;
mod sealed;
#[cfg(test)]
mod tests;
mod ticket;

pub(crate) use self::{key::IdempotencyKey, reaper::Reaper};

/// For how long a key is known.
const KEPT_SECONDS: u64 = 24 * 60 * 60;
/// An attempt that is older has died with its replica or its connection, or is about to give up. It need not be so: one that goes
/// on stores nothing that its successor does not take for his own.
const HELD_SECONDS_MAX: u64 = 15;

/// The keys and their answers; cheap to clone.
#[derive(Clone)]
pub(crate) struct Idempotency {
    data: Data,
    secret: Secret,
    held_seconds_max: u64,
}

/// Why nobody knows what becomes of a request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdempotencyError {
    #[error("cannot use the stored keys")]
    Access(#[from] AccessError),
    #[error("the answer cannot be stored")]
    Answer(#[from] AnswerError),
    #[error("the stored answer cannot be read")]
    Unreadable(#[from] Unreadable),
}

/// What a key means for the request that brings it.
pub(crate) enum Begun {
    /// It is to be carried out.
    Fresh(Ticket),
    /// It was, and this is what was answered.
    Replay(StoredAnswer),
    /// Another request has this key.
    Mismatch,
    /// It is being carried out.
    InFlight,
}

impl Idempotency {
    /// The schema that it needs.
    pub(crate) const MIGRATION: Migration = Migration::per_store(
        "idempotency keys",
        include_str!("../migrations/0004_idempotency_keys.sqlite.sql"),
        include_str!("../migrations/0004_idempotency_keys.postgres.sql"),
    );

    /// With a secret that all replicas have, and nothing else is made of.
    pub(crate) fn new(data: Data, secret: &[u8]) -> Self {
        Self { data, secret: Secret::new(secret), held_seconds_max: HELD_SECONDS_MAX }
    }

    /// Claims a key for a request, or tells what became of it. `payload` is what the request asks for; `reserved` becomes the
    /// account's id if the key was not known.
    pub(crate) async fn begin(
        &self,
        key: &IdempotencyKey,
        payload: &[u8],
        reserved: AccountId,
    ) -> Result<Begun, IdempotencyError> {
        let material = self.secret.material(key);
        let row = KeyRow::new(self.data.clone(), material.digest());
        let mut salt = vec![0; SALT_BYTES];
        getrandom::fill(&mut salt).expect("the kernel's random numbers are there from boot");
        let keys = material.row_keys(&salt);
        let (fingerprint, holder) = (keys.fingerprint(payload), Holder::random());
        let claim = Claim { salt, fingerprint, account_id: reserved, holder };
        // Again where the key that was in the way is forgotten before it is looked at, or then.
        for _ in 0..2 {
            if row.claim(&claim).await? {
                return Ok(Begun::Fresh(Ticket { row, keys, holder, account_id: reserved }));
            }
            match row.find().await? {
                Some(found) if found.claimed_at > ago(KEPT_SECONDS) => {
                    return self.judge(row, found, &material, payload).await;
                }
                Some(_) => drop(row.forget().await?),
                None => {}
            }
        }
        Ok(Begun::InFlight)
    }

    /// What a key means that was claimed before.
    async fn judge(
        &self,
        row: KeyRow,
        found: Found,
        material: &Material,
        payload: &[u8],
    ) -> Result<Begun, IdempotencyError> {
        let Found { claim, claimed_at, answer } = found;
        let keys = material.row_keys(&claim.salt);
        if !keys.is_fingerprint(payload, &claim.fingerprint) {
            return Ok(Begun::Mismatch);
        }
        if let Some(answer) = answer {
            return Ok(Begun::Replay(StoredAnswer::decode(&keys.open(answer)?)?));
        }
        if claim.holder != Holder::NOBODY && claimed_at > ago(self.held_seconds_max) {
            return Ok(Begun::InFlight);
        }
        let holder = Holder::random();
        let taken_over = row.take_over(claim.holder, holder).await?;
        let ticket = Ticket { row, keys, holder, account_id: claim.account_id };
        Ok(if taken_over { Begun::Fresh(ticket) } else { Begun::InFlight })
    }
}

impl From<IdempotencyError> for Problem {
    fn from(error: IdempotencyError) -> Self {
        match error {
            IdempotencyError::Access(error) => error.into(),
            IdempotencyError::Answer(_) | IdempotencyError::Unreadable(_) => Self::internal(&error),
        }
    }
}

fn ago(seconds: u64) -> u64 {
    clock::unix_seconds().saturating_sub(seconds)
}

fn seconds(moment: u64) -> Value {
    i64::try_from(moment).unwrap_or(i64::MAX).into()
}
