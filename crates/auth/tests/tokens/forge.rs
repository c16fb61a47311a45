//! Signs what no honest issuer would. It shares no code with what it tests: keys are made and used by `aws-lc-rs` itself.

use aws_lc_rs::{
    encoding::AsBigEndian,
    hmac,
    rand::SystemRandom,
    signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use phalanx_auth::{Fault, KeySet, Keys, Terms, TokenError, TokenTypes, Verifier};
use serde_json::{Value, json};

pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A private key outside of the crate, with one of the algorithms that it can be used with.
pub(crate) enum Forge {
    Secret(hmac::Algorithm, Vec<u8>),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Edwards(Ed25519KeyPair),
    Rsa(&'static dyn signature::RsaEncoding, Box<RsaKeyPair>),
}

impl Forge {
    pub(crate) fn p256() -> Self {
        Self::P256(EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(crate) fn p384() -> Self {
        Self::P384(EcdsaKeyPair::generate(&signature::ECDSA_P384_SHA384_FIXED_SIGNING).unwrap())
    }

    pub(crate) fn edwards() -> Self {
        Self::Edwards(Ed25519KeyPair::generate().unwrap())
    }

    pub(crate) fn rsa(encoding: &'static dyn signature::RsaEncoding) -> Self {
        Self::Rsa(encoding, Box::new(RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap()))
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Secret(algorithm, secret) => {
                hmac::sign(&hmac::Key::new(*algorithm, secret), message).as_ref().to_vec()
            }
            Self::P256(pair) | Self::P384(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Edwards(pair) => pair.sign(message).as_ref().to_vec(),
            Self::Rsa(encoding, pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }

    /// The public key as a JWK, or the secret.
    pub(crate) fn jwk(&self) -> Value {
        match self {
            Self::Secret(_, secret) => json!({ "kty": "oct", "k": base64url(secret) }),
            Self::P256(pair) | Self::P384(pair) => {
                let (x, y) =
                    pair.public_key().as_ref()[1..].split_at((pair.public_key().as_ref().len() - 1) / 2);
                let curve = if x.len() == 32 { "P-256" } else { "P-384" };
                json!({ "kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y) })
            }
            Self::Edwards(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(pair.public_key().as_ref()) })
            }
            Self::Rsa(_, pair) => {
                let key = signature::RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({ "kty": "RSA", "n": base64url(&key.n), "e": base64url(&key.e) })
            }
        }
    }

    /// The private part of an elliptic or Edwards key.
    pub(crate) fn private(&self) -> String {
        match self {
            Self::P256(pair) | Self::P384(pair) => {
                base64url(pair.private_key().as_be_bytes().unwrap().as_ref())
            }
            Self::Edwards(pair) => base64url(pair.seed().unwrap().as_be_bytes().unwrap().as_ref()),
            Self::Secret(..) | Self::Rsa(..) => unreachable!("no test asks"),
        }
    }

    /// A token of any bytes.
    pub(crate) fn token(&self, header: &str, payload: &[u8]) -> String {
        let message = format!("{}.{}", base64url(header.as_bytes()), base64url(payload));
        format!("{message}.{}", base64url(&self.sign(message.as_bytes())))
    }
}

pub(crate) fn hs256() -> Forge {
    Forge::Secret(hmac::HMAC_SHA256, SECRET.to_vec())
}

pub(crate) fn base64url(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn terms(types: TokenTypes) -> Terms {
    Terms { issuer: Some("phalanx".to_owned()), audience: Some("api".to_owned()), types }
}

pub(crate) fn good_claims() -> Value {
    json!({
        "sub": "42", "sid": "7", "sv": 3, "role": "user", "iss": "phalanx", "aud": "api",
        "iat": NOW, "nbf": NOW, "exp": NOW + 600, "jti": "1",
    })
}

/// With another member, or with another value of it.
pub(crate) fn with(base: &Value, name: &str, value: Value) -> Value {
    let mut object = base.clone();
    object[name] = value;
    object
}

pub(crate) fn without(base: &Value, name: &str) -> Value {
    let mut object = base.clone();
    object.as_object_mut().unwrap().remove(name);
    object
}

pub(crate) fn verifier(jwks: &Value, types: TokenTypes) -> Verifier {
    Verifier::new(Keys::fixed(KeySet::from_jwks(&jwks.to_string()).unwrap()), terms(types))
}

/// What is wrong with a token, in a word: nothing, or its fault.
pub(crate) fn outcome<T>(result: Result<T, TokenError>) -> Result<(), Fault> {
    match result.map(drop) {
        Ok(()) => Ok(()),
        Err(TokenError::Invalid(fault)) => Err(fault),
        Err(other) => panic!("{other:?}"),
    }
}
