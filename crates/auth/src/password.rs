//! Passwords before and after hashing.
//!
//! Invariant: a [`Password`] has at most [`PASSWORD_BYTES_MAX`] bytes, and one that was chosen is none that anybody would try first.
//! Elsewhere: hashing, and which stored hashes can be verified (`hashing`); how often may be guessed (`attempts`).

mod common;

use std::fmt;

use crate::hashing::Scheme;

/// Shorter passwords are guessed too fast, however slow the hash is.
pub const PASSWORD_BYTES_MIN: usize = 8;

/// Longer ones only cost time: hashing begins with reading all of it.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// A password whose length was checked. It prints as a placeholder.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

/// Why a text cannot be a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordFault {
    /// Under [`PASSWORD_BYTES_MIN`].
    #[error("must have at least {PASSWORD_BYTES_MIN} bytes")]
    TooShort,
    /// Over [`PASSWORD_BYTES_MAX`].
    #[error("must have at most {PASSWORD_BYTES_MAX} bytes")]
    TooLong,
    /// Among the first that somebody would try who knows whose it is.
    #[error("is too easy to guess: it is a common password, or made of the name or the address")]
    Common,
}

impl Password {
    /// A password that somebody chooses for an account. `context` is what is known of the owner, his e-mail address and name: what
    /// only repeats these is refused with the common ones. There are no rules on kinds of characters.
    ///
    /// Judging takes this thread up to a millisecond or two, whatever the text: little enough for an event loop, where a hash that
    /// follows takes a thread of its own for twenty times as long.
    ///
    /// # Errors
    /// When it is too short, too long or common.
    pub fn chosen(text: String, context: &[&str]) -> Result<Self, PasswordFault> {
        if text.len() < PASSWORD_BYTES_MIN {
            return Err(PasswordFault::TooShort);
        }
        let password = Self::offered(text)?;
        if common::is_common(&password.0, context) { Err(PasswordFault::Common) } else { Ok(password) }
    }

    /// A password that somebody offers at login. A short one is as wrong as any other wrong one: it is hashed all the
    /// same, so that the answer takes the same time.
    ///
    /// # Errors
    /// When it is too long.
    pub fn offered(text: String) -> Result<Self, PasswordFault> {
        if text.len() > PASSWORD_BYTES_MAX { Err(PasswordFault::TooLong) } else { Ok(Self(text)) }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(..)")
    }
}

/// A hash as text, `$argon2id$v=19$m=…` or an imported `$2b$12$…`: algorithm, parameters and salt travel with it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// A hash as it was stored. Whether it can be read shows when a password is verified against it.
    #[must_use]
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// A hash from another system, to be stored for an account that is moved here. Accepted are
    ///
    /// * PHC strings of argon2id and argon2i, of 7 to 64 MiB, and 32 to 256 MiB over all passes;
    /// * bcrypt of cost 10 to 14, as `$2a$`, `$2b$` or `$2y$`. It reads 72 bytes of a password, so until the first login the rest is
    ///   not looked at; a password with a NUL byte, which some libraries end at, matches none.
    ///
    /// The first login that succeeds finds that [rehashing is due](crate::Verified::rehash_due).
    ///
    /// # Errors
    /// When it could not be verified at login, or should not be for its weakness.
    pub fn imported(text: String) -> Result<Self, ImportError> {
        Scheme::of(&text)?;
        Ok(Self(text))
    }

    /// The text, to be stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PasswordHash(..)")
    }
}

/// Why a hash from another system cannot be taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// It is of no algorithm that is known here.
    #[error("neither a PHC string of argon2id or argon2i nor a bcrypt hash of version 2a, 2b or 2y")]
    UnknownAlgorithm,
    /// It begins like a hash and does not go on like one.
    #[error("the hash is damaged")]
    Damaged,
    /// Whoever reads it could find the password with little effort.
    #[error("the hash was made with too little effort")]
    TooWeak,
    /// Each login would take too much memory or time.
    #[error("verifying the hash takes too much memory or time")]
    TooCostly,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_bounded_in_bytes() {
        let words = |bytes: usize| {
            let mut words = "a long passphrase of words that differ, and are many; ".to_owned();
            words.extend(std::iter::repeat_n('x', bytes - words.len()));
            words
        };
        for (text, expected) in [
            ("q7éük".to_owned(), Err(PasswordFault::TooShort)),
            ("q7éükx".to_owned(), Ok(())),
            (words(PASSWORD_BYTES_MAX), Ok(())),
            (words(PASSWORD_BYTES_MAX + 1), Err(PasswordFault::TooLong)),
        ] {
            assert_eq!(Password::chosen(text.clone(), &[]).map(drop), expected, "{text}");
        }
        assert!(Password::offered(String::new()).is_ok());
        assert_eq!(Password::offered("é".repeat(513)), Err(PasswordFault::TooLong));
    }

    #[test]
    fn what_is_known_of_the_owner_is_refused_with_the_common_passwords() {
        let context = ["grace.hopper@example.com", "Grace Hopper"];
        for text in ["password1", "grace.hopper", "gracehopper", "Hopper11"] {
            let chosen = Password::chosen(text.to_owned(), &context);
            assert_eq!(chosen, Err(PasswordFault::Common), "{text}");
            assert!(Password::offered(text.to_owned()).is_ok(), "at login it is as good as any");
        }
    }

    #[test]
    fn neither_password_nor_hash_can_be_printed() {
        let password = Password::chosen("correct horse".to_owned(), &[]).unwrap();
        let hash = PasswordHash::from_stored("$argon2id$secret".to_owned());
        assert_eq!(format!("{password:?} {hash:?}"), "Password(..) PasswordHash(..)");
    }
}
