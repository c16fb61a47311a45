//! The accounts in the database, over all shards.
//!
//! An account is on the shard of its id, and the claim of its address on the shard of the address. Invariant: of the accounts
//! with one address only the one that its claim names was ever answered, whatever crashes between the steps of a registration:
//!
//! 1. the address is claimed for an id, or was another's;
//! 2. the account is stored under that id;
//! 3. the claim is confirmed, unless somebody has taken it over meanwhile: then the account is removed again.
//!
//! A claim is taken over (`claims`) only while it is not confirmed, is old, and has no account.
//!
//! Whoever repeats a registration under the id that it had the first time goes on where that stopped, though the first may go on
//! too. Both store the hash of the same password, each with a salt of its own, and so the hash says whose the row is: the second
//! puts its own in the place of the first's, and each removes the row only while it has its own.

use phalanx_auth::{Logins, PasswordHash, Role};
use phalanx_data::{
    AccessError, Consistency, Data, Ids, Kind, Migration, Position, Questions, Row, Statement, Value, Written,
};
use phalanx_shard::{Bucket, id::GenerateError};
use phalanx_telemetry::clock;

use super::{Account, AccountId, Email, Name, Standing};
use crate::idempotency::Idempotency;

mod changes;
mod claims;
mod list;
#[cfg(test)]
mod tests;

pub(crate) use changes::Changed;
pub(crate) use claims::Reaper;
pub(crate) use list::{ListError, Statistics};

const INSERT: Statement = Statement::new(
    "account_insert",
    // Not where its owner has used it since: a repetition must not bring back the password that he has changed.
    "INSERT INTO accounts (id, email, name, role, password_hash) VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (id) DO UPDATE SET password_hash = excluded.password_hash WHERE accounts.epoch = 0",
);
const DELETE: Statement =
    Statement::new("account_delete", "DELETE FROM accounts WHERE id = $1 AND password_hash = $2");
const BY_ID: Statement = Statement::new(
    "account_by_id",
    "SELECT id, email, name, role, epoch, disabled, password_hash FROM accounts WHERE id = $1",
);
const ID_BY_EMAIL: Statement =
    Statement::new("account_id_by_email", "SELECT account_id FROM account_emails WHERE email = $1");
const ANSWERS: Statement = Statement::new("ready", "SELECT 1 AS one");

/// Stores and finds accounts.
#[derive(Clone)]
pub(crate) struct Accounts {
    data: Data,
    ids: Ids,
}

/// What it takes to create an account.
pub(crate) struct NewAccount {
    pub(crate) email: Email,
    pub(crate) name: Name,
    pub(crate) password_hash: PasswordHash,
}

/// An account that was just created, and where its rows are.
pub(crate) struct Registered {
    pub(crate) account: Account,
    pub(crate) wrote: Wrote,
}

/// What whoever wrote has to see from then on.
pub(crate) struct Wrote {
    pub(crate) positions: Vec<Position>,
    /// That of the map of buckets, or of a newer one.
    pub(crate) epoch: u64,
}

impl Wrote {
    /// Adds what another write has to be seen by.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.positions.extend(other.positions);
        self.epoch = self.epoch.max(other.epoch);
    }
}

/// An account with the hash that its password must match.
#[derive(Debug)]
pub(crate) struct Credentials {
    pub(crate) account: Account,
    pub(crate) password_hash: PasswordHash,
}

