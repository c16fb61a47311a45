//! Accounts: what they consist of, and the one place that stores and finds them.
//!
//! Invariant: an [`Email`] is normalised before it is compared or stored, so the unique column means one account for one
//! mailbox, however it is spelt.
//! Elsewhere: hashing (`phalanx-auth`); where the rows are, and when a write counts as done (`phalanx-data`).

use std::{fmt, num::NonZeroU64};

use phalanx_auth::Role;

mod store;
#[cfg(test)]
mod tests;

pub(crate) use store::{Accounts, NewAccount, RegisterError};

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
}

/// A positive number of 63 bits, so that it also fits into the signed integers of databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AccountId(NonZeroU64);

impl AccountId {
    /// An id for a new account: random, so that it neither tells how many there are nor lets anybody guess the next. Among
    /// a billion accounts one new id in nine thousand million is taken already; the table refuses that one.
    pub(crate) fn generate() -> Self {
        let random = getrandom::u64().expect("the kernel's random numbers are there from boot");
        Self::of(random >> 1).unwrap_or(Self(NonZeroU64::MIN))
    }

    /// Reads an id as clients write it: decimal digits and nothing else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
        text.parse().ok().filter(|_| canonical).and_then(Self::of)
    }

    fn of(number: u64) -> Option<Self> {
        NonZeroU64::new(number).filter(|number| i64::try_from(number.get()).is_ok()).map(Self)
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
