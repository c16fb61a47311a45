//! The public side: the keys that tokens are verified with.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    Algorithm,
    jwk::{Jwk, KeyFault, kind},
    material::VerifyingKey,
};
use crate::json;

/// A longer key set is refused unread. That of a large provider has some 10 KiB.
pub const JWKS_BYTES_MAX: usize = 256 * 1024;
/// A set with more keys is refused.
pub const KEYS_MAX: usize = 100;
/// A token that names no key is tried with so many; each costs up to a verification.
const CANDIDATES_MAX: usize = 8;

/// Keys that verify; immutable. At most [`KEYS_MAX`], all symmetric or all asymmetric.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<SetKey>,
    passed_over: Vec<PassedOver>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SetKey {
    pub(super) kid: Option<String>,
    pub(super) key: VerifyingKey,
}

/// A key of a set that cannot be used here. The others can (RFC 7517, section 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// How the set names it.
    pub kid: Option<String>,
    /// Why it cannot.
    pub fault: KeyFault,
}

/// Why there is no key set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeySetError {
    /// It is longer than a key set is.
    #[error("the key set has more than {JWKS_BYTES_MAX} bytes")]
    TooLong,
    /// It is no JSON object, repeats a name, or is neither a set nor a key.
    #[error("it is neither a JSON Web Key nor a set of them, or repeats a name")]
    Malformed,
    /// It has more than [`KEYS_MAX`].
    #[error("the key set has more than {KEYS_MAX} keys")]
    TooMany,
    /// Secrets and public keys are in one set: one taken for the other would let anybody sign.
    #[error("the key set mixes secrets with public keys")]
    Mixed,
    /// None can be used.
    #[error("no key of the set can be used")]
    NothingUsable {
        /// All of them, and why.
        passed_over: Vec<PassedOver>,
    },
}

/// Why no key of a set verifies a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignatureError {
    /// It may be by a key that the set does not have.
    UnknownKey,
    /// The key is for another algorithm than the token says.
    Algorithm,
    /// It is not one of any key that it could be of.
    Forged,
}

impl KeySet {
    /// Reads a set, or a single key. Private parts are passed over; keys that cannot be used are in [`KeySet::passed_over`].
    ///
    /// # Errors
    /// [`KeySetError`]; also if there are keys and none can be used. A set without any is a set.
    pub fn from_jwks(text: &str) -> Result<Self, KeySetError> {
        Self::restricted(text, &[])
    }

    /// The same for some algorithms alone, which also are those of keys that do not say theirs. An empty list allows all.
    ///
    /// # Errors
    /// As [`KeySet::from_jwks`].
    pub fn restricted(text: &str, allowed: &[Algorithm]) -> Result<Self, KeySetError> {
        let mut set = Self::default();
        for jwk in &members(text)? {
            match read(jwk, allowed) {
                Ok(keys) => set.keys.extend(keys),
                Err(fault) => {
                    let kid = jwk.get("kid").and_then(Value::as_str).map(str::to_owned);
                    set.passed_over.push(PassedOver { kid, fault });
                }
            }
        }
        set.checked()
    }

    pub(super) fn of(keys: Vec<SetKey>) -> Self {
        Self { keys, passed_over: Vec::new() }
    }

    fn checked(self) -> Result<Self, KeySetError> {
        let mut symmetric = self.keys.iter().map(|key| key.key.algorithm().is_symmetric());
        let first = symmetric.next();
        if symmetric.any(|other| Some(other) != first) {
            return Err(KeySetError::Mixed);
        }
        if self.keys.is_empty() && !self.passed_over.is_empty() {
            return Err(KeySetError::NothingUsable { passed_over: self.passed_over });
        }
        Ok(self)
    }

    /// Whether no token can be verified with it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether its keys are secrets, so that whoever has them can sign.
    #[must_use]
    pub fn is_symmetric(&self) -> bool {
        self.keys.iter().any(|key| key.key.algorithm().is_symmetric())
    }

    /// How many keys can be used.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// The keys that cannot be used.
    #[must_use]
    pub fn passed_over(&self) -> &[PassedOver] {
        &self.passed_over
    }

    /// The set as `/.well-known/jwks.json` shows it. Secrets are not shown: a symmetric set gives an empty one.
    #[must_use]
    pub fn to_public_jwks(&self) -> String {
        let public = self.keys.iter().filter(|key| !key.key.algorithm().is_symmetric());
        let keys: Vec<_> = public.map(|key| Value::Object(described(key.kid.as_deref(), &key.key))).collect();
        json!({ "keys": keys }).to_string()
    }

