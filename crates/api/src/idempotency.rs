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

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use phalanx_data::{AccessError, Consistency, Data, Migration, Row, Statement, Value};
use phalanx_telemetry::clock;

use self::{
    answer::{AnswerError, StoredAnswer},
    sealed::{RowKeys, SALT_BYTES, Secret, Unreadable},
};
use crate::{accounts::AccountId, problem::Problem};

mod answer;
mod key;
mod reaper;
mod sealed;
#[cfg(test)]
mod tests;

pub(crate) use self::{key::IdempotencyKey, reaper::Reaper};

const CLAIM: Statement = Statement::new(
    "idempotency_claim",
    "INSERT INTO idempotency_keys (digest, bucket, salt, fingerprint, account_id, holder, claimed_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (digest) DO NOTHING",
);
const FIND: Statement = Statement::new(
    "idempotency_find",
    "SELECT salt, fingerprint, account_id, holder, claimed_at, answer FROM idempotency_keys WHERE digest = $1",
);
/// Against the holder that was found: of two that take over at once one does.
const TAKE_OVER: Statement = Statement::new(
    "idempotency_take_over",
    "UPDATE idempotency_keys SET holder = $3, claimed_at = $4 WHERE digest = $1 AND holder = $2 AND answer IS NULL",
);
const COMPLETE: Statement = Statement::new(
    "idempotency_complete",
    "UPDATE idempotency_keys SET answer = $3 WHERE digest = $1 AND holder = $2 AND answer IS NULL",
);
const RELEASE: Statement = Statement::new(
    "idempotency_release",
    "UPDATE idempotency_keys SET holder = 0 WHERE digest = $1 AND holder = $2 AND answer IS NULL",
);
const FORGET: Statement = Statement::new(
    "idempotency_forget",
    "DELETE FROM idempotency_keys WHERE digest = $1 AND claimed_at <= $2",
);

/// For how long a key is known.
const KEPT_SECONDS: u64 = 24 * 60 * 60;
/// An attempt that is older has died with its replica or its connection, or is about to give up. It need not be so: one that goes
/// on stores nothing that its successor does not take for his own.
const HELD_SECONDS_MAX: u64 = 15;
/// Who holds what was given back.
const NOBODY: i64 = 0;

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

/// The right to carry out the request of a key. Dropped, it leaves the key to others in [`HELD_SECONDS_MAX`].
pub(crate) struct Ticket {
    data: Data,
    digest: String,
    keys: RowKeys,
    holder: i64,
    account_id: AccountId,
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
    /// account's id if the key is new.
    pub(crate) async fn begin(
        &self,
        key: &IdempotencyKey,
        payload: &[u8],
        reserved: AccountId,
    ) -> Result<Begun, IdempotencyError> {
        let material = self.secret.material(key);
        let digest = material.digest();
        let salt = random::<SALT_BYTES>();
        let claim = Ticket {
            data: self.data.clone(),
            keys: material.row_keys(&salt),
            holder: holder(),
            account_id: reserved,
            digest,
        };
        // Again where the key that was in the way is forgotten before it is looked at, or then.
        for _ in 0..2 {
            if claim.store(&salt, payload).await? {
                return Ok(Begun::Fresh(claim));
            }
            let Some(found) = claim.find().await? else { continue };
            if found.claimed_at > ago(KEPT_SECONDS) {
                let keys = material.row_keys(&found.salt);
                return self.judge(claim, found, keys, payload).await;
            }
            claim.forget().await?;
        }
        Ok(Begun::InFlight)
    }

    /// What a key means that was claimed before, under whose `keys` its row is.
    async fn judge(
        &self,
        claim: Ticket,
        found: Found,
        keys: RowKeys,
        payload: &[u8],
    ) -> Result<Begun, IdempotencyError> {
        if !keys.is_fingerprint(payload, &found.fingerprint) {
            return Ok(Begun::Mismatch);
        }
        if let Some(answer) = found.answer {
            return Ok(Begun::Replay(StoredAnswer::decode(&keys.open(answer)?)?));
        }
        if found.holder != NOBODY && found.claimed_at > ago(self.held_seconds_max) {
            return Ok(Begun::InFlight);
        }
        let now = seconds(clock::unix_seconds());
        let taken_over = claim.write(&TAKE_OVER, found.holder, [claim.holder.into(), now]).await?;
        let ticket = Ticket { keys, account_id: found.account_id, ..claim };
        Ok(if taken_over { Begun::Fresh(ticket) } else { Begun::InFlight })
    }
}

