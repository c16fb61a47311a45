//! What a cookie of a session holds: the id, and a secret of 128 random bits.
//!
//! Invariant: what cannot have been made here is refused before anybody is asked about it.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

const SECRET_BYTES: usize = 16;
/// In base64, without padding.
const SECRET_CHARACTERS: usize = 22;
const ID_BYTES_MAX: usize = 64;

/// The value of a cookie. It proves the session, so it cannot be printed by mistake.
pub struct SessionCookie(String);

impl SessionCookie {
    /// The value, of characters that need no quotes in a header.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SessionCookie {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SessionCookie(..)")
    }
}

/// A value that somebody presents as a session's.
pub(super) struct Presented<'a> {
    pub(super) id: &'a str,
    pub(super) secret: Secret,
}

impl<'a> Presented<'a> {
    /// `None` where the value can be no session's.
    pub(super) fn parse(cookie: &'a str) -> Option<Self> {
        if cookie.len() > ID_BYTES_MAX + 1 + SECRET_CHARACTERS {
            return None;
        }
        let (id, secret) = cookie.split_once('.')?;
        if !is_id(id) || secret.len() != SECRET_CHARACTERS {
            return None;
        }
        let mut bytes = [0; SECRET_BYTES];
        let length = URL_SAFE_NO_PAD.decode_slice(secret, &mut bytes).ok()?;
        (length == SECRET_BYTES).then_some(Self { id, secret: Secret(bytes) })
    }
}

/// The random part of a cookie.
pub(super) struct Secret([u8; SECRET_BYTES]);

impl Secret {
    pub(super) fn random() -> Self {
        let mut bytes = [0; SECRET_BYTES];
        getrandom::fill(&mut bytes).expect("the system has randomness");
        Self(bytes)
    }

    pub(super) fn cookie(&self, id: &str) -> SessionCookie {
        SessionCookie(format!("{id}.{}", URL_SAFE_NO_PAD.encode(self.0)))
    }

    /// What is stored of it.
    pub(super) fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }

    /// Whether it is the one of that hash; how long that takes tells nothing.
    pub(super) fn has_hash(&self, hash: &[u8]) -> bool {
        self.hash().ct_eq(hash).into()
    }
}

/// Whether a session may have this id: one that needs no quotes in a cookie, and is no path.
pub(super) fn is_id(id: &str) -> bool {
    let is_of_ids = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(is_of_ids)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cookie_is_read_as_it_was_made() {
        for id in ["7", "9223372036854775807", "a-B_9", &"x".repeat(ID_BYTES_MAX)] {
            let secret = Secret::random();
            let cookie = secret.cookie(id);
            let presented = Presented::parse(cookie.as_str()).unwrap();
            assert_eq!(presented.id, id);
            assert!(presented.secret.has_hash(&secret.hash()));
            assert!(!presented.secret.has_hash(&Secret::random().hash()));
            assert!(!presented.secret.has_hash(&[]));
        }
    }

    #[test]
    fn what_was_not_made_here_is_none() {
        let secret = "AAAAAAAAAAAAAAAAAAAAAA";
        assert!(Presented::parse(&format!("7.{secret}")).is_some());
        let long_id = "x".repeat(ID_BYTES_MAX + 1);
        for cookie in [
            "",
            ".",
            "7",
            "7.",
            secret,
            &format!(".{secret}"),
            &format!("7.{secret}A"),
            &format!("7.{}", &secret[1..]),
            &format!("7.{secret}.{secret}"),
            &format!("7.{}=", &secret[1..]),
            // The last character has bits that belong to no byte.
            "7.AAAAAAAAAAAAAAAAAAAAAB",
            &format!("7.{}+", &secret[1..]),
            &format!("../7.{secret}"),
            &format!("7/8.{secret}"),
            &format!("7%00.{secret}"),
            &format!("7\0.{secret}"),
            &format!(" 7.{secret}"),
            &format!("7:8.{secret}"),
            &format!("ä.{secret}"),
            &format!("{long_id}.{secret}"),
            &"7.".repeat(5 * 1024),
        ] {
            assert!(Presented::parse(cookie).is_none(), "{cookie:?}");
        }
    }

    #[test]
    fn a_cookie_is_not_printed() {
        assert_eq!(format!("{:?}", Secret::random().cookie("7")), "SessionCookie(..)");
    }

    proptest! {
        #[test]
        fn no_text_is_read_as_anything_but_what_it_says(cookie in ".{0,100}") {
            if let Some(presented) = Presented::parse(&cookie) {
                let made = presented.secret.cookie(presented.id);
                prop_assert_eq!(made.as_str(), cookie);
            }
        }

        #[test]
        fn one_other_character_is_another_secret(at in 2_usize..24, character in "[A-Za-z0-9_-]") {
            let secret = Secret::random();
            let mut cookie = secret.cookie("7").as_str().to_owned();
            prop_assume!(cookie[at..=at] != character);
            cookie.replace_range(at..=at, &character);
            let found = Presented::parse(&cookie);
            prop_assert!(found.is_none_or(|presented| !presented.secret.has_hash(&secret.hash())));
        }
    }
}
