//! How a stored hash was made, and whether it can be verified here.
//!
//! Invariants: whatever is stored, verifying it takes a bounded amount of memory and time; and whoever reads it has to spend some, too,
//! for each password that he tries.

use argon2::{Argon2, Params, PasswordVerifier, password_hash};
use password_hash::phc;

use super::{HashingError, MEMORY_KIB, Verdict, parameters};
use crate::ImportError;

/// The memory of one verification; as many run at once as there are hashing threads.
const MEMORY_KIB_MAX: u32 = 64 << 10;
/// The memory of all passes: the time it takes. 64 MiB four times over is what PHP makes by itself.
const EFFORT_KIB_MAX: u64 = 256 << 10;

/// The least memory that OWASP recommends argon2 with, in which each guess takes a place on an attacker's card.
const MEMORY_KIB_MIN: u32 = 7 << 10;
/// A little less than what OWASP recommends, 7 MiB five times over or more memory in fewer passes: Spring makes 16 MiB twice.
const EFFORT_KIB_MIN: u64 = 32 << 10;

/// `argon2d` is not among them: what it reads depends on the password, and others on the machine can see where it does.
const ARGON2_PREFIXES: [&str; 2] = ["$argon2id$", "$argon2i$"];

const BCRYPT_COSTS: std::ops::RangeInclusive<u32> = 10..=14;
/// `$2x$` is not among them: it marks hashes of an implementation that made many passwords equal.
const BCRYPT_PREFIXES: [&str; 3] = ["$2a$", "$2b$", "$2y$"];

/// A stored hash, taken apart.
pub(crate) enum Scheme<'a> {
    Argon2(Box<phc::PasswordHash>),
    Bcrypt(&'a str),
}

impl<'a> Scheme<'a> {
    /// The scheme of a hash.
    pub(crate) fn of(text: &'a str) -> Result<Self, ImportError> {
        if BCRYPT_PREFIXES.iter().any(|prefix| text.starts_with(prefix)) {
            // Parsed here for its own sake and for the cost; it is kept as text, which is what the crate verifies.
            let parts: bcrypt::HashParts = text.parse().map_err(|_| ImportError::Damaged)?;
            return match parts.get_cost() {
                cost if cost < *BCRYPT_COSTS.start() => Err(ImportError::TooWeak),
                cost if cost > *BCRYPT_COSTS.end() => Err(ImportError::TooCostly),
                _ => Ok(Self::Bcrypt(text)),
            };
        }
        if !ARGON2_PREFIXES.iter().any(|prefix| text.starts_with(prefix)) {
            return Err(ImportError::UnknownAlgorithm);
        }
        let hash = phc::PasswordHash::new(text).map_err(|_| ImportError::Damaged)?;
        let params = Params::try_from(&hash).map_err(|_| ImportError::Damaged)?;
        if hash.salt.is_none() || hash.hash.is_none() {
            return Err(ImportError::Damaged);
        }
        let effort_kib = u64::from(params.m_cost()) * u64::from(params.t_cost());
        if params.m_cost() > MEMORY_KIB_MAX || effort_kib > EFFORT_KIB_MAX {
            return Err(ImportError::TooCostly);
        }
        if params.m_cost() < MEMORY_KIB_MIN || effort_kib < EFFORT_KIB_MIN {
            return Err(ImportError::TooWeak);
        }
        Ok(Self::Argon2(Box::new(hash)))
    }

    /// Whether a hash made today would be made the same way.
    pub(super) fn is_of_today(&self) -> bool {
        match self {
            Self::Argon2(hash) => {
                let today = parameters();
                let (memory, passes, lanes) = (today.m_cost(), today.t_cost(), today.p_cost());
                hash.algorithm == argon2::ARGON2ID_IDENT
                    && hash.version == Some(argon2::Version::V0x13.into())
                    && Params::try_from(&hash.params).is_ok_and(|made| {
                        (made.m_cost(), made.t_cost(), made.p_cost()) == (memory, passes, lanes)
                    })
                    && hash.hash.is_some_and(|hash| hash.len() == Params::DEFAULT_OUTPUT_LEN)
            }
            Self::Bcrypt(_) => false,
        }
    }

    /// Whether this password was hashed. Memory and time are those of the stored hash.
    pub(super) fn verify(&self, argon2: &Argon2<'_>, password: &[u8]) -> Result<Verdict, HashingError> {
        let matches = match self {
            Self::Argon2(hash) => match argon2.verify_password(password, hash.as_ref()) {
                Ok(()) => true,
                Err(password_hash::Error::PasswordInvalid) => false,
                Err(_) => return Err(HashingError::Unreadable),
            },
            Self::Bcrypt(text) => {
                // Longer passwords are cut at 72 bytes, as whoever made the hash did.
                let matches = bcrypt::verify(password, text).map_err(|_| HashingError::Unreadable)?;
                // bcrypt repeats the password with a NUL behind it, so `a` and `a\0a` are one to it.
                matches && !password.contains(&0)
            }
        };
        Ok(if matches { Verdict::Match } else { Verdict::Mismatch })
    }
}

const _: () =
    assert!(MEMORY_KIB_MIN <= MEMORY_KIB && MEMORY_KIB <= MEMORY_KIB_MAX, "what is hashed can be verified");
