//! Refresh tokens: their text, what proves one, and what follows one.
//!
//! A token is `phr_` and base64url of 60 bytes: the login's id, the generation, a secret of 32 bytes, a tag of 16. What is stored of a
//! secret is its SHA-256. The successor's secret is made of the old secret and a salt of the family: whoever presents an old token
//! brings what it takes to answer him with the newest, and neither a token nor the row suffices alone.
//!
//! The tag proves that a token was once made here, whichever its generation: an old one that was stolen is told from one that
//! somebody invented, who knows a login's id and wants its owner out.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::LoginId;

const PREFIX: &str = "phr_";
const ID_BYTES: usize = 8;
const GENERATION_BYTES: usize = 4;
pub(super) const SECRET_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
const TOKEN_BYTES: usize = ID_BYTES + GENERATION_BYTES + SECRET_BYTES + TAG_BYTES;
/// Of 60 bytes, which end on a whole group of four letters: so there is one text for a token, and no padding.
const TOKEN_LETTERS: usize = TOKEN_BYTES / 3 * 4;

/// What keeps the two uses of HMAC apart.
const SUCCESSOR: &[u8] = b"phalanx refresh token: successor";
const TAG: &[u8] = b"phalanx refresh token: tag";

/// A refresh token as a client keeps it. It prints as a placeholder.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken(String);

impl RefreshToken {
    /// The token itself, for the client and nobody else.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RefreshToken(..)")
    }
}

/// What makes a token worth something.
#[derive(Clone)]
pub(super) struct Secret([u8; SECRET_BYTES]);

/// What is stored of a secret.
#[derive(Clone)]
pub(super) struct SecretHash([u8; SECRET_BYTES]);

impl Secret {
    pub(super) fn random() -> Self {
        Self(random())
    }

    pub(super) fn hash(&self) -> SecretHash {
        SecretHash(Sha256::digest(self.0).into())
    }
}

