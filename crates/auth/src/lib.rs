//! Passwords and access tokens: the only crate that touches a hash or a signature.
//!
//! Invariants: no token is accepted unless its signature, algorithm, type, issuer, audience and times all were checked
//! (`token`); no password is hashed on the caller's thread, and no more are hashed at once than there are threads for it
//! (`hashing`).
//! Elsewhere: accounts and where their hashes are stored (the service); how a fault becomes an HTTP answer (the service).
//! How it fails: [`TokenError`] and [`HashingError`]; neither says more than a stranger may know.

mod hashing;
mod json;
mod keys;
mod password;
mod role;
mod token;

pub use hashing::{Hasher, HashingError, HashingSettings, Verdict};
pub use keys::{
    Algorithm, JWKS_BYTES_MAX, KEYS_MAX, KeyFault, KeyRing, KeyRingError, KeySet, KeySetError, KeyState,
    Keys, PassedOver, ROTATED_KEEP_DEFAULT, RingKey, Rotation, SECRET_BYTES_MIN, Snapshot, WeakSecret,
    generate,
};
pub use password::{PASSWORD_BYTES_MAX, PASSWORD_BYTES_MIN, Password, PasswordHash, PasswordLengthError};
pub use role::Role;
pub use token::{
    CACHE_BYTES_MAX, Claims, Fault, Issuer, NOT_BEFORE_SKEW_SECONDS, Parts, Subject, TOKEN_BYTES_MAX,
    TOKEN_BYTES_VERIFIED_MAX, Terms, TokenError, TokenTooLong, TokenTypes, Verifier, parts, verify_signature,
};
