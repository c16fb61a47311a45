//! Accounts: what they consist of, and the one place that stores and finds them.
//!
//! Invariant: an [`Email`] is normalised before it is compared or stored, so the unique column means one account for one
//! mailbox, however it is spelt.
//! Elsewhere: hashing (`phalanx-auth`); where the rows are, and when a write counts as done (`phalanx-data`).

use std::fmt;

use phalanx_auth::Role;
use phalanx_data::Value;
use phalanx_shard::Id;

mod store;
#[cfg(test)]
mod tests;

pub(crate) use store::{
    Accounts, Changed, Credentials, ListError, NewAccount, Reaper, RegisterError, Registered, Statistics,
    Wrote,
};

const EMAIL_BYTES_MAX: usize = 254; // RFC 5321: the longest path is 256 with its brackets.
const EMAIL_LOCAL_BYTES_MAX: usize = 64;
const NAME_CHARS_MAX: usize = 100;

/// An account without its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) id: AccountId,
    pub(crate) email: Email,
    pub(crate) name: Name,
    pub(crate) role: Role,
    /// The least epoch that a token of this account may name.
    pub(crate) epoch: u64,
    pub(crate) standing: Standing,
}

/// Whether an account lets its owner in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Active,
    /// It keeps its address and all that it has; nobody logs in to it, and its tokens have ended.
    Disabled,
}

/// A positive number of 63 bits that says its bucket. Accounts from before ids did so have random ones, which are as good: any
/// number has a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AccountId(Id);

impl AccountId {
    /// Reads an id as clients write it: decimal digits and nothing else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    /// Reads a column.
    pub(crate) fn of_stored(number: i64) -> Option<Self> {
        Id::try_from(number).ok().map(Self)
    }

    pub(crate) fn id(self) -> Id {
        self.0
    }

    pub(crate) fn number(self) -> i64 {
        self.0.get()
    }

    /// As a column holds it.
    pub(crate) fn value(self) -> Value {
        self.0.get().into()
    }
}

impl From<Id> for AccountId {
    fn from(id: Id) -> Self {
        Self(id)
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// An e-mail address: trimmed, in lower case, plausible. Only a message that arrives proves more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Email(String);

/// A text that is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an e-mail address")]
pub(crate) struct EmailError;

impl Email {
    #[expect(clippy::needless_pass_by_value, reason = "of the shape that `Fields::text` takes")]
    pub(crate) fn parse(text: String) -> Result<Self, EmailError> {
        let text = text.trim().to_lowercase();
        let (local, domain) = text.split_once('@').ok_or(EmailError)?;
        let local_fits = (1..=EMAIL_LOCAL_BYTES_MAX).contains(&local.len())
            && local.chars().all(|character| !character.is_whitespace() && !character.is_control());
        let domain_fits = domain.split('.').all(|label| {
            !label.is_empty()
                && label.chars().all(|character| character.is_alphanumeric() || character == '-')
        });
        if local_fits && domain_fits && text.len() <= EMAIL_BYTES_MAX {
            Ok(Self(text))
        } else {
            Err(EmailError)
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a person is called: trimmed, one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name(String);

/// A text that is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to {NAME_CHARS_MAX} characters, none of them a control character")]
pub(crate) struct NameError;

impl Name {
    #[expect(clippy::needless_pass_by_value, reason = "of the shape that `Fields::text` takes")]
    pub(crate) fn parse(text: String) -> Result<Self, NameError> {
        let name = text.trim();
        let fits =
            (1..=NAME_CHARS_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control);
        if fits { Ok(Self(name.to_owned())) } else { Err(NameError) }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}
