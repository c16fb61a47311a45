//! What holds of tokens whatever the bytes are.
//!
//! The tests of `phalanx-auth` include this file, so that the corpus runs through it on every `cargo test`.

use aws_lc_rs::hmac;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use phalanx_auth::{Claims, KeyRing, Keys, Terms, TokenTypes, Verifier, parts, verify_signature};
use serde_json::Value;

const NOW: u64 = 1_800_000_000;
const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

/// The bytes are no token; signed as a payload, or under them as a header, they are one that keeps its promises, or none.
pub fn token(bytes: &[u8]) {
    let keys = KeyRing::from_secret(SECRET).expect("it is long enough").key_set();
    let terms = Terms { issuer: None, audience: None, types: TokenTypes::AnyJwt };
    let verifier = Verifier::new(Keys::fixed(keys.clone()), terms);
    assert!(verifier.verify(bytes, NOW).is_err() && verify_signature(bytes, &keys).is_err());
    let _ = parts(bytes);

    let token = signed(br#"{"alg":"HS256"}"#, bytes);
    // A payload beyond what a token may have is the one thing that such a signature does not help.
    if let Ok(payload) = verify_signature(&token, &keys) {
        assert_eq!(payload, bytes);
    }
    let first = verifier.verify(&token, NOW);
    assert_eq!(first, verifier.verify(&token, NOW), "what is remembered is what was found");
    if let Ok(claims) = &first {
        is_what_it_says(claims, bytes);
    }
    if verify_signature(&signed(bytes, b"{}"), &keys).is_ok() {
        let header: Value = serde_json::from_slice(bytes).expect("a header is JSON");
        assert_eq!(header["alg"], "HS256");
        for member in ["crit", "b64", "zip"] {
            assert!(header.get(member).is_none(), "{header}");
        }
    }
}

/// The claims are those that any reader of JSON finds.
fn is_what_it_says(claims: &Claims, payload: &[u8]) {
    let payload: Value = serde_json::from_slice(payload).expect("a payload is JSON");
    assert_eq!(payload["sub"].as_str(), Some(&*claims.subject));
    assert_eq!(payload["exp"].as_u64(), Some(claims.expires_at));
    assert!(claims.expires_at > NOW && claims.issued_at <= NOW + 60, "{claims:?}");
    assert_eq!(payload.get("sid").and_then(Value::as_str), claims.session.as_deref());
    assert_eq!(payload.get("sv").map_or(0, |epoch| epoch.as_u64().expect("an integer")), claims.epoch);
    let texts = [&claims.subject].into_iter().chain(&claims.session).chain(&claims.roles);
    for text in texts {
        assert!(!text.is_empty() && !text.contains(char::is_control), "{claims:?}");
    }
    assert!(claims.roles.iter().all(|role| !role.contains(',')), "{claims:?}");
}

fn signed(header: &[u8], payload: &[u8]) -> Vec<u8> {
    let encoded = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let message = format!("{}.{}", encoded(header), encoded(payload));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), message.as_bytes());
    format!("{message}.{}", encoded(signature.as_ref())).into_bytes()
}
