//! Passwords before and after hashing.

use std::fmt;

/// Shorter passwords are guessed too fast, however slow the hash is.
pub const PASSWORD_BYTES_MIN: usize = 8;

/// Longer ones only cost time: hashing begins with reading all of it.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// A password whose length was checked. It prints as a placeholder.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

/// Why a text cannot be a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordLengthError {
    /// Under [`PASSWORD_BYTES_MIN`].
    #[error("must have at least {PASSWORD_BYTES_MIN} bytes")]
    TooShort,
    /// Over [`PASSWORD_BYTES_MAX`].
    #[error("must have at most {PASSWORD_BYTES_MAX} bytes")]
    TooLong,
}

impl Password {
    /// A password that somebody chooses for an account.
    ///
    /// # Errors
    /// When it is too short or too long.
    pub fn chosen(text: String) -> Result<Self, PasswordLengthError> {
        if text.len() < PASSWORD_BYTES_MIN {
            return Err(PasswordLengthError::TooShort);
        }
        Self::offered(text)
    }

    /// A password that somebody offers at login. A short one is as wrong as any other wrong one: it is hashed all the
    /// same, so that the answer takes the same time.
    ///
    /// # Errors
    /// When it is too long.
    pub fn offered(text: String) -> Result<Self, PasswordLengthError> {
        if text.len() > PASSWORD_BYTES_MAX { Err(PasswordLengthError::TooLong) } else { Ok(Self(text)) }
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

/// A hash as a PHC string, `$argon2id$v=19$m=…`: algorithm, parameters and salt travel with it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// A hash as it was stored. Whether it can be read shows when a password is verified against it.
    #[must_use]
    pub fn from_stored(phc: String) -> Self {
        Self(phc)
    }

    /// The PHC string, to be stored.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_bounded_in_bytes() {
        let text = |count: usize| "é".repeat(count);
        assert_eq!(Password::chosen(text(3)), Err(PasswordLengthError::TooShort));
        assert!(Password::chosen(text(4)).is_ok());
        assert!(Password::chosen(text(512)).is_ok());
        assert_eq!(Password::chosen(text(513)), Err(PasswordLengthError::TooLong));
        assert!(Password::offered(String::new()).is_ok());
        assert_eq!(Password::offered(text(513)), Err(PasswordLengthError::TooLong));
    }

    #[test]
    fn neither_password_nor_hash_can_be_printed() {
        let password = Password::chosen("correct horse".to_owned()).unwrap();
        let hash = PasswordHash::from_stored("$argon2id$secret".to_owned());
        assert_eq!(format!("{password:?} {hash:?}"), "Password(..) PasswordHash(..)");
    }
}