impl SecretHash {
    pub(super) fn of_stored(bytes: [u8; SECRET_BYTES]) -> Self {
        Self(bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Compares in a time that does not tell where they differ.
    pub(super) fn is_of(&self, secret: &Secret) -> bool {
        self.0.ct_eq(&secret.hash().0).into()
    }
}

/// What a family of tokens has of its own: random, and in its row alone.
#[derive(Clone)]
pub(super) struct FamilyKeys {
    pub(super) salt: [u8; SECRET_BYTES],
    pub(super) tag_key: [u8; SECRET_BYTES],
}

impl FamilyKeys {
    pub(super) fn random() -> Self {
        Self { salt: random(), tag_key: random() }
    }

    /// The secret of the generation after `generation`, whose secret this is.
    pub(super) fn successor(&self, secret: &Secret, generation: u32) -> Secret {
        Secret(hmac(&secret.0, &[SUCCESSOR, &self.salt, &generation.to_be_bytes()]))
    }

    /// The text of a token.
    pub(super) fn token(&self, login: LoginId, generation: u32, secret: &Secret) -> RefreshToken {
        let tag = self.tag(login, generation, secret);
        let bytes = [&login.bytes()[..], &generation.to_be_bytes(), &secret.0, &tag].concat();
        RefreshToken(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Whether a token was made with these keys.
    pub(super) fn made(&self, presented: &Presented) -> bool {
        let tag = self.tag(presented.login, presented.generation, &presented.secret);
        tag.ct_eq(&presented.tag).into()
    }

    fn tag(&self, login: LoginId, generation: u32, secret: &Secret) -> [u8; TAG_BYTES] {
        let parts = [TAG, &login.bytes(), &generation.to_be_bytes(), &secret.0];
        *hmac(&self.tag_key, &parts).first_chunk().expect("a hash has more bytes than a tag")
    }
}

/// A token as it came: well formed, and nothing more.
#[derive(Clone)]
pub(super) struct Presented {
    pub(super) login: LoginId,
    pub(super) generation: u32,
    pub(super) secret: Secret,
    tag: [u8; TAG_BYTES],
}

impl Presented {
    /// Reads what can be a token.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let letters = text.strip_prefix(PREFIX).filter(|letters| letters.len() == TOKEN_LETTERS)?;
        let bytes = URL_SAFE_NO_PAD.decode(letters).ok()?;
        let (login, bytes) = bytes.split_first_chunk()?;
        let (generation, bytes) = bytes.split_first_chunk()?;
        let (secret, tag) = bytes.split_first_chunk()?;
        Some(Self {
            login: LoginId::of_bytes(*login)?,
            generation: u32::from_be_bytes(*generation),
            secret: Secret(*secret),
            tag: tag.try_into().ok()?,
        })
    }
}

/// The parts are of fixed lengths, so that no two lists of them make one message.
fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; SECRET_BYTES] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

fn random() -> [u8; SECRET_BYTES] {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).expect("the kernel's random numbers are there from boot");
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn login(number: i64) -> LoginId {
        LoginId::of_stored(number).unwrap()
    }

    /// Computed with another implementation. Clients hold tokens of this form, and rows hold what judges them.
    #[test]
    fn the_form_and_the_derivation_are_frozen() {
        let keys = FamilyKeys { salt: [1; 32], tag_key: [2; 32] };
        let token = keys.token(login(258), 3, &Secret([4; 32]));
        let successor = keys.token(login(258), 4, &keys.successor(&Secret([4; 32]), 3));
        assert_eq!(
            [token.as_str(), successor.as_str()],
            [
                "phr_AAAAAAAAAQIAAAADBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ4CyE3owz0A8kXusizZDov",
                "phr_AAAAAAAAAQIAAAAEna_MTWBz0siYSoyZH2hJU3yhOmHhD1jk14e7GAc-WnRso02plIT2dv8eqDB6Daez",
            ]
        );
    }

    #[test]
    fn nothing_secret_can_be_printed() {
        let token = FamilyKeys::random().token(login(7), 1, &Secret::random());
        assert_eq!(format!("{token:?}"), "RefreshToken(..)");
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let token = FamilyKeys::random().token(login(7), 1, &Secret::random());
        let text = token.as_str();
        let with = |from: &str, to: &str| text.replacen(from, to, 1);
        for text in [
            String::new(),
            "phr_".to_owned(),
            with("phr_", ""),
            with("phr_", "PHR_"),
            with("phr_", "phr_ "),
            format!("{text}="),
            format!("{text}A"),
            text[..text.len() - 1].to_owned(),
            format!("{}+", &text[..text.len() - 1]),
            format!("{}\0", &text[..text.len() - 1]),
            // Ids are positive.
            with("phr_AAAAAAAAAAc", "phr_AAAAAAAAAAA"),
            with("phr_AAAAAAAAAAc", "phr_gAAAAAAAAAc"),
            "é".repeat(text.len() / 2),
        ] {
            assert!(Presented::parse(&text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_token_comes_back_and_any_other_letter_makes_it_a_stranger(
            number in 1..i64::MAX,
            generation: u32,
            at in PREFIX.len()..PREFIX.len() + TOKEN_LETTERS,
            letter in "[A-Za-z0-9_-]",
        ) {
            let (keys, secret) = (FamilyKeys::random(), Secret::random());
            let token = keys.token(login(number), generation, &secret);
            let presented = Presented::parse(token.as_str()).unwrap();
            prop_assert_eq!((presented.login, presented.generation), (login(number), generation));
            prop_assert!(secret.hash().is_of(&presented.secret) && keys.made(&presented));
            prop_assert!(!FamilyKeys::random().made(&presented));

            let mut text = token.as_str().to_owned();
            text.replace_range(at..=at, &letter);
            let is_another = text != token.as_str();
            if let Some(presented) = Presented::parse(&text) {
                prop_assert_eq!(keys.made(&presented), !is_another);
            }
        }

        #[test]
        fn no_text_panics(text in "phr_[A-Za-z0-9_-]{80}|.*") {
            let _ = Presented::parse(&text);
        }
    }
}
