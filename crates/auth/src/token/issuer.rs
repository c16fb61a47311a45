//! Signs tokens.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use super::{Subject, Terms, payload::TYPE};
use crate::keys::KeyRing;

/// A token of ours is no longer: it fits a header line wherever it goes.
pub const TOKEN_BYTES_MAX: usize = 4096;
const TOKEN_ID_BYTES: usize = 16;

/// What a token is to say does not fit one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token would have {bytes} bytes, at most {TOKEN_BYTES_MAX} are allowed")]
pub struct TokenTooLong {
    /// How many it would have.
    pub bytes: usize,
}

/// Signs tokens.
#[derive(Clone, Debug)]
pub struct Issuer {
    ring: KeyRing,
    terms: Terms,
    lifetime: Duration,
}

impl Issuer {
    /// An issuer of tokens that live for `lifetime`, in whole seconds.
    #[must_use]
    pub fn new(ring: KeyRing, terms: Terms, lifetime: Duration) -> Self {
        Self { ring, terms, lifetime }
    }

    /// For how long its tokens live.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// An access token for `subject`, valid from `now`, in Unix seconds. Its length follows from the subject's.
    ///
    /// # Panics
    /// When the system has no randomness, which is a broken machine.
    #[must_use]
    pub fn issue(&self, subject: &Subject<'_>, now: u64) -> String {
        self.signed(subject, Map::new(), now)
    }

    /// The same with further claims. Those of `subject`, of the terms and the times take precedence over others of their name.
    ///
    /// # Errors
    /// When the token gets longer than [`TOKEN_BYTES_MAX`].
    pub fn issue_with(
        &self,
        subject: &Subject<'_>,
        further: Map<String, Value>,
        now: u64,
    ) -> Result<String, TokenTooLong> {
        let token = self.signed(subject, further, now);
        if token.len() > TOKEN_BYTES_MAX { Err(TokenTooLong { bytes: token.len() }) } else { Ok(token) }
    }

    fn signed(&self, subject: &Subject<'_>, mut payload: Map<String, Value>, now: u64) -> String {
        let mut claim = |name: &str, value| payload.insert(name.to_owned(), value);
        let texts = [
            ("iss", self.terms.issuer.as_deref()),
            ("aud", self.terms.audience.as_deref()),
            ("sub", Some(subject.subject)),
            ("sid", subject.session),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                claim(name, json!(text));
            }
        }
        claim("sv", json!(subject.epoch));
        match subject.roles {
            [] => None,
            [role] => claim("role", json!(role)),
            roles => claim("role", json!(roles)),
        };
        claim("iat", json!(now));
        claim("nbf", json!(now));
        claim("exp", json!(now.saturating_add(self.lifetime.as_secs())));
        claim("jti", json!(token_id()));

        let (kid, key) = self.ring.current();
        let mut header = json!({ "typ": TYPE, "alg": key.algorithm().as_str() });
        if let Some(kid) = kid {
            header["kid"] = json!(kid);
        }
        let message = format!("{}.{}", encoded(&header), encoded(&Value::Object(payload)));
        let signature = key.sign(message.as_bytes());
        format!("{message}.{signature}")
    }
}

fn encoded(json: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(json.to_string())
}

/// 128 random bits, in hexadecimal digits.
fn token_id() -> String {
    let mut bytes = [0; TOKEN_ID_BYTES];
    getrandom::fill(&mut bytes).expect("the kernel's random numbers are there from boot");
    format!("{:032x}", u128::from_be_bytes(bytes))
}
