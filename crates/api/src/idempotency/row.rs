//! The row of one key, on the shard of its digest: each step one statement, against the holder that was found.

use phalanx_data::{AccessError, Consistency, Data, Row, Statement, Value};
use phalanx_telemetry::clock;

use super::{KEPT_SECONDS, ago, seconds};
use crate::accounts::AccountId;

const CLAIM: Statement = Statement::new(
    "idempotency_claim",
    "INSERT INTO idempotency_keys (digest, bucket, salt, fingerprint, account_id, holder, claimed_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (digest) DO NOTHING",
);
const FIND: Statement = Statement::new(
    "idempotency_find",
    "SELECT salt, fingerprint, account_id, holder, claimed_at, answer FROM idempotency_keys WHERE digest = $1",
);
/// Of two that take over at once one does.
const TAKE_OVER: Statement = Statement::new(
    "idempotency_take_over",
    "UPDATE idempotency_keys SET holder = $3, claimed_at = $4 WHERE digest = $1 AND holder = $2 AND answer IS NULL",
);
const COMPLETE: Statement = Statement::new(
    "idempotency_complete",
    "UPDATE idempotency_keys SET answer = $3 WHERE digest = $1 AND holder = $2 AND answer IS NULL",
);
const FORGET: Statement = Statement::new(
    "idempotency_forget",
    "DELETE FROM idempotency_keys WHERE digest = $1 AND claimed_at <= $2",
);

/// Where what is stored of a key is, or would be.
pub(super) struct KeyRow {
    data: Data,
    digest: String,
}

/// What is stored of a key from the beginning.
pub(super) struct Claim {
    pub(super) salt: Vec<u8>,
    pub(super) fingerprint: Vec<u8>,
    /// Reserved for whoever carries the request out.
    pub(super) account_id: AccountId,
    pub(super) holder: Holder,
}

/// A claim that was made before.
pub(super) struct Found {
    pub(super) claim: Claim,
    pub(super) claimed_at: u64,
    pub(super) answer: Option<Vec<u8>>,
}

/// The attempt that has a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Holder(i64);

impl Holder {
    /// Whose attempt has failed and has given the key back.
    pub(super) const NOBODY: Self = Self(0);

    /// One that no other attempt has.
    pub(super) fn random() -> Self {
        let number = getrandom::u64().expect("the kernel's random numbers are there from boot") >> 1;
        Self(i64::try_from(number).unwrap_or(i64::MAX).max(Self::NOBODY.0 + 1))
    }
}

impl KeyRow {
    pub(super) fn new(data: Data, digest: String) -> Self {
        Self { data, digest }
    }

    /// Stores a claim, unless there is one; whether it is stored.
    pub(super) async fn claim(&self, claim: &Claim) -> Result<bool, AccessError> {
        let bucket = self.data.placement().bucket_of_key(&self.digest);
        let values = [
            self.digest.as_str().into(),
            bucket.get().into(),
            claim.salt.as_slice().into(),
            claim.fingerprint.as_slice().into(),
            claim.account_id.value(),
            claim.holder.0.into(),
            seconds(clock::unix_seconds()),
        ];
        self.write(&CLAIM, &values).await
    }

    pub(super) async fn find(&self) -> Result<Option<Found>, AccessError> {
        let shard = self.data.shard_for(self.digest.as_str());
        let rows = shard.read(&Consistency::primary(), &FIND, &[self.digest.as_str().into()]).await?;
        rows.first().map(found).transpose()
    }

    /// Gives the key to another holder, unless it is answered or `from` has it no longer.
    pub(super) async fn take_over(&self, from: Holder, to: Holder) -> Result<bool, AccessError> {
        let now = seconds(clock::unix_seconds());
        self.write(&TAKE_OVER, &[self.digest.as_str().into(), from.0.into(), to.0.into(), now]).await
    }

    /// Stores the answer, unless there is one or `holder` has the key no longer.
    pub(super) async fn complete(&self, holder: Holder, answer: Vec<u8>) -> Result<bool, AccessError> {
        self.write(&COMPLETE, &[self.digest.as_str().into(), holder.0.into(), answer.into()]).await
    }

    /// Forgets the key if its day is over.
    pub(super) async fn forget(&self) -> Result<bool, AccessError> {
        self.write(&FORGET, &[self.digest.as_str().into(), seconds(ago(KEPT_SECONDS))]).await
    }

    /// Whether the statement has found what it changes.
    async fn write(&self, statement: &Statement, values: &[Value]) -> Result<bool, AccessError> {
        Ok(self.data.shard_for(self.digest.as_str()).write(statement, values).await?.count > 0)
    }
}

fn found(row: &Row) -> Result<Found, AccessError> {
    let claim = Claim {
        salt: row.get("salt")?,
        fingerprint: row.get("fingerprint")?,
        account_id: AccountId::of_stored(row.get("account_id")?).ok_or(AccessError::TransactionLost)?,
        holder: Holder(row.get("holder")?),
    };
    Ok(Found { claim, claimed_at: row.get("claimed_at")?, answer: row.get("answer")? })
}
