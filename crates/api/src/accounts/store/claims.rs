//! The claims of addresses: making, confirming, taking over and clearing away.

use std::time::Duration;

use phalanx_data::{AccessError, Consistency, DanglingRows, Position, Row, Shard, Statement, Written};
use phalanx_telemetry::{
    clock,
    registry::{Gauge, Registry},
};
use tokio_util::sync::CancellationToken;

use super::{Accounts, RegisterError, now, seconds_ago};
use crate::accounts::{AccountId, Email};

const CLAIM: Statement = Statement::new(
    "email_claim",
    "INSERT INTO account_emails (email, bucket, account_id, claimed_at, confirmed) VALUES ($1, $2, $3, $4, 0) \
     ON CONFLICT (email) DO NOTHING",
);
const CONFIRM: Statement = Statement::new(
    "email_confirm",
    "UPDATE account_emails SET confirmed = 1 WHERE email = $1 AND account_id = $2",
);
const HOLDER: Statement = Statement::new(
    "email_holder",
    "SELECT account_id, confirmed, claimed_at FROM account_emails WHERE email = $1",
);
/// Against the claim that was looked at: if its holder confirms, or another takes over, this changes nothing.
const TAKE_OVER: Statement = Statement::new(
    "email_take_over",
    "UPDATE account_emails SET account_id = $3, claimed_at = $4 \
     WHERE email = $1 AND account_id = $2 AND confirmed = 0",
);
const RELEASE: Statement = Statement::new(
    "email_release",
    "DELETE FROM account_emails WHERE email = $1 AND account_id = $2 AND confirmed = 0 AND claimed_at <= $3",
);
const DANGLING: Statement = Statement::new(
    "emails_dangling",
    "SELECT email, account_id FROM account_emails \
     WHERE confirmed = 0 AND claimed_at <= $1 AND email > $2 ORDER BY email LIMIT $3",
);
const DANGLING_COUNT: Statement = Statement::new(
    "emails_dangling_count",
    "SELECT count(*) FROM account_emails WHERE confirmed = 0 AND claimed_at <= $1",
);
const EXISTS: Statement = Statement::new("account_exists", "SELECT id FROM accounts WHERE id = $1");

/// A registration that is older has ended one way or another, or died. It need not be right for the sake of uniqueness: a
/// registration that is slower loses its address, and notices.
const DANGLING_AGE_SECONDS: u64 = 60;
const REAP_PERIOD: Duration = Duration::from_secs(30);
const REAPED_MAX: u16 = 100;

/// How claims are counted that nobody has confirmed in time.
pub(super) fn dangling() -> DanglingRows {
    let until = clock::unix_seconds().saturating_sub(DANGLING_AGE_SECONDS);
    DanglingRows { statement: DANGLING_COUNT, until: i64::try_from(until).unwrap_or(i64::MAX) }
}

impl Accounts {
    /// Claims an address for an id; the position of the claim.
    pub(super) async fn claim(
        &self,
        email: &Email,
        id: AccountId,
    ) -> Result<Option<Position>, RegisterError> {
        let bucket = self.data.placement().bucket_of_key(email.as_str());
        let shard = self.data.shard_for(bucket);
        let values = [email.as_str().into(), bucket.get().into(), id.value(), now()];
        // Again where the claim that was in the way is released before it is looked at.
        for _ in 0..2 {
            let claimed = shard.write(&CLAIM, &values).await?;
            if claimed.count > 0 {
                return Ok(claimed.position);
            }
            let rows = shard.read(&Consistency::primary(), &HOLDER, &[email.as_str().into()]).await?;
            if let Some(claim) = rows.first() {
                return self.contest(email, id, claim).await;
            }
        }
        Err(RegisterError::EmailTaken)
    }

    /// Makes a claim that was found this id's, if it is already, or nobody's any more.
    async fn contest(
        &self,
        email: &Email,
        id: AccountId,
        claim: &Row,
    ) -> Result<Option<Position>, RegisterError> {
        let holder: i64 = claim.get("account_id").map_err(AccessError::from)?;
        let is_own = holder == id.number();
        if !is_own && (!is_dangling(claim)? || self.exists(holder).await?) {
            return Err(RegisterError::EmailTaken);
        }
        // One's own, which an earlier attempt has made, becomes as young as any other, unless it is confirmed.
        let values = [email.as_str().into(), holder.into(), id.value(), now()];
        let taken_over = self.data.shard_for(email.as_str()).write(&TAKE_OVER, &values).await?;
        if taken_over.count > 0 || is_own { Ok(taken_over.position) } else { Err(RegisterError::EmailTaken) }
    }

