//! Tokens, made by hand: a test says what stands in them, also what no issuer writes.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use phalanx_telemetry::clock;
use serde_json::{Value, json};
use sha2::Sha256;

const SECRET: &str = "known to the tests and the gateway";

/// What takes these tokens.
pub(crate) const AUTH: &str =
    "[auth]\nissuer = \"https://id\"\naudience = \"api\"\nsecret = \"known to the tests and the gateway\"";

/// A token of account 7, in its login 9, with these roles.
pub(crate) fn token(roles: &[&str]) -> String {
    let mut payload = payload();
    payload["role"] = json!(roles);
    signed(&json!({ "typ": "at+jwt", "alg": "HS256" }), &payload)
}

/// What a good token without roles says.
pub(crate) fn payload() -> Value {
    let now = clock::unix_seconds();
    json!({
        "iss": "https://id", "aud": "api", "sub": "7", "sid": "9", "sv": 0, "iat": now, "nbf": now, "exp": now + 600,
        "jti": "x",
    })
}

/// These parts, signed with the secret, whatever algorithm they name.
pub(crate) fn signed(header: &Value, payload: &Value) -> String {
    signed_with(SECRET.as_bytes(), header, payload)
}

/// These parts, signed with another secret.
pub(crate) fn signed_with(secret: &[u8], header: &Value, payload: &Value) -> String {
    let encoded = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
    let message = format!("{}.{}", encoded(header), encoded(payload));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key of any length will do");
    mac.update(message.as_bytes());
    format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}
