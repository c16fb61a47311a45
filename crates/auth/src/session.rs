//! Sessions of browsers in the shared state: a cookie that names one and proves that it is the bearer's.
//!
//! Invariants: the secret of a cookie is random, and only its hash is stored; a session ends when it was idle for too long, when it
//! has lasted too long, or when it is ended, whichever is first; an ended session is never renewed.
//! Elsewhere: logins, of which a session has the id (`login`); the cookie's name and attributes, and the defence against requests
//! from other sites (the service).
//! How it fails: [`StateError`], and what needs a session has to wait until the shared state is back. A session that the store has
//! lost is none, and no error.

mod cookie;
mod embedded;
mod redis;

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

pub use self::cookie::SessionCookie;
use self::cookie::{Presented, Secret, is_id};
use crate::{
    Change, FieldBounds, FieldsError, SharedState, StateError,
    state::{RedisLink, Store},
};

/// A session's last use is noted no more often than this: what only reads should not cost a write each time.
const RENEWAL_PERIOD_MAX: Duration = Duration::from_mins(1);

/// The bounds of sessions.
#[derive(Clone, Copy, Debug)]
pub struct SessionSettings {
    /// A session that is not used for so long has ended. Its use is noted once a minute, so it may be up to a minute less.
    pub idle: Duration,
    /// No session lasts longer.
    pub absolute: Duration,
    /// Of the fields of each session.
    pub field_bounds: FieldBounds,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            idle: Duration::from_hours(24),
            absolute: Duration::from_hours(7 * 24),
            field_bounds: FieldBounds { fields_max: 64, field_bytes_max: 4096 },
        }
    }
}

/// Who begins a session.
#[derive(Clone, Copy, Debug)]
pub struct NewSession<'a> {
    /// That of the login, of 1 to 64 letters, digits, `-` and `_`.
    pub id: &'a str,
    /// The account.
    pub subject: &'a str,
    /// The account's epoch.
    pub epoch: u64,
    /// What the account may do.
    pub roles: &'a [&'a str],
}

/// A session that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// That of the login.
    pub id: String,
    /// The account.
    pub subject: String,
    /// The account's epoch when the session began.
    pub epoch: u64,
    /// What the account might do when the session began.
    pub roles: Vec<String>,
    /// When it began, in Unix seconds.
    pub created_at: u64,
    /// When it was last noted to be in use, in Unix seconds.
    pub seen_at: u64,
}

/// The part of a session that never changes, as it is stored.
#[derive(Serialize, Deserialize)]
struct Principal {
    subject: String,
    epoch: u64,
    roles: Vec<String>,
    created_at: u64,
}

/// A session as a store has it.
struct Stored {
    /// The hash of its secret.
    secret: Vec<u8>,
    /// A [`Principal`] in JSON.
    principal: Vec<u8>,
    seen_at: u64,
}

/// What is noted when a session is used.
struct Renewal<'a> {
    id: &'a str,
    /// Of another than this the use is not noted.
    secret: &'a [u8],
    seen_at: u64,
    expires_at: u64,
}

/// The sessions in the shared state; cheap to clone.
///
/// ```
/// use phalanx_auth::{NewSession, SessionSettings, Sessions, SharedState};
/// use phalanx_data::DataDirectory;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// // Or `SharedState::redis`. The upkeep is a future that its owner runs until the service stops.
/// let (state, upkeep) = SharedState::embedded(DataDirectory::create(folder)?).await?;
/// # drop(upkeep);
/// let sessions = Sessions::new(state, SessionSettings::default());
///
/// let login = NewSession { id: "7", subject: "42", epoch: 0, roles: &["user"] };
/// let now = 1_800_000_000;
/// let cookie = sessions.begin(login, now).await?;
///
/// let session = sessions.find(cookie.as_str(), now + 5).await?.ok_or("the session goes on")?;
/// assert_eq!((session.id.as_str(), session.subject.as_str()), ("7", "42"));
/// sessions.end("7").await?;
/// assert_eq!(sessions.find(cookie.as_str(), now + 5).await?, None);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Sessions {
    state: SharedState,
    settings: SessionSettings,
}

impl Sessions {
    /// The sessions in `state`.
    #[must_use]
    pub fn new(state: SharedState, settings: SessionSettings) -> Self {
        Self { state, settings }
    }

    /// Begins a session at `now`, in Unix seconds, with a secret that no one has had before. One that has the same id ends by that.
    ///
    /// # Errors
    /// When the shared state fails.
    ///
    /// # Panics
    /// When the id is no id of a session, or the system has no randomness.
    pub async fn begin(&self, new: NewSession<'_>, now: u64) -> Result<SessionCookie, StateError> {
        assert!(is_id(new.id), "the id of a login is one of letters, digits, `-` and `_`");
        let secret = Secret::random();
        let principal = Principal {
            subject: new.subject.to_owned(),
            epoch: new.epoch,
            roles: new.roles.iter().map(|role| (*role).to_owned()).collect(),
            created_at: now,
        };
        let stored = Stored {
            secret: secret.hash().to_vec(),
            principal: serde_json::to_vec(&principal).expect("strings and numbers are JSON"),
            seen_at: now,
        };
        let expires_at = self.expires_at(now, now);
        match &self.state.store {
            Store::Redis(link) => redis::begin(link, new.id, &stored, expires_at).await?,
            Store::Embedded(state) => embedded::begin(state, new.id, &stored, expires_at).await?,
        }
        Ok(secret.cookie(new.id))
    }