    /// Confirms a claim; counts nothing if it is another's by now.
    pub(super) async fn confirm(&self, email: &Email, id: AccountId) -> Result<Written, AccessError> {
        let values = [email.as_str().into(), id.value()];
        self.data.shard_for(email.as_str()).write(&CONFIRM, &values).await
    }

    /// Whether a claim's holder has an account.
    async fn exists(&self, holder: i64) -> Result<bool, AccessError> {
        let Some(id) = AccountId::of_stored(holder) else { return Ok(false) };
        let rows = self.data.shard_for(id.id()).read(&Consistency::primary(), &EXISTS, &[id.value()]).await?;
        Ok(!rows.is_empty())
    }

    /// Settles the old claims of a shard: confirms those that have an account, releases the others. How many there were.
    async fn reap(&self, shard: &Shard) -> Result<i64, AccessError> {
        let dangling = self.dangling(shard).await?;
        for (email, id) in &dangling {
            let claim = [email.as_str().into(), (*id).into()];
            // By the address, for the claim may be in a bucket that has just moved.
            let shard = self.data.shard_for(&**email);
            if self.exists(*id).await? {
                shard.write(&CONFIRM, &claim).await?;
            } else {
                // What was renewed since it was looked for stays.
                let [email, id] = claim;
                shard.write(&RELEASE, &[email, id, seconds_ago(DANGLING_AGE_SECONDS)]).await?;
            }
        }
        Ok(i64::try_from(dangling.len()).unwrap_or(i64::MAX))
    }

    /// Old claims of a shard with the ids that they name, at most [`REAPED_MAX`]. Claims in a bucket that has moved away, or is yet
    /// to come, are another shard's: here they are not what they are there.
    async fn dangling(&self, shard: &Shard) -> Result<Vec<(String, i64)>, AccessError> {
        let primary = &Consistency::primary();
        let ownership = self.data.ownership(primary).await;
        let (mut dangling, mut after) = (Vec::new(), String::new());
        loop {
            let values = [seconds_ago(DANGLING_AGE_SECONDS), after.as_str().into(), REAPED_MAX.into()];
            let rows = shard.read(primary, &DANGLING, &values).await?;
            for row in &rows {
                let claim: (String, i64) = (row.get("email")?, row.get("account_id")?);
                after.clone_from(&claim.0);
                if ownership.owns(shard.id(), claim.0.as_str()) {
                    dangling.push(claim);
                }
            }
            let reaped_max = usize::from(REAPED_MAX);
            if rows.len() < reaped_max || dangling.len() >= reaped_max {
                dangling.truncate(reaped_max);
                return Ok(dangling);
            }
        }
    }
}

/// Whether nobody may be at work any more on what the claim is for.
fn is_dangling(claim: &Row) -> Result<bool, AccessError> {
    let (confirmed, claimed_at): (bool, u64) = (claim.get("confirmed")?, claim.get("claimed_at")?);
    Ok(!confirmed && claimed_at <= clock::unix_seconds().saturating_sub(DANGLING_AGE_SECONDS))
}

/// Settles old claims from time to time. Every replica does, which is harmless: each step is against the claim as it was read.
pub(crate) struct Reaper {
    accounts: Accounts,
    dangling: Gauge,
}

impl Reaper {
    pub(crate) fn new(accounts: Accounts, registry: &mut Registry) -> Self {
        let dangling = Gauge::<i64>::default();
        let help =
            "Claims of e-mail addresses that were old and not confirmed when they were last looked for";
        registry.register("phalanx_dangling_rows", help, dangling.clone());
        Self { accounts, dangling }
    }

    /// Runs until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        loop {
            let mut found = 0;
            for shard in self.accounts.data.shards() {
                match self.accounts.reap(&shard).await {
                    Ok(count) => found += count,
                    Err(error) => {
                        let error: &dyn std::error::Error = &error;
                        tracing::warn!(
                            shard = shard.id().0,
                            error,
                            "cannot look for dangling claims of addresses"
                        );
                    }
                }
            }
            self.dangling.set(found);
            tokio::select! {
                () = tokio::time::sleep(REAP_PERIOD) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}
