//! Logins: what a user sees as his sessions, each with the refresh tokens that prolong it.
//!
//! A login is one row on the shard of its account (`phalanx-data`: servers or files), and its id is the `sid` of every access token
//! and cookie session that belongs to it. Its refresh tokens are a family, of which the newest rotates ([`Logins::refresh`]): it is
//! replaced by one statement that changes the row only as it was read. Whoever loses that race, or never got the answer, is given the
//! same successor for as long as the [`ReplayWindow`] lasts; after that an old token means that two have it, and its family is ended.
//!
//! ```
//! use std::num::NonZeroU16;
//!
//! use phalanx_auth::{Device, LoginSettings, Logins, UnixMs};
//! use phalanx_data::{Consistency, Data, DataDirectory, EmbeddedSettings, Ids, Migration, Settings};
//! use phalanx_shard::Bucket;
//! use phalanx_telemetry::clock;
//! # use tokio::task::JoinSet;
//!
//! const MIGRATIONS: &[Migration] = &[Logins::MIGRATION];
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let directory = DataDirectory::create(folder.path().join("data"))?;
//! # let embedded = EmbeddedSettings::default();
//! let (data, upkeep) =
//!     Data::open_embedded(&directory, NonZeroU16::MIN, MIGRATIONS, embedded, Settings::new()).await?;
//! # let mut tasks = JoinSet::new();
//! # tasks.spawn(upkeep.run());
//! let (ids, lease) = Ids::lease(&data).await?;
//! let logins = Logins::new(data.clone(), ids.clone(), LoginSettings::default());
//!
//! let account = ids.next(Bucket::of_low_bits(5))?;
//! let begun = logins.begin(account, Device::new("curl/8.5.0", None), UnixMs::from(clock::wall())).await?;
//! let refreshed = logins.refresh(begun.refresh_token.as_str(), UnixMs::from(clock::wall())).await?;
//! assert_eq!((refreshed.login, refreshed.account), (begun.login, account));
//!
//! let mine = logins.list(account, &Consistency::primary(), UnixMs::from(clock::wall())).await?;
//! assert_eq!(mine[0].device.label(), "curl/8.5.0");
//! # drop(lease);
//! # data.close();
//! # while tasks.join_next().await.is_some() {}
//! # Ok(())
//! # }
//! ```
//!
//! Invariants: no token is stored, and none can be made from what is; a token has one successor; an ended login refuses every token
//! of its family, those in their window too; nobody ends a family with a token that was not made here.
//! Elsewhere: what a token is judged to be (`judge`); who is told that a login's access tokens are void (`crate::revocation`).
//! How it fails: [`RefreshError`], whose [`RefreshError::Access`] alone is not the token's fault. A write whose outcome is unknown is
//! looked up, since a rotation leads to the same row however often it is made.

use std::{fmt, num::NonZeroU16, str::FromStr as _, time::Duration};

use phalanx_data::{AccessError, Position, Value};
use phalanx_shard::{Id, id::GenerateError};

mod device;
mod judge;
mod moment;
mod reaper;
mod store;
mod token;

pub use device::{Device, LABEL_BYTES_MAX};
pub use moment::UnixMs;
pub use reaper::LoginReaper;
pub use store::Logins;
pub use token::RefreshToken;

/// How long logins last.
#[derive(Clone, Copy, Debug)]
pub struct LoginSettings {
    /// For how long after its rotation an old refresh token is answered with the newest.
    pub replay_window: ReplayWindow,
    /// A login that is not refreshed for so long is over.
    pub idle_timeout: Duration,
    /// A login is over so long after it began, whatever it is used for.
    pub absolute_timeout: Duration,
    /// Logins that an account may have at once. One more ends the one that was not used for the longest time.
    pub live_max: NonZeroU16,
}

impl Default for LoginSettings {
    fn default() -> Self {
        Self {
            replay_window: ReplayWindow::default(),
            idle_timeout: Duration::from_hours(7 * 24),
            absolute_timeout: Duration::from_hours(30 * 24),
            live_max: NonZeroU16::new(100).expect("100 is not zero"),
        }
    }
}

/// 10 to 30 seconds, 20 by default: long enough for requests that crossed each other and for an answer that was lost, short enough
/// that a stolen token is noticed. A refresh that has to wait for its database should not wait for longer than this, nor should
/// the clocks of two replicas differ by as much: a rotation by a clock that is behind looks older than it is to the other, and one by a
/// clock that is ahead is replayed for longer.
///
/// Within 30 seconds a login rotates 64 times at most. A client that refreshes more often is given the newest token again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayWindow(Duration);

/// A window that is too short or too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a replay window lasts 10 to 30 seconds, not {0:?}")]
pub struct ReplayWindowError(pub Duration);

impl ReplayWindow {
    const SHORTEST: Duration = Duration::from_secs(10);
    const LONGEST: Duration = Duration::from_secs(30);

    /// How long it lasts.
    #[must_use]
    pub fn get(self) -> Duration {
        self.0
    }
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self(Duration::from_secs(20))
    }
}

