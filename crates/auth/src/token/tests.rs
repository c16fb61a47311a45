use jsonwebtoken::{Algorithm, EncodingKey, Header};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const NOW: u64 = 1_800_000_000;
const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

fn terms() -> TokenTerms {
    TokenTerms { issuer: "phalanx".to_owned(), audience: "api".to_owned() }
}

fn key() -> TokenKey {
    TokenKey::from_secret(SECRET).unwrap()
}

fn issue() -> String {
    Issuer::new(key(), terms(), Duration::from_secs(600)).issue("42", Role::User, NOW)
}

fn verify(token: &str) -> Result<Claims, TokenError> {
    Verifier::new(key(), terms()).verify(token.as_bytes(), NOW)
}

fn good_header() -> Value {
    json!({ "typ": "at+jwt", "alg": "HS256" })
}

fn good_claims() -> Value {
    json!({
        "sub": "42", "role": "user", "iss": "phalanx", "aud": "api",
        "iat": NOW, "nbf": NOW, "exp": NOW + 600, "jti": "1",
    })
}

/// Signs any header and payload with the true key.
fn signed(header: &str, payload: &str) -> String {
    let message = format!("{}.{}", base64url(header.as_bytes()), base64url(payload.as_bytes()));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key().signing, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

fn with(base: Value, name: &str, value: Value) -> String {
    let mut object = base;
    object[name] = value;
    object.to_string()
}

fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits =
            chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            text.push(char::from(DIGITS[(bits >> (18 - 6 * digit) & 63) as usize]));
        }
    }
    text
}

#[test]
fn an_issued_token_is_accepted_until_the_second_it_expires() {
    let token = issue();
    let verifier = Verifier::new(key(), terms());
    let claims = verifier.verify(token.as_bytes(), NOW + 599).unwrap();
    assert_eq!((claims.subject.as_str(), claims.role, claims.expires_at), ("42", Role::User, NOW + 600));
    assert_eq!(claims.token_id.len(), 2 * TOKEN_ID_BYTES);
    assert_eq!(verifier.verify(token.as_bytes(), NOW + 600), Err(TokenError::Expired));
    assert_eq!(
        verifier.verify(token.as_bytes(), NOW - NOT_BEFORE_SKEW_SECONDS).map(|claims| claims.issued_at),
        Ok(NOW)
    );
    assert_eq!(
        verifier.verify(token.as_bytes(), NOW - NOT_BEFORE_SKEW_SECONDS - 1),
        Err(TokenError::Invalid)
    );
    assert_eq!(verifier.verify(token.as_bytes(), 0), Err(TokenError::Invalid));
    assert_eq!(verifier.verify(token.as_bytes(), u64::MAX), Err(TokenError::Expired));
}

#[test]
fn two_tokens_differ_in_their_id() {
    assert_ne!(verify(&issue()).unwrap().token_id, verify(&issue()).unwrap().token_id);
}

#[test]
fn a_short_secret_is_refused() {
    assert_eq!(TokenKey::from_secret(&SECRET[1..]).err(), Some(WeakSecret { bytes: 31 }));
}

#[test]
fn the_reference_token_of_these_tests_is_valid() {
    verify(&signed(&good_header().to_string(), &good_claims().to_string())).unwrap();
    verify(&signed(&good_header().to_string(), &with(good_claims(), "later", json!([1])))).unwrap();
    verify(&signed(&with(good_header(), "typ", json!("AT+JWT")), &good_claims().to_string())).unwrap();
}

#[test]
fn every_claim_is_required_in_its_own_type() {
    let others = [
        Value::Null,
        json!(true),
        json!(-1),
        json!(1.5),
        json!(u64::MAX),
        json!("x"),
        json!(""),
        json!(["api"]),
        json!({}),
    ];
    for (name, good) in good_claims().as_object().unwrap() {
        let mut lacking = good_claims();
        lacking.as_object_mut().unwrap().remove(name);
        let token = signed(&good_header().to_string(), &lacking.to_string());
        assert_eq!(verify(&token), Err(TokenError::Invalid), "without {name}");
        for other in &others {
            let fits = match name.as_str() {
                "jti" => other.is_string(),
                "sub" => other.as_str().is_some_and(|subject| !subject.is_empty()),
                "iat" | "exp" => other.is_u64(),
                _ => false,
            };
            let token = signed(&good_header().to_string(), &with(good_claims(), name, other.clone()));
            assert_eq!(verify(&token).is_ok(), fits, "{name} = {other}, not {good}");
        }
    }
}

