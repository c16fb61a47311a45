//! One JSON Web Key: what it says about itself, and whether that can be used here.

use serde_json::{Map, Value};

use super::{
    Algorithm,
    algorithm::KeyKind,
    material::{SigningKey, VerifyingKey},
};

/// A longer `kid` is refused, in keys and in tokens.
pub(crate) const KID_BYTES_MAX: usize = 256;

/// Why a key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFault {
    /// A member that such a key must have is not there, or has another JSON type.
    #[error("`{member}` is missing or no text")]
    Member {
        /// Its name.
        member: &'static str,
    },
    /// A member is not in canonical base64url, or has the wrong length.
    #[error("`{member}` is not base64url of the right length")]
    Encoding {
        /// Its name.
        member: &'static str,
    },
    /// `kty`, `crv` or `alg` name something that is not known here.
    #[error("`{member}` is `{value}`, which is not supported")]
    Unsupported {
        /// Its name.
        member: &'static str,
        /// What it says.
        value: String,
    },
    /// `alg` is no algorithm of such a key.
    #[error("such a key is not one for {algorithm}")]
    AlgorithmMismatch {
        /// What `alg` says.
        algorithm: Algorithm,
    },
    /// The caller wants other algorithms.
    #[error("it is for {algorithm}, which is not asked for")]
    NotAllowed {
        /// What the key is for.
        algorithm: Algorithm,
    },
    /// `use` or `key_ops` say that it is for something else.
    #[error("`use` or `key_ops` do not let it {purpose}")]
    Purpose {
        /// "verify" or "sign".
        purpose: &'static str,
    },
    /// A secret is shorter than the hash it is used with.
    #[error("the secret has {bytes} bytes, at least {bytes_min} are needed")]
    WeakSecret {
        /// How many it has.
        bytes: usize,
        /// How many it must have.
        bytes_min: usize,
    },
    /// An RSA key is too small to be safe or too big to be fast.
    #[error("an RSA key of {bits} bits, where 2048 to 8192 are accepted")]
    RsaSize {
        /// How many its modulus has.
        bits: usize,
    },
    /// Modulus and exponent are those of no RSA key.
    #[error("modulus and exponent are those of no RSA key")]
    RsaNumbers,
    /// The point is not on the curve.
    #[error("the point is not on its curve")]
    OffCurve,
    /// The private part does not belong to the public one.
    #[error("private and public part do not belong together")]
    Inconsistent,
}

/// What a key lets itself be used for, as far as it says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Purposes {
    pub(super) verifies: bool,
    pub(super) signs: bool,
}

/// A key of a set.
#[derive(Clone, Debug)]
pub(super) struct Jwk {
    pub(super) kid: Option<String>,
    pub(super) verifying: VerifyingKey,
    /// None where the private part is absent.
    pub(super) signing: Option<SigningKey>,
    pub(super) purposes: Purposes,
}

impl Jwk {
    /// Reads a key. `algorithm` is what it is used with if it does not say it.
    pub(super) fn read(jwk: &Map<String, Value>, algorithm: Option<Algorithm>) -> Result<Self, KeyFault> {
        let kind = kind(jwk)?;
        let algorithm = match jwk.get("alg") {
            None => algorithm.unwrap_or(kind.default_algorithm()),
            Some(_) => {
                let name = text(jwk, "alg")?;
                Algorithm::of(name).ok_or_else(|| unsupported("alg", name))?
            }
        };
        if algorithm.kind() != kind {
            return Err(KeyFault::AlgorithmMismatch { algorithm });
        }
        let kid = match jwk.get("kid") {
            None => None,
            Some(Value::String(kid)) if kid.len() <= KID_BYTES_MAX => Some(kid.clone()),
            Some(_) => return Err(KeyFault::Member { member: "kid" }),
        };
        let purposes = purposes(jwk)?;
        let verifying = VerifyingKey::read(algorithm, jwk)?;
        let signing = SigningKey::read(&verifying, jwk)?;
        Ok(Self { kid, verifying, signing, purposes })
    }
}

/// What the key is made of.
pub(super) fn kind(jwk: &Map<String, Value>) -> Result<KeyKind, KeyFault> {
    match text(jwk, "kty")? {
        "oct" => Ok(KeyKind::Secret),
        "RSA" => Ok(KeyKind::Rsa),
        "EC" => match text(jwk, "crv")? {
            "P-256" => Ok(KeyKind::P256),
            "P-384" => Ok(KeyKind::P384),
            curve => Err(unsupported("crv", curve)),
        },
        "OKP" => match text(jwk, "crv")? {
            "Ed25519" => Ok(KeyKind::Ed25519),
            curve => Err(unsupported("crv", curve)),
        },
        kind => Err(unsupported("kty", kind)),
    }
}

/// A member that must be there, as text.
pub(super) fn text<'a>(jwk: &'a Map<String, Value>, member: &'static str) -> Result<&'a str, KeyFault> {
    jwk.get(member).and_then(Value::as_str).ok_or(KeyFault::Member { member })
}

/// RFC 7517, sections 4.2 and 4.3: absent, a key is for everything; present, for what is named and nothing else.
fn purposes(jwk: &Map<String, Value>) -> Result<Purposes, KeyFault> {
    let for_signatures = match jwk.get("use") {
        None => true,
        Some(_) => text(jwk, "use")? == "sig",
    };
    let lists = |operation: &str| match jwk.get("key_ops") {
        None => Ok(true),
        Some(Value::Array(operations)) if operations.iter().all(Value::is_string) => {
            Ok(operations.iter().any(|listed| listed == operation))
        }
        Some(_) => Err(KeyFault::Member { member: "key_ops" }),
    };
    Ok(Purposes { verifies: for_signatures && lists("verify")?, signs: for_signatures && lists("sign")? })
}

fn unsupported(member: &'static str, value: &str) -> KeyFault {
    KeyFault::Unsupported { member, value: value.chars().take(KID_BYTES_MAX).collect() }
}