/// Why an account was not created.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegisterError {
    #[error("the email is taken")]
    EmailTaken,
    /// It took so long that the claim was taken for dead. Whether the address is another's by now shows the next attempt.
    #[error("the claim of the email was lost")]
    ClaimLost,
    #[error("cannot make an id")]
    Id(#[from] GenerateError),
    #[error("cannot store the account")]
    Access(#[from] AccessError),
}

impl Accounts {
    /// The schema of the service, in the order in which it came to be.
    pub(crate) const MIGRATIONS: &'static [Migration] = &[
        Migration::per_store(
            "accounts",
            include_str!("../../migrations/0001_accounts.sql"),
            include_str!("../../migrations/0001_accounts.postgres.sql"),
        ),
        Migration::per_store(
            "account emails",
            include_str!("../../migrations/0002_emails.sqlite.sql"),
            include_str!("../../migrations/0002_emails.postgres.sql"),
        ),
        Migration::per_store(
            "account standing",
            include_str!("../../migrations/0003_account_standing.sqlite.sql"),
            include_str!("../../migrations/0003_account_standing.postgres.sql"),
        ),
        Idempotency::MIGRATION,
        Logins::MIGRATION,
    ];

    /// What an operator may ask of the databases.
    pub(crate) fn questions() -> Questions {
        Questions { migrations: Self::MIGRATIONS, dangling: Some(claims::dangling()) }
    }

    pub(crate) fn new(data: Data, ids: Ids) -> Self {
        Self { data, ids }
    }

    /// An id for an account that is to be created.
    pub(crate) fn reserve(&self) -> Result<AccountId, RegisterError> {
        // Any bucket: accounts are spread evenly whatever their addresses are.
        let number = getrandom::u32().expect("the kernel's random numbers are there from boot");
        Ok(self.ids.next(Bucket::of_low_bits(number.into()))?.into())
    }

    /// Creates an account with the role of a user, under an id that was reserved for it. The same again, with a hash of the same
    /// password, creates nothing else.
    pub(crate) async fn register(&self, id: AccountId, new: NewAccount) -> Result<Registered, RegisterError> {
        let NewAccount { email, name, password_hash } = new;
        let account = Account { id, email, name, role: Role::User, epoch: 0, standing: Standing::Active };
        let mut positions = Vec::new();
        positions.extend(self.claim(&account.email, id).await?);
        positions.extend(self.insert(&account, &password_hash).await?.position);
        match self.confirm(&account.email, id).await? {
            Written { count: 0, .. } => {
                let own = [id.value(), password_hash.as_str().into()];
                self.data.shard_for(id.id()).write(&DELETE, &own).await?;
                Err(RegisterError::ClaimLost)
            }
            confirmed => {
                positions.extend(confirmed.position);
                Ok(Registered { account, wrote: self.wrote(positions) })
            }
        }
    }

    async fn insert(&self, account: &Account, hash: &PasswordHash) -> Result<Written, RegisterError> {
        let Account { id, email, name, role, epoch: _, standing: _ } = account;
        let values = [
            id.value(),
            email.as_str().into(),
            name.as_str().into(),
            role.as_str().into(),
            hash.as_str().into(),
        ];
        match self.data.shard_for(id.id()).write(&INSERT, &values).await {
            Ok(Written { count: 0, .. }) => Err(RegisterError::EmailTaken),
            Ok(written) => Ok(written),
            // Files have a unique column as well.
            Err(error) if error.verdict().kind == Kind::Duplicate => Err(RegisterError::EmailTaken),
            Err(error) => Err(error.into()),
        }
    }

    /// To be called behind the writes: they went by the map of that moment, or by one before it.
    pub(crate) fn wrote(&self, positions: Vec<Position>) -> Wrote {
        Wrote { positions, epoch: self.data.map().epoch() }
    }

    pub(crate) async fn by_email(
        &self,
        email: &Email,
        consistency: &Consistency,
    ) -> Result<Option<Credentials>, AccessError> {
        match self.find_by_email(email, consistency).await? {
            // Somebody who has just registered elsewhere is not to be told that he has not.
            None => self.find_by_email(email, &Consistency::primary()).await,
            found => Ok(found),
        }
    }

    async fn find_by_email(
        &self,
        email: &Email,
        consistency: &Consistency,
    ) -> Result<Option<Credentials>, AccessError> {
        let shard = self.data.shard_for(email.as_str());
        let rows = shard.read(consistency, &ID_BY_EMAIL, &[email.as_str().into()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let Some(id) = AccountId::of_stored(row.get("account_id")?) else { return Ok(None) };
        let found = self.credentials(id, consistency).await?;
        Ok(found.filter(|found| found.account.email == *email))
    }

    pub(crate) async fn by_id(
        &self,
        id: AccountId,
        consistency: &Consistency,
    ) -> Result<Option<Account>, AccessError> {
        Ok(self.credentials(id, consistency).await?.map(|found| found.account))
    }

    /// Whether the database answers: every shard, since a request may need any. A full queue is an answer: taking a busy replica
    /// out of the balancer would only move its load to the others.
    pub(crate) async fn answers(&self) -> bool {
        for shard in self.data.shards() {
            let asked = shard.read(&Consistency::eventual(), &ANSWERS, &[]).await;
            if asked.is_err_and(|error| error.verdict().kind != Kind::Overloaded) {
                return false;
            }
        }
        true
    }

    pub(crate) async fn credentials(
        &self,
        id: AccountId,
        consistency: &Consistency,
    ) -> Result<Option<Credentials>, AccessError> {
        let rows = self.data.shard_for(id.id()).read(consistency, &BY_ID, &[id.value()]).await?;
        rows.first().map(credentials).transpose()
    }
}

fn credentials(row: &Row) -> Result<Credentials, AccessError> {
    let password_hash = PasswordHash::from_stored(row.get("password_hash")?);
    Ok(Credentials { account: account(row)?, password_hash })
}

/// What the checks of the table let in can be read.
fn account(row: &Row) -> Result<Account, AccessError> {
    let id = AccountId::of_stored(row.get("id")?).ok_or(AccessError::TransactionLost)?;
    let role = Role::of(&row.get::<String>("role")?).ok_or(AccessError::TransactionLost)?;
    let standing = if row.get("disabled")? { Standing::Disabled } else { Standing::Active };
    Ok(Account {
        id,
        email: Email(row.get("email")?),
        name: Name(row.get("name")?),
        role,
        epoch: row.get("epoch")?,
        standing,
    })
}

fn now() -> Value {
    seconds_ago(0)
}

fn seconds_ago(seconds: u64) -> Value {
    i64::try_from(clock::unix_seconds().saturating_sub(seconds)).unwrap_or(i64::MAX).into()
}
