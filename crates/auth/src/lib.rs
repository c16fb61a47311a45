//! Passwords and access tokens: the only crate that touches a hash or a signature.
//!
//! Invariants: no token is accepted unless its signature, algorithm, type, issuer, audience and times all were checked
//! (`token`), with a key that was checked when it was read (`keys`, `remote_keys`); no password is hashed on the caller's
//! thread, and no more are hashed at once than there are threads for it (`hashing`).
//! Elsewhere: accounts and where their hashes are stored (the service); how a fault becomes an HTTP answer (the service).
//! How it fails: [`TokenError`] and [`HashingError`]. What a [`Fault`] tells is for the operator; a stranger may know that a
//! token is not valid.

mod attempts;
pub mod audit;
mod authenticator;
pub mod cookies;
pub mod csrf;
mod fields;
mod hashing;
mod json;
mod keys;
mod layer;
mod login;
mod password;
mod refusal;
mod remote_keys;
mod revocation;
mod role;
mod session;
mod state;
mod token;

pub use attempts::{
    Alias, Attempt, AttemptPolicy, AttemptSettings, AttemptTotals, Attempts, Ladder, RetryAfter,
};
pub use authenticator::{Authenticator, Identity, RequiredRoles, bearer};
pub use fields::{
    Change, Contents, FieldBounds, FieldWatch, Fields, FieldsError, FieldsSettings, FieldsUpkeep,
    TooManyWatches,
};
pub use hashing::{Hasher, HashingError, HashingSettings, Verdict, Verified};
pub use keys::{
    Algorithm, JWKS_BYTES_MAX, KEYS_MAX, KeyFault, KeyRing, KeyRingError, KeySet, KeySetError, KeyState,
    Keys, PassedOver, ROTATED_KEEP_DEFAULT, RingKey, Rotation, SECRET_BYTES_MIN, Snapshot, WeakSecret,
    generate,
};
pub use layer::{Authenticate, AuthenticateLayer, Authorize, AuthorizeLayer};
pub use login::{
    Begun, Device, Ended, EndedAll, LABEL_BYTES_MAX, Login, LoginError, LoginId, LoginReaper, LoginSettings,
    Logins, RefreshError, RefreshToken, Refreshed, ReplayWindow, ReplayWindowError, UnixMs,
};
pub use password::{
    ImportError, PASSWORD_BYTES_MAX, PASSWORD_BYTES_MIN, Password, PasswordFault, PasswordHash,
};
pub use refusal::{PROBLEM_CONTENT_TYPE, Refusal};
pub use remote_keys::{
    FetchError, RemoteKeys, RemoteKeysSettings, RemoteKeysTotals, RemoteKeysUpkeep, UrlError,
};
pub use revocation::{
    Freshness, Marks, Revocation, RevocationSettings, RevocationTotals, RevocationUpkeep, Revocations,
    StalePolicy, Standing, StandingError,
};
pub use role::Role;
pub use session::{NewSession, Session, SessionCookie, SessionSettings, Sessions};
pub use state::{SharedState, StateError, StateFault, StateOpenError, StateSettings, StateUpkeep};
pub use token::{
    CACHE_BYTES_MAX, Claims, Fault, Issuer, NOT_BEFORE_SKEW_SECONDS, Parts, Subject, TOKEN_BYTES_MAX,
    TOKEN_BYTES_VERIFIED_MAX, Terms, TokenError, TokenTooLong, TokenTypes, Verifier, parts, verify_signature,
};

/// What the guide shows is compiled as it stands there.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/auth.md")]
struct Guide;
