//! What the clients of a trial did and were told, and what was stored in the end.

use std::time::Duration;

/// From sending a request to its answer, since the trial began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) began: Duration,
    pub(crate) ended: Duration,
}

/// An attempt to create an account. It is known by the name it gave, which no other attempt has.
#[derive(Clone, Debug)]
pub(crate) struct Registration {
    pub(crate) name: String,
    /// As it is to be stored, however the client spelt it.
    pub(crate) email: String,
    /// The replica that answered; empty where none has.
    pub(crate) instance: String,
    pub(crate) span: Span,
    pub(crate) outcome: Outcome,
}

/// What the client knows of its attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Acknowledged {
        id: i64,
    },
    /// The address is somebody else's.
    Refused,
    /// It may have been done, or be done yet.
    Unknown,
}

/// A client's look at an account that was acknowledged to it.
#[derive(Clone, Debug)]
pub(crate) struct OwnRead {
    pub(crate) id: i64,
    pub(crate) how: How,
    /// The replica that answered.
    pub(crate) instance: String,
    pub(crate) span: Span,
    pub(crate) sight: Sight,
}

/// By which request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Id,
    Profile,
    Login,
    /// In the pages of all accounts, read to the end.
    Pages,
}

/// What it saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    Account,
    Nothing,
    Another(String),
    /// No replica answered for as long as the client tried.
    NoAnswer,
}

/// Everything that clients have recorded.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) registrations: Vec<Registration>,
    pub(crate) reads: Vec<OwnRead>,
    /// Answers that no fault excuses, in words.
    pub(crate) unexpected: Vec<String>,
}

impl History {
    pub(crate) fn merge(&mut self, other: Self) {
        self.registrations.extend(other.registrations);
        self.reads.extend(other.reads);
        self.unexpected.extend(other.unexpected);
    }

    /// The names and addresses of what was acknowledged, with the ids.
    pub(crate) fn acknowledged(&self) -> impl Iterator<Item = (&Registration, i64)> {
        self.registrations.iter().filter_map(|registration| match registration.outcome {
            Outcome::Acknowledged { id } => Some((registration, id)),
            Outcome::Refused | Outcome::Unknown => None,
        })
    }
}

/// What is stored when all faults have healed, on the shards that own it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stored {
    pub(crate) accounts: Vec<StoredAccount>,
    pub(crate) claims: Vec<StoredClaim>,
    pub(crate) logins: Vec<Login>,
}

#[derive(Clone, Debug)]
pub(crate) struct StoredAccount {
    pub(crate) shard: usize,
    pub(crate) id: i64,
    pub(crate) email: String,
    pub(crate) name: String,
}

/// Whose an address is.
#[derive(Clone, Debug)]
pub(crate) struct StoredClaim {
    pub(crate) email: String,
    pub(crate) id: i64,
    pub(crate) confirmed: bool,
}

/// A login with the address and the password of an account that was acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) id: i64,
    /// The account that it led to.
    pub(crate) found: Option<i64>,
}
