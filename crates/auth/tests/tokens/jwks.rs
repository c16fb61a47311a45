//! Key sets of others: what is used, what is passed over, what is refused as a whole.

use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use phalanx_auth::{
    Algorithm, Fault, KEYS_MAX, KeyFault, KeySet, KeySetError, Keys, TokenError, TokenTypes, Verifier,
    verify_signature,
};
use serde_json::{Value, json};

use crate::forge::{Forge, NOW, SECRET, base64url, good_claims, hs256, terms, with, without};

fn fault(jwk: &Value) -> Option<KeyFault> {
    match KeySet::from_jwks(&jwk.to_string()) {
        Ok(_) => None,
        Err(KeySetError::NothingUsable { passed_over }) => Some(passed_over[0].fault.clone()),
        Err(error) => panic!("{jwk}: {error}"),
    }
}

fn set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

#[test]
fn a_key_is_checked_when_it_is_read() {
    let (p256, p384, edwards, rsa) = (
        Forge::p256().jwk(),
        Forge::p384().jwk(),
        Forge::edwards().jwk(),
        Forge::rsa(&RSA_PKCS1_SHA256).jwk(),
    );
    let secret = hs256().jwk();
    let encoding = |member| Some(KeyFault::Encoding { member });
    let member = |member| Some(KeyFault::Member { member });
    let unsupported = |member, value: &str| Some(KeyFault::Unsupported { member, value: value.to_owned() });
    let modulus =
        |bytes: usize, last: u8| base64url(&[&[0xc5][..], &vec![0x11; bytes - 2], &[last]].concat());
    let cases = [
        (p256.clone(), None),
        (p384.clone(), None),
        (edwards.clone(), None),
        (rsa.clone(), None),
        (secret.clone(), None),
        // Another point, the point at infinity, the coordinates of another curve.
        (with(&p256, "y", p256["x"].clone()), Some(KeyFault::OffCurve)),
        (
            with(&with(&p256, "x", json!(base64url(&[0; 32]))), "y", json!(base64url(&[0; 32]))),
            Some(KeyFault::OffCurve),
        ),
        (
            with(&with(&p256, "x", json!(base64url(&[0xff; 32]))), "y", json!(base64url(&[0xff; 32]))),
            Some(KeyFault::OffCurve),
        ),
        (with(&p384, "crv", json!("P-256")), encoding("x")),
        (with(&p256, "crv", json!("P-384")), encoding("x")),
        (with(&p256, "crv", json!("P-521")), unsupported("crv", "P-521")),
        (with(&p256, "crv", json!("secp256k1")), unsupported("crv", "secp256k1")),
        (with(&p256, "x", json!(base64url(&[1; 31]))), encoding("x")),
        (with(&p256, "y", json!(base64url(&[0; 33]))), encoding("y")),
        (without(&p256, "y"), member("y")),
        (without(&p256, "crv"), member("crv")),
        (with(&edwards, "x", json!(base64url(&[1; 31]))), encoding("x")),
        (with(&edwards, "crv", json!("X25519")), unsupported("crv", "X25519")),
        (with(&rsa, "n", json!(modulus(128, 1))), Some(KeyFault::RsaSize { bits: 1024 })),
        (with(&rsa, "n", json!(modulus(1025, 1))), Some(KeyFault::RsaSize { bits: 8200 })),
        (with(&rsa, "n", json!(modulus(256, 2))), Some(KeyFault::RsaNumbers)),
        (with(&rsa, "n", json!(base64url(&[0; 256]))), encoding("n")),
        (with(&rsa, "n", json!("")), encoding("n")),
        (with(&rsa, "e", json!("AQ")), Some(KeyFault::RsaNumbers)),
        (with(&rsa, "e", json!("AAEAAQ")), encoding("e")),
        (with(&rsa, "e", json!("Ag")), Some(KeyFault::RsaNumbers)),
        (with(&rsa, "e", json!(base64url(&[0xff; 256]))), Some(KeyFault::RsaNumbers)),
        (with(&rsa, "e", json!(65537)), member("e")),
        (with(&rsa, "n", json!(format!("{}=", rsa["n"].as_str().unwrap()))), encoding("n")),
        (
            with(&secret, "k", json!(base64url(&SECRET[..31]))),
            Some(KeyFault::WeakSecret { bytes: 31, bytes_min: 32 }),
        ),
        (
            with(&with(&secret, "k", json!(base64url(&SECRET[..47]))), "alg", json!("HS384")),
            Some(KeyFault::WeakSecret { bytes: 47, bytes_min: 48 }),
        ),
        (
            with(&with(&secret, "k", json!(base64url(&SECRET[..63]))), "alg", json!("HS512")),
            Some(KeyFault::WeakSecret { bytes: 63, bytes_min: 64 }),
        ),
        (with(&secret, "k", json!("")), Some(KeyFault::WeakSecret { bytes: 0, bytes_min: 32 })),
        (with(&p256, "kty", json!("ec")), unsupported("kty", "ec")),
        (with(&p256, "kty", json!(null)), member("kty")),
        (
            with(&p256, "alg", json!("ES384")),
            Some(KeyFault::AlgorithmMismatch { algorithm: Algorithm::ES384 }),
        ),
        (
            with(&p256, "alg", json!("HS256")),
            Some(KeyFault::AlgorithmMismatch { algorithm: Algorithm::HS256 }),
        ),
        (
            with(&rsa, "alg", json!("HS256")),
            Some(KeyFault::AlgorithmMismatch { algorithm: Algorithm::HS256 }),
        ),
        (with(&rsa, "alg", json!("RSA-OAEP")), unsupported("alg", "RSA-OAEP")),
        (with(&rsa, "alg", json!("none")), unsupported("alg", "none")),
        (with(&rsa, "alg", json!(null)), member("alg")),
        (with(&rsa, "use", json!("sig")), None),
        (with(&rsa, "use", json!("enc")), Some(KeyFault::Purpose { purpose: "verify" })),
        (with(&rsa, "use", json!(1)), member("use")),
        (with(&rsa, "key_ops", json!(["verify"])), None),
        (with(&rsa, "key_ops", json!(["sign", "verify"])), None),
        (with(&rsa, "key_ops", json!(["sign"])), Some(KeyFault::Purpose { purpose: "verify" })),
        (with(&rsa, "key_ops", json!([])), Some(KeyFault::Purpose { purpose: "verify" })),
        (with(&rsa, "key_ops", json!("verify")), member("key_ops")),
        (with(&rsa, "kid", json!(7)), member("kid")),
        (with(&rsa, "kid", json!("x".repeat(257))), member("kid")),
        (with(&rsa, "x5c", json!(["ignored"])), None),
    ];
    for (jwk, expected) in cases {
        assert_eq!(fault(&jwk), expected, "{jwk}");
    }
}

