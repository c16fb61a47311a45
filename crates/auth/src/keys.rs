//! Keys that sign tokens and keys that verify them, as JSON Web Keys (RFC 7517, RFC 7518, RFC 8037).
//!
//! Invariants: a key has one algorithm, fixed when it is read, and is used with no other; a key that is too small, off its
//! curve or meant for something else is not in a set; a set is either symmetric or asymmetric, so that no public key is ever
//! taken for a secret. Secrets and private keys cannot be printed.
//! Elsewhere: which key a token asks for and what it says (`crate::token`); where sets come from (`crate::remote_keys`).
//! Fails with [`KeySetError`] and [`KeyRingError`] when keys are read, never when they are used.

mod algorithm;
mod der;
mod generate;
mod handle;
mod jwk;
mod material;
mod ring;
mod rotate;
mod set;

pub use self::{
    algorithm::Algorithm,
    generate::generate,
    handle::{Keys, Snapshot},
    jwk::KeyFault,
    ring::{KeyRing, KeyRingError, KeyState, RingKey, WeakSecret},
    rotate::{ROTATED_KEEP_DEFAULT, Rotation},
    set::{JWKS_BYTES_MAX, KEYS_MAX, KeySet, KeySetError, PassedOver},
};
pub(crate) use self::{jwk::KID_BYTES_MAX, set::SignatureError};

/// RFC 7518, section 3.2: a key at least as long as the hash, which is that of HS256.
pub const SECRET_BYTES_MIN: usize = 32;
