//! Passwords and access tokens: the only crate that touches a hash or a signature.
//!
//! Invariants: no token is accepted unless its signature, algorithm, type, issuer, audience and times all were checked
//! (`token`); no password is hashed on the caller's thread, and no more are hashed at once than there are threads for it
//! (`hashing`).
//! Elsewhere: accounts and where their hashes are stored (the service); how a fault becomes an HTTP answer (the service).
//! How it fails: [`TokenError`] and [`HashingError`]; neither says more than a stranger may know.

mod fields;
mod hashing;
mod password;
mod role;
mod session;
mod state;
mod token;

pub use fields::{
    Change, Contents, FieldBounds, FieldWatch, Fields, FieldsError, FieldsSettings, FieldsUpkeep,
    TooManyWatches,
};
pub use hashing::{Hasher, HashingError, HashingSettings, Verdict};
pub use password::{PASSWORD_BYTES_MAX, PASSWORD_BYTES_MIN, Password, PasswordHash, PasswordLengthError};
pub use role::Role;
pub use session::{NewSession, Session, SessionCookie, SessionSettings, Sessions};
pub use state::{SharedState, StateError, StateFault, StateOpenError, StateSettings, StateUpkeep};
pub use token::{
    Claims, Issuer, NOT_BEFORE_SKEW_SECONDS, SECRET_BYTES_MIN, TOKEN_BYTES_MAX, TokenError, TokenKey,
    TokenTerms, Verifier, WeakSecret,
};
