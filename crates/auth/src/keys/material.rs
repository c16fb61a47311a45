//! What keys are made of, checked when it is read, and the only place that asks the library to sign or to verify.
//!
//! `jsonwebtoken` computes; it takes keys of any size, points off their curves and private keys that do not belong to the public
//! one, so `aws-lc-rs`, on which it stands, is asked about each key first.

use std::{collections::BTreeMap, fmt};

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED,
        ECDSA_P384_SHA384_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, ParsedPublicKey, RsaKeyPair,
        RsaPublicKeyComponents,
    },
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{DecodingKey, EncodingKey, crypto};
use serde_json::{Map, Value};

use super::{
    Algorithm,
    algorithm::KeyKind,
    der,
    jwk::{KeyFault, text},
};

/// Below, factoring is within reach (RFC 7518, section 3.3).
const RSA_BITS_MIN: usize = 2048;
/// Above, one verification takes milliseconds.
const RSA_BITS_MAX: usize = 8192;
const ED25519_BYTES: usize = 32;

/// Members of a JWK that say what the key is, by name, in base64url where they are bytes. Their order is that of RFC 7638.
pub(super) type Members = BTreeMap<&'static str, String>;

/// What verifies: a public key or a secret, and its one algorithm.
#[derive(Clone)]
pub(crate) struct VerifyingKey {
    algorithm: Algorithm,
    key: DecodingKey,
    members: Members,
}

/// What signs: a private key or a secret, and its one algorithm.
#[derive(Clone)]
pub(crate) struct SigningKey {
    algorithm: Algorithm,
    key: EncodingKey,
    /// The private members alone; none for a secret, which is all in the verifying key.
    members: Members,
}

impl VerifyingKey {
    /// The key in these members of a JWK.
    pub(super) fn read(algorithm: Algorithm, jwk: &Map<String, Value>) -> Result<Self, KeyFault> {
        let (key, members) = match algorithm.kind() {
            KeyKind::Secret => secret(algorithm, jwk)?,
            KeyKind::Rsa => rsa(jwk)?,
            KeyKind::P256 => elliptic(jwk, "P-256")?,
            KeyKind::P384 => elliptic(jwk, "P-384")?,
            KeyKind::Ed25519 => edwards(jwk)?,
        };
        Ok(Self { algorithm, key, members })
    }

    /// A secret for HS256.
    pub(super) fn of_secret(secret: &[u8]) -> Self {
        let members = [("kty", "oct".to_owned()), ("k", BASE64_URL_SAFE_NO_PAD.encode(secret))];
        Self { algorithm: Algorithm::HS256, key: DecodingKey::from_secret(secret), members: members.into() }
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its members; among them, the secret of a symmetric key.
    pub(super) fn members(&self) -> &Members {
        &self.members
    }

    /// Whether `signature`, in base64url, is one of `message` by this key.
    pub(super) fn verifies(&self, message: &[u8], signature: &str) -> bool {
        // An error is a signature that is no base64url: the key was checked.
        crypto::verify(signature, message, &self.key, self.algorithm.of_library()).unwrap_or(false)
    }
}

/// Two are the same if they verify the same.
impl PartialEq for VerifyingKey {
    fn eq(&self, other: &Self) -> bool {
        (self.algorithm, &self.members) == (other.algorithm, &other.members)
    }
}

impl Eq for VerifyingKey {}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "VerifyingKey({})", self.algorithm)
    }
}

impl SigningKey {
    /// The private part of the same JWK; `None` if there is none.
    pub(super) fn read(public: &VerifyingKey, jwk: &Map<String, Value>) -> Result<Option<Self>, KeyFault> {
        let algorithm = public.algorithm;
        let private = if algorithm.is_symmetric() { "k" } else { "d" };
        if !jwk.contains_key(private) {
            return Ok(None);
        }
        let (key, names) = match algorithm.kind() {
            KeyKind::Secret => (EncodingKey::from_secret(&bytes(jwk, "k")?), &[][..]),
            KeyKind::Rsa => (rsa_private(jwk)?, &["d", "p", "q", "dp", "dq", "qi"][..]),
            KeyKind::P256 => (elliptic_private(jwk, &ECDSA_P256_SHA256_FIXED_SIGNING)?, &["d"][..]),
            KeyKind::P384 => (elliptic_private(jwk, &ECDSA_P384_SHA384_FIXED_SIGNING)?, &["d"][..]),
            KeyKind::Ed25519 => (edwards_private(jwk)?, &["d"][..]),
        };
        let member = |name: &&'static str| Ok((*name, text(jwk, name)?.to_owned()));
        let members = names.iter().map(member).collect::<Result<_, KeyFault>>()?;
        Ok(Some(Self { algorithm, key, members }))
    }

