//! Keys out of the system's randomness.

use aws_lc_rs::{
    encoding::{AsBigEndian as _, AsDer as _, Curve25519SeedBin, EcPrivateKeyBin, Pkcs8V1Der},
    error::Unspecified,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaKeyPair,
    },
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use super::{Algorithm, RingKey, algorithm::KeyKind, der, jwk::Jwk, ring::KeyState, set::thumbprint};

/// A fresh private key or secret for an algorithm, named by its thumbprint (RFC 7638), or at random if it is a secret. RSA keys
/// have 2048 bits. Takes up to a second for those.
///
/// # Panics
/// When the system has no randomness or no memory, which is a broken machine.
#[must_use]
pub fn generate(algorithm: Algorithm) -> RingKey {
    let members = members(algorithm).expect("the kernel's random numbers are there from boot");
    let mut object: Map<String, Value> =
        members.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
    object.insert("alg".to_owned(), json!(algorithm.as_str()));
    let mut jwk = Jwk::read(&object, None).expect("a key that was just made is a good one");
    // The thumbprint of a secret would be a hash of it, for everybody to see.
    jwk.kid =
        Some(if algorithm.is_symmetric() { encoded(&random::<12>()) } else { thumbprint(&jwk.verifying) });
    RingKey { jwk, state: KeyState::Current }
}

type Members = Vec<(&'static str, String)>;

fn members(algorithm: Algorithm) -> Result<Members, Unspecified> {
    match algorithm.kind() {
        KeyKind::Secret => {
            let secret: [u8; 64] = random();
            Ok(vec![("kty", "oct".to_owned()), ("k", encoded(&secret[..algorithm.secret_bytes_min()]))])
        }
        KeyKind::Rsa => rsa(),
        KeyKind::P256 => elliptic(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
        KeyKind::P384 => elliptic(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
        KeyKind::Ed25519 => edwards(),
    }
}

fn rsa() -> Result<Members, Unspecified> {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048)?;
    let pkcs8: Pkcs8V1Der<'_> = pair.as_der()?;
    let numbers = der::rsa_private_key(pkcs8.as_ref()).and_then(der::rsa_numbers).ok_or(Unspecified)?;
    let names = ["n", "e", "d", "p", "q", "dp", "dq", "qi"];
    let mut members = vec![("kty", "RSA".to_owned())];
    members.extend(names.into_iter().zip(numbers.map(encoded)));
    Ok(members)
}

fn elliptic(algorithm: &'static EcdsaSigningAlgorithm, curve: &str) -> Result<Members, Unspecified> {
    let pair = EcdsaKeyPair::generate(algorithm)?;
    let private: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes()?;
    // SEC 1, uncompressed: a byte that says so, then both coordinates.
    let coordinates = &pair.public_key().as_ref()[1..];
    let (x, y) = coordinates.split_at(coordinates.len() / 2);
    Ok(vec![
        ("kty", "EC".to_owned()),
        ("crv", curve.to_owned()),
        ("x", encoded(x)),
        ("y", encoded(y)),
        ("d", encoded(private.as_ref())),
    ])
}

fn edwards() -> Result<Members, Unspecified> {
    let pair = Ed25519KeyPair::generate()?;
    let seed: Curve25519SeedBin<'_> = pair.seed()?.as_be_bytes()?;
    Ok(vec![
        ("kty", "OKP".to_owned()),
        ("crv", "Ed25519".to_owned()),
        ("x", encoded(pair.public_key().as_ref())),
        ("d", encoded(seed.as_ref())),
    ])
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the kernel's random numbers are there from boot");
    bytes
}

fn encoded(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
