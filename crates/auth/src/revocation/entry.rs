//! What is revoked, until when, and what a token has to be asked about.

use crate::Claims;

/// What ends before its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// One login: every token and cookie that belongs to it.
    Session {
        /// `sid`
        session: String,
    },
    /// Every token of an account that was issued under an older epoch.
    Subject {
        /// `sub`
        subject: String,
        /// The first epoch whose tokens stay good.
        epoch: u64,
    },
}

/// By what a token can be revoked; taken from its claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks<'a> {
    /// `sid`; a token without one is revoked with its subject only.
    pub session: Option<&'a str>,
    /// `sub`
    pub subject: &'a str,
    /// `sv`
    pub epoch: u64,
}

impl<'a> From<&'a Claims> for Marks<'a> {
    fn from(claims: &'a Claims) -> Self {
        Self { session: claims.session.as_deref(), subject: &claims.subject, epoch: claims.epoch }
    }
}

/// What is known of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It was not revoked.
    Live,
    /// It was.
    Revoked,
    /// Nothing speaks against it, but something may be missing: the feed is behind, or more was revoked than is held.
    Unsure,
}

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Session,
    Subject,
}

/// Whose entry it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    pub(crate) kind: Kind,
    pub(crate) id: String,
}

/// How much of its target an entry ends. Two of them are joined by the greater of each number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The first epoch that stays good; zero for a session, which ends as a whole.
    pub(crate) epoch: u64,
    /// In Unix seconds. No token that it speaks of is good for longer, so nobody needs it any more.
    pub(crate) until: u64,
}

/// A revocation as it is stored and passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) target: Target,
    pub(crate) extent: Extent,
}

impl Kind {
    /// How it is written in every store.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Subject => "subject",
        }
    }

    pub(crate) fn of_name(name: &str) -> Option<Self> {
        [Self::Session, Self::Subject].into_iter().find(|kind| kind.name() == name)
    }
}

impl Extent {
    /// Whether `other` adds nothing to it.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.epoch >= other.epoch && self.until >= other.until
    }

    pub(crate) fn join(&mut self, other: &Self) {
        self.epoch = self.epoch.max(other.epoch);
        self.until = self.until.max(other.until);
    }
}

impl Entry {
    pub(crate) fn new(revocation: &Revocation, until: u64) -> Self {
        let (kind, id, epoch) = match revocation {
            Revocation::Session { session } => (Kind::Session, session, 0),
            Revocation::Subject { subject, epoch } => (Kind::Subject, subject, *epoch),
        };
        Self { target: Target { kind, id: id.clone() }, extent: Extent { epoch, until } }
    }

    /// Whether it revokes the token at `now`, in Unix seconds.
    pub(crate) fn revokes(&self, marks: &Marks<'_>, now: u64) -> bool {
        let Self { target: Target { kind, id }, extent } = self;
        let meant = match kind {
            Kind::Session => marks.session == Some(id),
            Kind::Subject => marks.subject == id && extent.epoch > marks.epoch,
        };
        meant && extent.until > now
    }
}
