//! What the database has of a key, its request and its answer: nothing that is of use without the key and the fleet's secret.
//!
//! HKDF (RFC 5869) extracts from both what all else is expanded from: the digest by which the key is found, and for each row, with
//! its salt, a key of HMAC-SHA-256 for the request and one of AES-256-GCM for the answer. The secret is in it because a client may
//! choose a key that can be guessed: the request holds a password, and a hash of it that anybody can compute would try passwords
//! thousands of times faster than the account's own.

use std::{fmt::Write as _, sync::Arc};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    hkdf, hmac,
};

use super::IdempotencyKey;

pub(super) const SALT_BYTES: usize = 16;
const KEY_BYTES: usize = 32;

/// The fleet's part; cheap to clone.
#[derive(Clone)]
pub(super) struct Secret(Arc<hkdf::Salt>);

/// What is made of one idempotency key.
pub(super) struct Material(hkdf::Prk);

/// What is made of it for one row.
pub(super) struct RowKeys {
    request: [u8; KEY_BYTES],
    answer: [u8; KEY_BYTES],
}

/// What is stored was not sealed with these keys, or not as an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not what was stored")]
pub(crate) struct Unreadable;

impl Secret {
    pub(super) fn new(secret: &[u8]) -> Self {
        Self(Arc::new(hkdf::Salt::new(hkdf::HKDF_SHA256, secret)))
    }

    pub(super) fn material(&self, key: &IdempotencyKey) -> Material {
        Material(self.0.extract(key.as_bytes()))
    }
}

impl Material {
    /// By which the key is found, in hexadecimal digits.
    pub(super) fn digest(&self) -> String {
        self.expand(&[b"digest"]).iter().fold(String::new(), |mut digits, byte| {
            write!(digits, "{byte:02x}").expect("a string takes any text");
            digits
        })
    }

    pub(super) fn row_keys(&self, salt: &[u8]) -> RowKeys {
        RowKeys { request: self.expand(&[b"request", salt]), answer: self.expand(&[b"answer", salt]) }
    }

    fn expand(&self, info: &[&[u8]]) -> [u8; KEY_BYTES] {
        let mut bytes = [0; KEY_BYTES];
        let expanded = self.0.expand(info, hkdf::HKDF_SHA256).and_then(|expanded| expanded.fill(&mut bytes));
        expanded.expect("HKDF gives as much as its hash has");
        bytes
    }
}

impl RowKeys {
    pub(super) fn fingerprint(&self, payload: &[u8]) -> Vec<u8> {
        hmac::sign(&self.request(), payload).as_ref().to_vec()
    }

    /// Whether a fingerprint is that of a payload, in the same time whatever it is.
    pub(super) fn is_fingerprint(&self, payload: &[u8], fingerprint: &[u8]) -> bool {
        hmac::verify(&self.request(), payload, fingerprint).is_ok()
    }

    /// Encrypts an answer: a random nonce, then the text with its tag.
    pub(super) fn seal(&self, mut text: Vec<u8>) -> Vec<u8> {
        let nonce = self.answer().seal_in_place_append_tag(Aad::empty(), &mut text);
        let nonce = nonce.expect("an answer is shorter than what AES-GCM takes");
        [&nonce.as_ref()[..], &text].concat()
    }

    pub(super) fn open(&self, mut sealed: Vec<u8>) -> Result<Vec<u8>, Unreadable> {
        let (nonce, text) = sealed.split_first_chunk_mut::<NONCE_LEN>().ok_or(Unreadable)?;
        let text = self.answer().open_in_place(Nonce::from(&*nonce), Aad::empty(), text);
        text.map(|text| text.to_vec()).map_err(|_| Unreadable)
    }

    fn request(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.request)
    }

    fn answer(&self) -> RandomizedNonceKey {
        RandomizedNonceKey::new(&AES_256_GCM, &self.answer).expect("AES-256 has keys of 32 bytes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn material(secret: &str, key: &str) -> Material {
        Secret::new(secret.as_bytes()).material(&IdempotencyKey::parse(key.as_bytes()).unwrap())
    }

    #[test]
    fn only_secret_key_and_salt_together_open_what_they_sealed() {
        let keys = material("secret", "key").row_keys(b"salt");
        let sealed = keys.seal(b"answer".to_vec());
        assert!(!sealed.windows(6).any(|window| window == b"answer"));
        assert_ne!(sealed, keys.seal(b"answer".to_vec()), "nonces differ");
        for (secret, key, salt, opened) in [
            ("secret", "key", "salt", Ok(b"answer".to_vec())),
            ("other", "key", "salt", Err(Unreadable)),
            ("secret", "other", "salt", Err(Unreadable)),
            ("secret", "key", "other", Err(Unreadable)),
        ] {
            let keys = material(secret, key).row_keys(salt.as_bytes());
            assert_eq!(keys.open(sealed.clone()), opened, "{secret} {key} {salt}");
            let fingerprint = material("secret", "key").row_keys(b"salt").fingerprint(b"request");
            assert_eq!(
                keys.is_fingerprint(b"request", &fingerprint),
                opened.is_ok(),
                "{secret} {key} {salt}"
            );
            assert!(!keys.is_fingerprint(b"another", &fingerprint));
        }
    }

    #[test]
    fn a_damaged_answer_is_not_opened() {
        let keys = material("secret", "key").row_keys(b"salt");
        let sealed = keys.seal(b"answer".to_vec());
        for length in 0..sealed.len() {
            assert_eq!(keys.open(sealed[..length].to_vec()), Err(Unreadable), "{length}");
            let mut flipped = sealed.clone();
            flipped[length] ^= 1;
            assert_eq!(keys.open(flipped), Err(Unreadable), "{length}");
        }
    }

    #[test]
    fn a_digest_is_that_of_one_key_under_one_secret() {
        let digest = material("secret", "key").digest();
        assert_eq!(digest.len(), 2 * KEY_BYTES);
        assert_eq!(digest, material("secret", "key").digest());
        assert_ne!(digest, material("secret", "keys").digest());
        assert_ne!(digest, material("secrets", "key").digest());
    }
}