#[test]
fn a_private_part_belongs_to_its_public_one() {
    for (forge, other) in
        [(Forge::p256(), Forge::p256()), (Forge::p384(), Forge::p384()), (Forge::edwards(), Forge::edwards())]
    {
        assert_eq!(fault(&with(&forge.jwk(), "d", json!(forge.private()))), None);
        assert_eq!(fault(&with(&forge.jwk(), "d", json!(other.private()))), Some(KeyFault::Inconsistent));
        assert_eq!(fault(&with(&forge.jwk(), "d", json!("AA"))), Some(KeyFault::Inconsistent));
    }
}

#[test]
fn one_bad_key_does_not_spoil_a_set() {
    let good = with(&Forge::p256().jwk(), "kid", json!("good"));
    let bad = with(&with(&good, "y", good["x"].clone()), "kid", json!("bad"));
    let foreign = json!({ "kty": "AKP", "kid": "foreign", "alg": "ML-DSA-44", "pub": "AA" });
    let read = KeySet::from_jwks(&set(&[foreign, good, bad])).unwrap();
    assert_eq!((read.len(), read.is_empty()), (1, false));
    let passed_over: Vec<_> =
        read.passed_over().iter().map(|key| (key.kid.as_deref().unwrap(), key.fault.to_string())).collect();
    assert_eq!(
        passed_over,
        [
            ("foreign", "`kty` is `AKP`, which is not supported".to_owned()),
            ("bad", "the point is not on its curve".to_owned())
        ]
    );
}