    /// Whether a key that the set has signed `message`; `signature` is in base64url. A `kid` decides which keys are asked, and is
    /// nothing but a name: with one that no key has, those that have none.
    pub(crate) fn verify(
        &self,
        algorithm: Algorithm,
        kid: Option<&str>,
        message: &[u8],
        signature: &str,
    ) -> Result<(), SignatureError> {
        let named = self.keys.iter().any(|key| kid.is_some() && key.kid.as_deref() == kid);
        let asked = |key: &&SetKey| match kid {
            Some(_) if named => key.kid.as_deref() == kid,
            Some(_) => key.kid.is_none(),
            None => true,
        };
        let candidates = self.keys.iter().filter(asked).filter(|key| key.key.algorithm() == algorithm);
        let mut error = match (named, kid) {
            (false, Some(_)) => SignatureError::UnknownKey,
            (false, None) if self.keys.is_empty() => SignatureError::UnknownKey,
            _ => SignatureError::Algorithm,
        };
        for candidate in candidates.take(CANDIDATES_MAX) {
            if candidate.key.verifies(message, signature) {
                return Ok(());
            }
            error = SignatureError::Forged;
        }
        Err(error)
    }
}

/// Two are the same if they verify the same.
impl PartialEq for KeySet {
    fn eq(&self, other: &Self) -> bool {
        self.keys == other.keys
    }
}

impl Eq for KeySet {}

/// The keys of a text: a set's, or the one that it is.
pub(super) fn members(text: &str) -> Result<Vec<Map<String, Value>>, KeySetError> {
    if text.len() > JWKS_BYTES_MAX {
        return Err(KeySetError::TooLong);
    }
    let mut object = json::object(text.as_bytes()).map_err(|_| KeySetError::Malformed)?;
    let keys = match object.remove("keys") {
        Some(Value::Array(keys)) => keys,
        None if object.contains_key("kty") => vec![Value::Object(object)],
        _ => return Err(KeySetError::Malformed),
    };
    if keys.len() > KEYS_MAX {
        return Err(KeySetError::TooMany);
    }
    let object = |key| if let Value::Object(key) = key { Ok(key) } else { Err(KeySetError::Malformed) };
    keys.into_iter().map(object).collect()
}

/// A key, once for each algorithm that it may be used with: one, unless it does not say which and several are allowed.
fn read(jwk: &Map<String, Value>, allowed: &[Algorithm]) -> Result<Vec<SetKey>, KeyFault> {
    let kind = kind(jwk)?;
    let mut named: Vec<_> =
        allowed.iter().copied().filter(|algorithm| algorithm.kind() == kind).map(Some).collect();
    if jwk.contains_key("alg") || named.is_empty() {
        named = vec![None];
    }
    named.into_iter().map(|algorithm| usable(Jwk::read(jwk, algorithm)?, allowed)).collect()
}

fn usable(jwk: Jwk, allowed: &[Algorithm]) -> Result<SetKey, KeyFault> {
    let algorithm = jwk.verifying.algorithm();
    if !jwk.purposes.verifies {
        return Err(KeyFault::Purpose { purpose: "verify" });
    }
    if !allowed.is_empty() && !allowed.contains(&algorithm) {
        return Err(KeyFault::NotAllowed { algorithm });
    }
    Ok(SetKey { kid: jwk.kid, key: jwk.verifying })
}

/// The JWK of a key, its secret included if it is one.
pub(super) fn described(kid: Option<&str>, key: &VerifyingKey) -> Map<String, Value> {
    let members = key.members().iter().map(|(name, value)| ((*name).to_owned(), json!(value)));
    let mut jwk: Map<String, Value> = members.collect();
    jwk.insert("alg".to_owned(), json!(key.algorithm().as_str()));
    jwk.insert("use".to_owned(), json!("sig"));
    if let Some(kid) = kid {
        jwk.insert("kid".to_owned(), json!(kid));
    }
    jwk
}

/// The SHA-256 of what makes the key, in base64url (RFC 7638). Members are sorted and none of their texts needs an escape.
pub(super) fn thumbprint(key: &VerifyingKey) -> String {
    let members: Vec<_> =
        key.members().iter().map(|(name, value)| format!("\"{name}\":\"{value}\"")).collect();
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(format!("{{{}}}", members.join(","))))
}