    /// The session of a cookie at `now`, in Unix seconds, which counts as a use of it. `None` for a cookie that is none of a session
    /// which goes on; one that cannot be is found out without asking the store.
    ///
    /// # Errors
    /// When the shared state fails, or holds something else in the session's place.
    pub async fn find(&self, cookie: &str, now: u64) -> Result<Option<Session>, StateError> {
        let Some(Presented { id, secret }) = Presented::parse(cookie) else { return Ok(None) };
        let stored = match &self.state.store {
            Store::Redis(link) => redis::read(link, id).await?,
            Store::Embedded(state) => embedded::read(state, id).await?,
        };
        let Some(stored) = stored.filter(|stored| secret.has_hash(&stored.secret)) else { return Ok(None) };
        let Some(session) = stored.session(id) else { return Err(unreadable(&self.state, id)) };
        if now >= self.expires_at(session.created_at, session.seen_at) {
            return Ok(None);
        }
        if now < session.seen_at.saturating_add(self.renewal_period()) {
            return Ok(Some(session));
        }
        let expires_at = self.expires_at(session.created_at, now);
        let renewal = Renewal { id, secret: &stored.secret, seen_at: now, expires_at };
        // It may have been ended since it was read.
        let goes_on = match &self.state.store {
            Store::Redis(link) => redis::renew(link, &renewal).await?,
            Store::Embedded(state) => embedded::renew(state, &renewal).await?,
        };
        Ok(goes_on.then_some(Session { seen_at: now, ..session }))
    }

    /// Ends a session; one that there is not has ended.
    ///
    /// # Errors
    /// When the shared state fails.
    pub async fn end(&self, id: &str) -> Result<(), StateError> {
        self.end_many(&[id]).await
    }

    /// Ends several.
    ///
    /// # Errors
    /// When the shared state fails; then some may have ended.
    pub async fn end_many(&self, ids: &[&str]) -> Result<(), StateError> {
        let ids: Vec<_> = ids.iter().copied().filter(|id| is_id(id)).collect();
        if ids.is_empty() {
            return Ok(());
        }
        match &self.state.store {
            Store::Redis(link) => redis::end(link, &ids).await,
            Store::Embedded(state) => embedded::end(state, &ids).await,
        }
    }

    /// The service's own fields of a session; `None` where there is no such session. Whether it has expired, only [`Self::find`] says.
    ///
    /// # Errors
    /// When the shared state fails.
    pub async fn fields(&self, id: &str) -> Result<Option<BTreeMap<String, String>>, StateError> {
        if !is_id(id) {
            return Ok(None);
        }
        match &self.state.store {
            Store::Redis(link) => redis::fields(link, id).await,
            Store::Embedded(state) => embedded::fields(state, id).await,
        }
    }

    /// Changes some of them; answers all, or `None` where there is no such session.
    ///
    /// # Errors
    /// When they would be too many or too long, or the shared state fails.
    pub async fn set_fields(
        &self,
        id: &str,
        change: &Change,
    ) -> Result<Option<BTreeMap<String, String>>, FieldsError> {
        self.settings.field_bounds.check(&change.set)?;
        if !is_id(id) {
            return Ok(None);
        }
        match &self.state.store {
            Store::Redis(link) => redis::set_fields(link, id, change, &self.settings.field_bounds).await,
            Store::Embedded(state) => {
                embedded::set_fields(state, id, change, &self.settings.field_bounds).await
            }
        }
    }

    /// The first second in which it has ended.
    fn expires_at(&self, created_at: u64, seen_at: u64) -> u64 {
        let idle = seen_at.saturating_add(self.settings.idle.as_secs());
        idle.min(created_at.saturating_add(self.settings.absolute.as_secs()))
    }

    fn renewal_period(&self) -> u64 {
        // Of a short timeout only a part may pass unnoted.
        (self.settings.idle / 4).min(RENEWAL_PERIOD_MAX).as_secs()
    }
}

impl Stored {
    /// `None` where it is damaged.
    fn session(&self, id: &str) -> Option<Session> {
        let principal: Principal = serde_json::from_slice(&self.principal).ok()?;
        Some(Session {
            id: id.to_owned(),
            subject: principal.subject,
            epoch: principal.epoch,
            roles: principal.roles,
            created_at: principal.created_at,
            seen_at: self.seen_at,
        })
    }
}

fn unreadable(state: &SharedState, id: &str) -> StateError {
    let key = match &state.store {
        Store::Redis(link) => key(link, id),
        Store::Embedded(_) => id.to_owned(),
    };
    StateError::Unreadable { key }
}

fn key(link: &RedisLink, id: &str) -> String {
    link.key(&format!("session:{id}"))
}
