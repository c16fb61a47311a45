//! What may change about an account once it is there.
//!
//! Invariant: whatever ends the tokens that were issued before raises the account's epoch in the same statement, so no reader
//! sees the one without the other. A change that was made already raises nothing, and answers the epoch that it had raised
//! then: whoever fails behind the statement, before the revocation is told, may run both again.
//! Elsewhere: telling everybody of a raised epoch (`phalanx_auth`); who may change what (the routes).

use phalanx_auth::{PasswordHash, Role};
use phalanx_data::{AccessError, Statement, Value};

use super::{Account, AccountId, Accounts, Wrote, account};
use crate::accounts::{Name, Standing};

const RENAME: Statement = Statement::new(
    "account_rename",
    "UPDATE accounts SET name = $2 WHERE id = $1 RETURNING id, email, name, role, epoch, disabled",
);
const SET_PASSWORD: Statement = Statement::new(
    "account_set_password",
    "UPDATE accounts SET password_hash = $2, epoch = epoch + 1 WHERE id = $1 AND epoch = $3 \
     RETURNING id, email, name, role, epoch, disabled",
);
const REHASH: Statement = Statement::new(
    "account_rehash",
    "UPDATE accounts SET password_hash = $3 WHERE id = $1 AND password_hash = $2",
);
const SET_ROLE: Statement = Statement::new(
    "account_set_role",
    "UPDATE accounts SET role = $2, epoch = epoch + CASE WHEN role = $2 THEN 0 ELSE 1 END WHERE id = $1 \
     RETURNING id, email, name, role, epoch, disabled",
);
const SET_STANDING: Statement = Statement::new(
    "account_set_standing",
    "UPDATE accounts SET disabled = $2, epoch = epoch + CASE WHEN disabled = $2 THEN 0 ELSE 1 END WHERE id = $1 \
     RETURNING id, email, name, role, epoch, disabled",
);
const BUMP_EPOCH: Statement = Statement::new(
    "account_bump_epoch",
    "UPDATE accounts SET epoch = epoch + 1 WHERE id = $1 RETURNING id, email, name, role, epoch, disabled",
);

/// An account as a change has left it, and where its row is.
pub(crate) struct Changed {
    pub(crate) account: Account,
    pub(crate) wrote: Wrote,
}

impl Accounts {
    /// Calls a person something else. `None` where there is no such account, here and below.
    pub(crate) async fn rename(&self, id: AccountId, name: &Name) -> Result<Option<Changed>, AccessError> {
        self.change(&RENAME, id, vec![name.as_str().into()]).await
    }

    /// Replaces the password, which ends all tokens. `verified_epoch` is the epoch that the account had when its old password
    /// was verified: if it has another since, somebody else has changed it, and nothing happens (`None`).
    pub(crate) async fn set_password(
        &self,
        id: AccountId,
        hash: &PasswordHash,
        verified_epoch: u64,
    ) -> Result<Option<Changed>, AccessError> {
        let epoch = i64::try_from(verified_epoch).unwrap_or(i64::MAX);
        self.change(&SET_PASSWORD, id, vec![hash.as_str().into(), epoch.into()]).await
    }

    /// Stores the same password hashed otherwise, which ends nothing. A hash that is not there any more is left alone: its
    /// password was changed, or another login was first.
    pub(crate) async fn rehash(
        &self,
        id: AccountId,
        from: &PasswordHash,
        to: &PasswordHash,
    ) -> Result<(), AccessError> {
        let values = [id.value(), from.as_str().into(), to.as_str().into()];
        self.data.shard_for(id.id()).write(&REHASH, &values).await.map(drop)
    }

    /// Gives the account a role. Tokens that name another one end.
    pub(crate) async fn set_role(&self, id: AccountId, role: Role) -> Result<Option<Changed>, AccessError> {
        self.change(&SET_ROLE, id, vec![role.as_str().into()]).await
    }

    /// Disables the account, which ends its tokens, or lets its owner in again.
    pub(crate) async fn set_standing(
        &self,
        id: AccountId,
        standing: Standing,
    ) -> Result<Option<Changed>, AccessError> {
        let disabled: u16 = match standing {
            Standing::Active => 0,
            Standing::Disabled => 1,
        };
        self.change(&SET_STANDING, id, vec![disabled.into()]).await
    }

    /// Ends all tokens.
    pub(crate) async fn bump_epoch(&self, id: AccountId) -> Result<Option<Changed>, AccessError> {
        self.change(&BUMP_EPOCH, id, Vec::new()).await
    }

    async fn change(
        &self,
        statement: &Statement,
        id: AccountId,
        values: Vec<Value>,
    ) -> Result<Option<Changed>, AccessError> {
        let values = [vec![id.value()], values].concat();
        let written = self.data.shard_for(id.id()).write(statement, &values).await?;
        let Some(row) = written.rows.first() else { return Ok(None) };
        let wrote = self.wrote(written.position.into_iter().collect());
        Ok(Some(Changed { account: account(row)?, wrote }))
    }
}