#[test]
fn a_claim_that_comes_twice_is_refused() {
    let payload = good_claims().to_string().replacen('{', "{\"sub\":\"1\",", 1);
    assert_eq!(verify(&signed(&good_header().to_string(), &payload)), Err(TokenError::Invalid));
}

#[test]
fn foreign_headers_are_refused_however_well_they_are_signed() {
    let cases = [
        ("typ", json!("JWT")),
        ("typ", Value::Null),
        ("crit", json!([])),
        ("crit", json!(["exp"])),
        ("alg", json!("none")),
        ("alg", json!("NONE")),
        ("alg", json!("HS384")),
        ("alg", json!("RS256")),
        ("alg", json!("ES256")),
        ("alg", json!("HS257")),
        ("alg", Value::Null),
    ];
    for (name, value) in cases {
        let token = signed(&with(good_header(), name, value.clone()), &good_claims().to_string());
        assert_eq!(verify(&token), Err(TokenError::Invalid), "{name} = {value}");
    }
}

#[test]
fn hints_at_other_keys_change_nothing() {
    for (name, value) in [
        ("kid", json!("../../dev/null")),
        ("kid", json!("x".repeat(1024))),
        ("jku", json!("http://127.0.0.1:1/keys")),
        ("x5u", json!("http://127.0.0.1:1/keys")),
    ] {
        verify(&signed(&with(good_header(), name, value), &good_claims().to_string())).unwrap();
    }
}

#[test]
fn other_keys_and_broken_signatures_are_refused() {
    let header = Header { typ: Some(TYPE.to_owned()), ..Header::new(Algorithm::HS256) };
    for secret in [&b""[..], b"x", &[0; 32], &SECRET[..31]] {
        let token = jsonwebtoken::encode(&header, &good_claims(), &EncodingKey::from_secret(secret)).unwrap();
        assert_eq!(verify(&token), Err(TokenError::Invalid));
    }
    let token = issue();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let (head, payload) = message.split_once('.').unwrap();
    for broken in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "....".to_owned(),
        message.to_owned(),
        format!("{message}."),
        format!("{token}="),
        format!("{token} "),
        format!(" {token}"),
        format!("{token}."),
        format!("{token}.{signature}.{signature}"),
        format!("{message}.{}", &signature[..42]),
        format!("{message}.{}", base64url(&[0; 32])),
        format!("{head}.{signature}.{payload}"),
        "x".repeat(1 << 20),
    ] {
        assert_eq!(verify(&broken), Err(TokenError::Invalid), "{}", &broken[..broken.len().min(80)]);
    }
}

#[test]
fn no_single_changed_byte_is_accepted() {
    let token = issue().into_bytes();
    let verifier = Verifier::new(key(), terms());
    for position in 0..token.len() {
        for byte in [b'A', b'_', b'.', b'=', 0, 0xff] {
            let mut changed = token.clone();
            if std::mem::replace(&mut changed[position], byte) != byte {
                assert!(verifier.verify(&changed, NOW).is_err(), "byte {position} = {byte:#x}");
            }
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_are_accepted(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(Verifier::new(key(), terms()).verify(&bytes, NOW).is_err());
    }

    #[test]
    fn no_unsigned_parts_are_accepted(
        header in "[A-Za-z0-9_-]{0,80}", payload in "[A-Za-z0-9_-]{0,200}", signature in "[A-Za-z0-9_-]{43}",
    ) {
        let real_header = base64url(good_header().to_string().as_bytes());
        for header in [header, real_header] {
            let token = format!("{header}.{payload}.{signature}");
            prop_assert!(verify(&token).is_err());
        }
    }

    #[test]
    fn no_signed_payload_panics(header in ".{0,80}", payload in ".{0,200}") {
        prop_assert!(verify(&signed(&header, &payload)).is_err());
        prop_assert!(verify(&signed(&good_header().to_string(), &payload)).is_err());
    }
}