/// A key that was claimed before.
struct Found {
    salt: Vec<u8>,
    fingerprint: Vec<u8>,
    account_id: AccountId,
    holder: i64,
    claimed_at: u64,
    answer: Option<Vec<u8>>,
}

impl Ticket {
    /// The id that the account is to have.
    pub(crate) fn account_id(&self) -> AccountId {
        self.account_id
    }

    /// Stores what the request came to, and answers it from there. What may come out otherwise another time is not stored, and the
    /// key is given back.
    pub(crate) async fn settle(self, outcome: Result<Response, Problem>) -> Result<Response, Problem> {
        match outcome {
            Ok(response) => self.complete(response).await,
            Err(problem) if is_final(problem.status()) => self.complete(problem.into_response()).await,
            Err(problem) => {
                self.release().await;
                Err(problem)
            }
        }
    }

    /// Claims the key, unless it is known.
    async fn store(&self, salt: &[u8], payload: &[u8]) -> Result<bool, AccessError> {
        let bucket = self.data.placement().bucket_of_key(&self.digest);
        let values = [
            self.digest.as_str().into(),
            bucket.get().into(),
            salt.into(),
            self.keys.fingerprint(payload).into(),
            self.account_id.value(),
            self.holder.into(),
            seconds(clock::unix_seconds()),
        ];
        Ok(self.data.shard_for(bucket).write(&CLAIM, &values).await?.count > 0)
    }

    async fn find(&self) -> Result<Option<Found>, AccessError> {
        let shard = self.data.shard_for(self.digest.as_str());
        let rows = shard.read(&Consistency::primary(), &FIND, &[self.digest.as_str().into()]).await?;
        rows.first().map(found).transpose()
    }

    async fn complete(self, response: Response) -> Result<Response, Problem> {
        let answer = StoredAnswer::of(response).await.map_err(IdempotencyError::from)?;
        let sealed = self.keys.seal(answer.encode().map_err(IdempotencyError::from)?);
        let is_stored = self.write(&COMPLETE, self.holder, [sealed.into()]).await?;
        // Somebody took this attempt for dead, and his answer counts.
        if is_stored { Ok(answer.into_response()) } else { Err(Problem::KeyInUse) }
    }

    async fn release(self) {
        if let Err(error) = self.write(&RELEASE, self.holder, []).await {
            let error: &dyn std::error::Error = &error;
            tracing::debug!(error, "a key was not given back; it is free when its claim is old");
        }
    }

    async fn forget(&self) -> Result<(), AccessError> {
        let values = [self.digest.as_str().into(), seconds(ago(KEPT_SECONDS))];
        self.data.shard_for(self.digest.as_str()).write(&FORGET, &values).await.map(drop)
    }

    /// Changes the row if `holder` has it; whether he had.
    async fn write<const N: usize>(
        &self,
        statement: &Statement,
        holder: i64,
        values: [Value; N],
    ) -> Result<bool, AccessError> {
        let mut all = vec![self.digest.as_str().into(), holder.into()];
        all.extend(values);
        Ok(self.data.shard_for(self.digest.as_str()).write(statement, &all).await?.count > 0)
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

/// Whether a repetition would come to the same: what has failed for want of something may not.
fn is_final(status: StatusCode) -> bool {
    !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS
}

fn found(row: &Row) -> Result<Found, AccessError> {
    let account_id = AccountId::of_stored(row.get("account_id")?).ok_or(AccessError::TransactionLost)?;
    Ok(Found {
        salt: row.get("salt")?,
        fingerprint: row.get("fingerprint")?,
        account_id,
        holder: row.get("holder")?,
        claimed_at: row.get("claimed_at")?,
        answer: row.get("answer")?,
    })
}

/// A number that no other attempt has, and not [`NOBODY`].
fn holder() -> i64 {
    let number = u64::from_ne_bytes(random()) >> 1;
    i64::try_from(number).unwrap_or(i64::MAX).max(NOBODY + 1)
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the kernel's random numbers are there from boot");
    bytes
}

fn ago(seconds: u64) -> u64 {
    clock::unix_seconds().saturating_sub(seconds)
}

fn seconds(moment: u64) -> Value {
    i64::try_from(moment).unwrap_or(i64::MAX).into()
}