#[test]
fn a_set_is_refused_as_a_whole_when_it_is_none() {
    let key = Forge::p256().jwk();
    for text in [
        "",
        "null",
        "[]",
        "{}",
        "\"x\"",
        r#"{"keys":{}}"#,
        r#"{"keys":[1]}"#,
        r#"{"keys":[],"keys":[]}"#,
        "{\"keys\":[]} x",
    ] {
        assert_eq!(KeySet::from_jwks(text), Err(KeySetError::Malformed), "{text}");
    }
    let twice = key.to_string().replacen('{', r#"{"kty":"EC","#, 1);
    assert_eq!(KeySet::from_jwks(&twice), Err(KeySetError::Malformed));
    assert_eq!(KeySet::from_jwks(&format!("{{\"keys\":[{twice}]}}")), Err(KeySetError::Malformed));
    assert_eq!(KeySet::from_jwks(&set(&[key.clone(), hs256().jwk()])), Err(KeySetError::Mixed));
    assert_eq!(KeySet::from_jwks(&set(&vec![key.clone(); KEYS_MAX + 1])), Err(KeySetError::TooMany));
    assert_eq!(KeySet::from_jwks(&set(&vec![key; KEYS_MAX])).unwrap().len(), KEYS_MAX);
    assert_eq!(KeySet::from_jwks(&" ".repeat(300_000)), Err(KeySetError::TooLong));
    assert!(KeySet::from_jwks(r#"{"keys":[]}"#).unwrap().is_empty());
}

#[test]
fn a_name_chooses_the_key_and_a_key_without_a_name_answers_for_any() {
    let (a, b, nameless) = (Forge::edwards(), Forge::edwards(), Forge::edwards());
    let named = |forge: &Forge, kid: &str| with(&forge.jwk(), "kid", json!(kid));
    let sets = [
        vec![named(&a, "a"), named(&b, "b")],
        vec![named(&a, "a"), nameless.jwk()],
        vec![named(&a, "a"), with(&Forge::p256().jwk(), "kid", json!("a"))],
        vec![],
    ];
    let forged = Err(TokenError::Invalid(Fault::Signature));
    let cases = [
        (0, &a, Some("a"), Ok(())),
        (0, &b, Some("b"), Ok(())),
        (0, &a, Some("b"), forged),
        (0, &a, Some("A"), Err(TokenError::UnknownKey)),
        (0, &a, Some(""), Err(TokenError::UnknownKey)),
        (0, &a, None, Ok(())),
        (0, &b, None, Ok(())),
        (0, &nameless, None, forged),
        (1, &nameless, Some("c"), Ok(())),
        (1, &a, Some("c"), forged),
        (1, &nameless, Some("a"), forged),
        (1, &a, None, Ok(())),
        // Two keys of one name: the algorithm tells them apart.
        (2, &a, Some("a"), Ok(())),
        (3, &a, Some("a"), Err(TokenError::UnknownKey)),
        (3, &a, None, Err(TokenError::UnknownKey)),
    ];
    for (index, forge, kid, expected) in cases {
        let header = match kid {
            Some(kid) => json!({ "alg": "EdDSA", "kid": kid }),
            None => json!({ "alg": "EdDSA" }),
        };
        let token = forge.token(&header.to_string(), good_claims().to_string().as_bytes());
        let keys = KeySet::from_jwks(&set(&sets[index])).unwrap();
        let verifier = Verifier::new(Keys::fixed(keys), terms(TokenTypes::AnyJwt));
        assert_eq!(verifier.verify(token.as_bytes(), NOW).map(|_| ()), expected, "set {index}, {kid:?}");
    }
    // A key of that name is for another algorithm.
    let keys = KeySet::from_jwks(&set(&[with(&Forge::p256().jwk(), "kid", json!("a"))])).unwrap();
    let token = a.token(r#"{"alg":"EdDSA","kid":"a"}"#, b"");
    assert_eq!(verify_signature(token.as_bytes(), &keys), Err(TokenError::Invalid(Fault::Algorithm)));
}

#[test]
fn a_nameless_token_is_tried_with_a_bounded_number_of_keys() {
    let forges: Vec<_> = (0..12).map(|_| Forge::edwards()).collect();
    let keys = KeySet::from_jwks(&set(&forges.iter().map(Forge::jwk).collect::<Vec<_>>())).unwrap();
    let verified: Vec<_> = forges
        .iter()
        .map(|forge| verify_signature(forge.token(r#"{"alg":"EdDSA"}"#, b"").as_bytes(), &keys).is_ok())
        .collect();
    assert_eq!(verified, [[true; 8].as_slice(), &[false; 4]].concat());
}

#[test]
fn a_restriction_names_the_algorithm_only_of_keys_that_do_not_say_theirs() {
    let rsa = Forge::rsa(&aws_lc_rs::signature::RSA_PSS_SHA256);
    let verifies = |jwk: &Value, allowed: &[Algorithm]| {
        let token = rsa.token(r#"{"alg":"PS256"}"#, b"");
        KeySet::restricted(&jwk.to_string(), allowed)
            .ok()
            .map(|set| verify_signature(token.as_bytes(), &set).is_ok())
    };
    let ps256 = with(&rsa.jwk(), "alg", json!("PS256"));
    for (jwk, allowed, expected) in [
        (rsa.jwk(), &[][..], Some(false)),
        (rsa.jwk(), &[Algorithm::PS256], Some(true)),
        (rsa.jwk(), &[Algorithm::RS256, Algorithm::PS256], Some(true)),
        (rsa.jwk(), &[Algorithm::HS256], None),
        (ps256.clone(), &[], Some(true)),
        (ps256.clone(), &[Algorithm::PS256], Some(true)),
        (ps256, &[Algorithm::RS256], None),
    ] {
        assert_eq!(verifies(&jwk, allowed), expected, "{jwk} {allowed:?}");
    }
}