impl TryFrom<Duration> for ReplayWindow {
    type Error = ReplayWindowError;

    fn try_from(window: Duration) -> Result<Self, ReplayWindowError> {
        let fits = (Self::SHORTEST..=Self::LONGEST).contains(&window);
        fits.then_some(Self(window)).ok_or(ReplayWindowError(window))
    }
}

/// A login's id, which is the `sid` of its access tokens. It has the bucket of the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LoginId(Id);

impl LoginId {
    /// Reads an id as clients write it: decimal digits and nothing else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Id::from_str(text).ok().map(Self)
    }

    /// The id of the row.
    #[must_use]
    pub fn id(self) -> Id {
        self.0
    }

    fn of_stored(number: i64) -> Option<Self> {
        Id::try_from(number).ok().map(Self)
    }

    fn of_bytes(bytes: [u8; 8]) -> Option<Self> {
        Self::of_stored(i64::from_be_bytes(bytes))
    }

    fn bytes(self) -> [u8; 8] {
        self.0.get().to_be_bytes()
    }

    fn value(self) -> Value {
        self.0.get().into()
    }
}

impl fmt::Display for LoginId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A login that is not over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Its id.
    pub id: LoginId,
    /// When it began.
    pub created_at: UnixMs,
    /// When it was last refreshed, or began.
    pub used_at: UnixMs,
    /// When it is over unless it is refreshed before.
    pub valid_until: UnixMs,
    /// What it was begun with.
    pub device: Device,
}

/// A login that has just begun.
#[derive(Clone, Debug)]
pub struct Begun {
    /// Its id.
    pub login: LoginId,
    /// The first of its refresh tokens.
    pub refresh_token: RefreshToken,
    /// Logins of the account that had to make room. Their access tokens are yet to be revoked.
    pub displaced: Vec<LoginId>,
    /// Where the login can be seen from.
    pub position: Option<Position>,
}

/// What a refresh token was worth.
#[derive(Clone, Debug)]
pub struct Refreshed {
    /// The login that it prolongs.
    pub login: LoginId,
    /// Whose it is. Whether the account may still be used is not looked at.
    pub account: Id,
    /// The newest token, which replaces the one that was presented.
    pub refresh_token: RefreshToken,
    /// Whether this request rotated nothing, since another one had done so before, or too many had.
    pub replayed: bool,
    /// Where the rotation can be seen from, if this request made it.
    pub position: Option<Position>,
}

/// What became of a login that is to end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ended {
    /// It has ended.
    Now {
        /// Where that can be seen from.
        position: Option<Position>,
    },
    /// It had been ended before.
    Before,
    /// The account has no such login, or no longer.
    Unknown,
}

/// The logins that ended together.
#[derive(Clone, Debug, PartialEq)]
pub struct EndedAll {
    /// Their ids.
    pub logins: Vec<LoginId>,
    /// Where that can be seen from.
    pub position: Option<Position>,
}

/// Why no login has begun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// There is no id for it.
    #[error("cannot make an id")]
    Id(#[from] GenerateError),
    /// It cannot be stored, or those cannot be ended that it displaces. There may be a login that nobody has a token of.
    #[error("cannot store the login")]
    Access(#[from] AccessError),
}

/// Why a refresh token is worth nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RefreshError {
    /// It was not made here, its login is forgotten, or what made it is lost.
    #[error("invalid refresh token")]
    Invalid,
    /// The login was not used for too long, or is too old.
    #[error("the login has expired")]
    Expired,
    /// The login was ended.
    #[error("the login has ended")]
    Ended {
        /// Which.
        login: LoginId,
        /// Whose it was.
        account: Id,
    },
    /// It had been replaced long before: somebody has a copy. The login has been ended for it, and its access tokens are yet to be
    /// revoked.
    #[error("the refresh token was used again")]
    Reused {
        /// The login.
        login: LoginId,
        /// Whose it was.
        account: Id,
    },
    /// Others changed the row each time: the token is as good as before.
    #[error("the login was changed by others each time")]
    Contended,
    /// The row cannot be read or written: the token is as good as before.
    #[error("cannot look the login up")]
    Access(#[from] AccessError),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A10
    #[test]
    fn an_id_has_one_text() {
        assert_eq!(LoginId::parse("9223372036854775807").unwrap().to_string(), "9223372036854775807");
        for text in [
            "9223372036854775808",
            "-1",
            "1e3",
            "0x1",
            "{3f2504e0-4f89-11d3-9a0c-0305e82c3301}",
            "0",
            "01",
            " 1",
            "",
        ] {
            assert_eq!(LoginId::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_window_is_neither_too_short_nor_too_long() {
        for (milliseconds, fits) in [(9999, false), (10_000, true), (30_000, true), (30_001, false)] {
            let window = Duration::from_millis(milliseconds);
            assert_eq!(ReplayWindow::try_from(window).map(ReplayWindow::get).is_ok(), fits, "{milliseconds}");
        }
    }
}