    /// A secret for HS256.
    pub(super) fn of_secret(secret: &[u8]) -> Self {
        let key = EncodingKey::from_secret(secret);
        Self { algorithm: Algorithm::HS256, key, members: Members::new() }
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its private members.
    pub(super) fn members(&self) -> &Members {
        &self.members
    }

    /// The signature of `message`, in base64url.
    pub(crate) fn sign(&self, message: &[u8]) -> String {
        crypto::sign(message, &self.key, self.algorithm.of_library())
            .expect("the key was checked when it was read, and signs anything")
    }

    /// What nobody else has: the secret, or the private exponent as the JWK writes it.
    pub(super) fn private_bytes(&self) -> &[u8] {
        self.members.get("d").map_or(self.key.as_bytes(), String::as_bytes)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SigningKey({})", self.algorithm)
    }
}

/// The bytes of a member in base64url, without padding and with nothing in unused bits: one text for each key.
fn bytes(jwk: &Map<String, Value>, member: &'static str) -> Result<Vec<u8>, KeyFault> {
    BASE64_URL_SAFE_NO_PAD.decode(text(jwk, member)?).map_err(|_| KeyFault::Encoding { member })
}

fn kept(jwk: &Map<String, Value>, names: &[&'static str]) -> Result<Members, KeyFault> {
    names.iter().map(|name| Ok((*name, text(jwk, name)?.to_owned()))).collect()
}

fn secret(algorithm: Algorithm, jwk: &Map<String, Value>) -> Result<(DecodingKey, Members), KeyFault> {
    let secret = bytes(jwk, "k")?;
    let bytes_min = algorithm.secret_bytes_min();
    if secret.len() < bytes_min {
        return Err(KeyFault::WeakSecret { bytes: secret.len(), bytes_min });
    }
    Ok((DecodingKey::from_secret(&secret), kept(jwk, &["kty", "k"])?))
}

fn rsa(jwk: &Map<String, Value>) -> Result<(DecodingKey, Members), KeyFault> {
    let (modulus, exponent) = (bytes(jwk, "n")?, bytes(jwk, "e")?);
    for (member, number) in [("n", &modulus), ("e", &exponent)] {
        if number.first().is_none_or(|first| *first == 0) {
            return Err(KeyFault::Encoding { member });
        }
    }
    let bits = modulus.len() * 8 - modulus.first().map_or(0, |first| first.leading_zeros() as usize);
    if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
        return Err(KeyFault::RsaSize { bits });
    }
    // An even modulus or exponent belongs to no key, and with 1 as exponent everybody signs.
    let odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
    if !odd(&modulus) || !odd(&exponent) || exponent == [1] || exponent.len() > 4 {
        return Err(KeyFault::RsaNumbers);
    }
    let components = RsaPublicKeyComponents { n: &modulus, e: &exponent };
    components
        .to_parsed_public_key(&aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256)
        .map_err(|_| KeyFault::RsaNumbers)?;
    let key = DecodingKey::from_rsa_raw_components(&modulus, &exponent);
    Ok((key, kept(jwk, &["kty", "n", "e"])?))
}

fn rsa_private(jwk: &Map<String, Value>) -> Result<EncodingKey, KeyFault> {
    let part = |member| bytes(jwk, member);
    let public_key = RsaPublicKeyComponents { n: part("n")?, e: part("e")? };
    let key = RsaKeyPair::from_components(&aws_lc_rs::rsa::KeyPairComponents {
        public_key,
        d: part("d")?,
        p: part("p")?,
        q: part("q")?,
        dP: part("dp")?,
        dQ: part("dq")?,
        qInv: part("qi")?,
    });
    let der: Pkcs8V1Der<'_> =
        key.map_err(|_| KeyFault::Inconsistent)?.as_der().map_err(|_| KeyFault::Inconsistent)?;
    der::rsa_private_key(der.as_ref()).map(EncodingKey::from_rsa_der).ok_or(KeyFault::Inconsistent)
}

/// The point of an elliptic curve as SEC 1 writes it, uncompressed. Each coordinate has as many bytes as the curve's field.
fn point(jwk: &Map<String, Value>) -> Result<Vec<u8>, KeyFault> {
    let bytes_wanted = if text(jwk, "crv")? == "P-384" { 48 } else { 32 };
    let mut point = vec![0x04];
    for member in ["x", "y"] {
        let coordinate = bytes(jwk, member)?;
        if coordinate.len() != bytes_wanted {
            return Err(KeyFault::Encoding { member });
        }
        point.extend_from_slice(&coordinate);
    }
    Ok(point)
}

fn elliptic(jwk: &Map<String, Value>, curve: &str) -> Result<(DecodingKey, Members), KeyFault> {
    let algorithm = if curve == "P-384" { &ECDSA_P384_SHA384_FIXED } else { &ECDSA_P256_SHA256_FIXED };
    let point = point(jwk)?;
    ParsedPublicKey::new(algorithm, &point).map_err(|_| KeyFault::OffCurve)?;
    Ok((DecodingKey::from_ec_der(&point), kept(jwk, &["kty", "crv", "x", "y"])?))
}

fn elliptic_private(
    jwk: &Map<String, Value>,
    algorithm: &'static aws_lc_rs::signature::EcdsaSigningAlgorithm,
) -> Result<EncodingKey, KeyFault> {
    let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, &bytes(jwk, "d")?, &point(jwk)?);
    let der = pair.map_err(|_| KeyFault::Inconsistent)?.to_pkcs8v1().map_err(|_| KeyFault::Inconsistent)?;
    Ok(EncodingKey::from_ec_der(der.as_ref()))
}

fn edwards(jwk: &Map<String, Value>) -> Result<(DecodingKey, Members), KeyFault> {
    let public = bytes(jwk, "x")?;
    if public.len() != ED25519_BYTES {
        return Err(KeyFault::Encoding { member: "x" });
    }
    ParsedPublicKey::new(&ED25519, &public).map_err(|_| KeyFault::OffCurve)?;
    Ok((DecodingKey::from_ed_der(&public), kept(jwk, &["kty", "crv", "x"])?))
}

fn edwards_private(jwk: &Map<String, Value>) -> Result<EncodingKey, KeyFault> {
    let pair = Ed25519KeyPair::from_seed_and_public_key(&bytes(jwk, "d")?, &bytes(jwk, "x")?);
    let der = pair.map_err(|_| KeyFault::Inconsistent)?.to_pkcs8v1().map_err(|_| KeyFault::Inconsistent)?;
    Ok(EncodingKey::from_ed_der(der.as_ref()))
}
