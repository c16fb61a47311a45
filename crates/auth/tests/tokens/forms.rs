//! Forms, headers and signatures: the classes of faults that Wycheproof tries, with keys made here.

use aws_lc_rs::signature::{
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
};
use phalanx_auth::{
    Fault, KeySet, Keys, TOKEN_BYTES_VERIFIED_MAX, TokenError, TokenTypes, Verifier, verify_signature,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::forge::{Forge, NOW, SECRET, base64url, good_claims, hs256, outcome, terms, verifier, with};

fn header(algorithm: &str) -> Value {
    json!({ "typ": "at+jwt", "alg": algorithm })
}

/// What an access token of this header is, signed with the true key.
fn judged(header: &str) -> Result<(), TokenError> {
    let forge = hs256();
    let token = forge.token(header, good_claims().to_string().as_bytes());
    verifier(&forge.jwk(), TokenTypes::AccessToken).verify(token.as_bytes(), NOW).map(|_| ())
}

#[test]
fn every_algorithm_verifies_what_another_program_signed() {
    let hmac = |algorithm| Forge::Secret(algorithm, SECRET.to_vec());
    for (algorithm, forge) in [
        ("HS256", hmac(aws_lc_rs::hmac::HMAC_SHA256)),
        ("HS384", hmac(aws_lc_rs::hmac::HMAC_SHA384)),
        ("HS512", hmac(aws_lc_rs::hmac::HMAC_SHA512)),
        ("RS256", Forge::rsa(&RSA_PKCS1_SHA256)),
        ("RS384", Forge::rsa(&RSA_PKCS1_SHA384)),
        ("RS512", Forge::rsa(&RSA_PKCS1_SHA512)),
        ("PS256", Forge::rsa(&RSA_PSS_SHA256)),
        ("PS384", Forge::rsa(&RSA_PSS_SHA384)),
        ("PS512", Forge::rsa(&RSA_PSS_SHA512)),
        ("ES256", Forge::p256()),
        ("ES384", Forge::p384()),
        ("EdDSA", Forge::edwards()),
    ] {
        let jwk = with(&forge.jwk(), "alg", json!(algorithm));
        let claims = good_claims().to_string();
        let verifier = verifier(&jwk, TokenTypes::AccessToken);
        let token = forge.token(&header(algorithm).to_string(), claims.as_bytes());
        verifier.verify(token.as_bytes(), NOW).unwrap();
        let payload = verify_signature(
            forge.token(&header(algorithm).to_string(), b"\xff any").as_bytes(),
            &KeySet::from_jwks(&jwk.to_string()).unwrap(),
        );
        assert_eq!(payload.as_deref(), Ok(&b"\xff any"[..]), "{algorithm}");
        // The same key under every other name.
        for other in phalanx_auth::Algorithm::ALL.map(phalanx_auth::Algorithm::as_str) {
            if other != algorithm {
                let token = forge.token(&header(other).to_string(), claims.as_bytes());
                assert_eq!(
                    outcome(verifier.verify(token.as_bytes(), NOW)),
                    Err(Fault::Algorithm),
                    "{algorithm} as {other}"
                );
            }
        }
        // Every bit that decides is looked at.
        let (message, signature) = token.rsplit_once('.').unwrap();
        let signature = forge_bytes(signature);
        for position in [0, signature.len() / 2, signature.len() - 1] {
            let mut bent = signature.clone();
            bent[position] ^= 1;
            assert_eq!(
                outcome(verifier.verify(format!("{message}.{}", base64url(&bent)).as_bytes(), NOW)),
                Err(Fault::Signature),
                "{algorithm}"
            );
        }
        for cut in [
            &signature[1..],
            &signature[..signature.len() - 1],
            &[],
            &[&signature[..], &[0]].concat(),
            &[&[0], &signature[..]].concat(),
        ] {
            assert_eq!(
                outcome(verifier.verify(format!("{message}.{}", base64url(cut)).as_bytes(), NOW)),
                Err(Fault::Signature),
                "{algorithm}"
            );
        }
    }
}

fn forge_bytes(text: &str) -> Vec<u8> {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
}

#[test]
fn a_curve_point_cannot_be_signed_for_with_zeros_or_its_order() {
    // The order of P-256 and a number below it, as r or s.
    let order = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
        0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let mut one = [0; 32];
    one[31] = 1;
    let forge = Forge::p256();
    let verifier = verifier(&forge.jwk(), TokenTypes::AccessToken);
    let token = forge.token(&header("ES256").to_string(), good_claims().to_string().as_bytes());
    let (message, _) = token.rsplit_once('.').unwrap();
    for r in [[0; 32], one, order, [0xff; 32]] {
        for s in [[0; 32], one, order, [0xff; 32]] {
            let token = format!("{message}.{}", base64url(&[r, s].concat()));
            assert_eq!(outcome(verifier.verify(token.as_bytes(), NOW)), Err(Fault::Signature), "{r:?} {s:?}");
        }
    }
}

#[test]
fn a_public_key_is_no_secret() {
    let forge = Forge::rsa(&RSA_PKCS1_SHA256);
    let jwk = forge.jwk();
    let verifier = verifier(&jwk, TokenTypes::AccessToken);
    // Whatever an attacker takes for the secret: the modulus, its text, the JWK.
    for secret in [
        forge_bytes(jwk["n"].as_str().unwrap()),
        jwk["n"].to_string().into_bytes(),
        jwk.to_string().into_bytes(),
    ] {
        let confused = Forge::Secret(aws_lc_rs::hmac::HMAC_SHA256, secret);
        for algorithm in ["HS256", "RS256"] {
            let token = confused.token(&header(algorithm).to_string(), good_claims().to_string().as_bytes());
            let expected = if algorithm == "HS256" { Fault::Algorithm } else { Fault::Signature };
            assert_eq!(outcome(verifier.verify(token.as_bytes(), NOW)), Err(expected));
        }
    }
}

#[test]
fn a_header_is_an_object_that_asks_for_nothing_unknown() {
    for (header, expected) in [
        (r#"{"typ":"at+jwt","alg":"HS256"}"#, Ok(())),
        ("{\"typ\":\"at+jwt\",\r\n \"alg\":\"HS256\"}", Ok(())),
        (r#"{"typ":"AT+JWT","alg":"HS256"}"#, Ok(())),
        (r#"{"typ":"application/at+jwt","alg":"HS256","cty":"json","x":[1]}"#, Ok(())),
        (r#"{"typ":"JWT","alg":"HS256"}"#, Err(Fault::Type)),
        (r#"{"typ":"id+jwt","alg":"HS256"}"#, Err(Fault::Type)),
        (r#"{"alg":"HS256"}"#, Err(Fault::Type)),
        (r#"{"typ":null,"alg":"HS256"}"#, Err(Fault::Header)),
        (r#"{"typ":["at+jwt"],"alg":"HS256"}"#, Err(Fault::Header)),
        (r#"{"typ":"at+jwt"}"#, Err(Fault::Header)),
        (r#"{"typ":"at+jwt","alg":null}"#, Err(Fault::Header)),
        (r#"{"typ":"at+jwt","alg":256}"#, Err(Fault::Header)),
        (r#"{"typ":"at+jwt","alg":["HS256"]}"#, Err(Fault::Header)),
        (r#"{"typ":"at+jwt","alg":""}"#, Err(Fault::Algorithm)),
        (r#"{"typ":"at+jwt","alg":"none"}"#, Err(Fault::Algorithm)),
        (r#"{"typ":"at+jwt","alg":"nOnE"}"#, Err(Fault::Algorithm)),
        (r#"{"typ":"at+jwt","alg":"hs256"}"#, Err(Fault::Algorithm)),
        (r#"{"typ":"at+jwt","alg":"HS256 "}"#, Err(Fault::Algorithm)),
        (r#"{"typ":"at+jwt","alg":"HS257"}"#, Err(Fault::Algorithm)),
        (r#"{"typ":"at+jwt","alg":"ES256"}"#, Err(Fault::Algorithm)),
        (r#"{"typ":"at+jwt","alg":"ES256K"}"#, Err(Fault::Algorithm)),
        (r#"{"typ":"at+jwt","alg":"none","alg":"HS256"}"#, Err(Fault::Header)),
        (r#"{"typ":"at+jwt","alg":"HS256","alg":"HS256"}"#, Err(Fault::Header)),
        (r#"{"typ":"at+jwt","alg":"HS256","kid":"a","kid":"a"}"#, Err(Fault::Header)),
        (r#"{"typ":"at+jwt","alg":"HS256","x":{"y":1,"y":1}}"#, Err(Fault::Header)),
        (r#"{"typ":"at+jwt","alg":"HS256","crit":["exp"],"exp":1}"#, Err(Fault::Extension)),
        (r#"{"typ":"at+jwt","alg":"HS256","crit":[]}"#, Err(Fault::Extension)),
        (r#"{"typ":"at+jwt","alg":"HS256","crit":null}"#, Err(Fault::Extension)),
        (r#"{"typ":"at+jwt","alg":"HS256","b64":true}"#, Err(Fault::Extension)),
        (r#"{"typ":"at+jwt","alg":"HS256","b64":false,"crit":["b64"]}"#, Err(Fault::Extension)),
        (r#"{"typ":"at+jwt","alg":"HS256","zip":"DEF"}"#, Err(Fault::Extension)),
        (r#"{"typ":"at+jwt","alg":"HS256"}x"#, Err(Fault::Header)),
        (r#"["HS256"]"#, Err(Fault::Header)),
        ("", Err(Fault::Header)),
    ] {
        assert_eq!(outcome(judged(header)), expected, "{header}");
    }
}

#[test]
fn a_key_hint_is_a_name_and_nothing_else() {
    // The key of this verifier has no name, so it is asked whatever the token calls it.
    for (member, value) in [
        ("kid", json!("../../dev/null")),
        ("kid", json!("' OR 1=1 --")),
        ("kid", json!("x".repeat(256))),
        ("jku", json!("http://127.0.0.1:1/keys")),
        ("x5u", json!("http://127.0.0.1:1/keys")),
        ("x5c", json!(["AA=="])),
        ("jwk", json!({ "kty": "oct", "k": "AA" })),
    ] {
        judged(&with(&header("HS256"), member, value).to_string()).unwrap();
    }
    for value in [json!("x".repeat(257)), json!("x".repeat(5000)), json!(1), json!(null), json!(["a"])] {
        assert_eq!(outcome(judged(&with(&header("HS256"), "kid", value).to_string())), Err(Fault::Header));
    }
    // A key that the token brings along is not believed.
    let (own, other) = (Forge::edwards(), Forge::edwards());
    let header = with(&header("EdDSA"), "jwk", other.jwk());
    let token = other.token(&header.to_string(), good_claims().to_string().as_bytes());
    assert_eq!(
        outcome(verifier(&own.jwk(), TokenTypes::AccessToken).verify(token.as_bytes(), NOW)),
        Err(Fault::Signature)
    );
}

#[test]
fn types_are_told_apart_only_where_the_terms_do() {
    let forge = hs256();
    for (typ, access, any) in [
        (json!("at+jwt"), true, true),
        (json!("JWT"), false, true),
        (json!("jwt"), false, true),
        (json!("logout+jwt"), false, false),
        (json!(""), false, false),
    ] {
        let token = forge.token(
            &with(&header("HS256"), "typ", typ.clone()).to_string(),
            good_claims().to_string().as_bytes(),
        );
        for (types, accepted) in [(TokenTypes::AccessToken, access), (TokenTypes::AnyJwt, any)] {
            let verified = verifier(&forge.jwk(), types).verify(token.as_bytes(), NOW);
            assert_eq!(verified.is_ok(), accepted, "{typ} {types:?}");
        }
    }
    let token = forge.token(r#"{"alg":"HS256"}"#, good_claims().to_string().as_bytes());
    verifier(&forge.jwk(), TokenTypes::AnyJwt).verify(token.as_bytes(), NOW).unwrap();
}

#[test]
fn a_token_is_three_parts_in_one_way_of_writing() {
    let forge = hs256();
    let verifier = verifier(&forge.jwk(), TokenTypes::AccessToken);
    let token = forge.token(&header("HS256").to_string(), good_claims().to_string().as_bytes());
    verifier.verify(token.as_bytes(), NOW).unwrap();
    let parts: Vec<_> = token.split('.').collect();
    let [head, payload, signature] = parts[..] else { panic!("{token}") };
    let json = json!({ "protected": head, "payload": payload, "signature": signature }).to_string();
    for bad in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "...".to_owned(),
        "....".to_owned(),
        format!("{head}.{payload}"),
        format!("{head}.{payload}."),
        format!("{head}..{signature}"),
        format!(".{payload}.{signature}"),
        format!("{token}."),
        format!(".{token}"),
        format!("{token}.{signature}"),
        format!("{head}.{payload}.{signature}.x.y"),
        format!(" {token}"),
        format!("{token} "),
        format!("{token}\n"),
        format!("{head}.{payload}.{signature}="),
        format!("{head}.{payload}.{signature}=="),
        format!("{head}=.{payload}.{signature}"),
        format!("{head}\n.{payload}.{signature}"),
        format!("{head}.{payload} .{signature}"),
        format!("{head}.{}\r\n{}.{signature}", &payload[..9], &payload[9..]),
        format!("{head}.{payload}.{}", signature.replace(['-', '_'], "+")) + "+",
        format!("{head}.{payload}.{}/", &signature[..signature.len() - 1]),
        format!("{head}.{payload}.\u{e9}"),
        format!("{head}.{payload}.{signature}\0"),
        format!("Bearer {token}"),
        json,
    ] {
        assert!(verifier.verify(bad.as_bytes(), NOW).is_err(), "{bad}");
    }
    // 256 bits are 43 digits, of whose last two bits have no meaning: every other digit there means the same to a careless reader.
    let digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (start, last) = signature.split_at(signature.len() - 1);
    for digit in digits.chars().filter(|digit| !last.contains(*digit)) {
        assert_eq!(
            outcome(verifier.verify(format!("{head}.{payload}.{start}{digit}").as_bytes(), NOW)),
            Err(Fault::Signature)
        );
    }
}

#[test]
fn a_long_token_is_refused_unread() {
    let forge = hs256();
    let verifier = verifier(&forge.jwk(), TokenTypes::AnyJwt);
    let padded = |bytes: usize| {
        forge.token(
            &header("HS256").to_string(),
            with(&good_claims(), "x", json!("x".repeat(bytes))).to_string().as_bytes(),
        )
    };
    verifier.verify(padded(5000).as_bytes(), NOW).unwrap();
    let long = padded(6200);
    assert!(long.len() > TOKEN_BYTES_VERIFIED_MAX);
    assert_eq!(outcome(verifier.verify(long.as_bytes(), NOW)), Err(Fault::TooLong));
    assert_eq!(outcome(verifier.verify(&[b'.'; 1_000_000], NOW)), Err(Fault::TooLong));
    let deep = forge.token(&header("HS256").to_string(), "[".repeat(4000).as_bytes());
    assert_eq!(outcome(verifier.verify(deep.as_bytes(), NOW)), Err(Fault::Payload));
}

#[test]
fn an_encrypted_token_is_none() {
    let forge = hs256();
    let verifier = verifier(&forge.jwk(), TokenTypes::AnyJwt);
    let head = base64url(br#"{"alg":"dir","enc":"A128GCM","zip":"DEF"}"#);
    assert_eq!(
        outcome(verifier.verify(format!("{head}..aXY.Y2lwaGVy.dGFn").as_bytes(), NOW)),
        Err(Fault::Form)
    );
    let token = forge.token(r#"{"alg":"HS256","enc":"A128GCM","zip":"DEF"}"#, b"{}");
    assert_eq!(outcome(verifier.verify(token.as_bytes(), NOW)), Err(Fault::Extension));
}

#[test]
fn the_payload_is_anybodys_business_where_the_signature_alone_is_asked_for() {
    let forge = hs256();
    let set = KeySet::from_jwks(&forge.jwk().to_string()).unwrap();
    for payload in [&b""[..], b"foo", b"\x00\xff", b"{\"exp\":1}"] {
        let token = forge.token(r#"{"alg":"HS256"}"#, payload);
        assert_eq!(verify_signature(token.as_bytes(), &set).as_deref(), Ok(payload));
    }
}

proptest! {
    #[test]
    fn no_bytes_are_accepted_and_none_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let verifier = verifier(&hs256().jwk(), TokenTypes::AnyJwt);
        prop_assert!(verifier.verify(&bytes, NOW).is_err());
        let _ = KeySet::from_jwks(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn nothing_that_looks_like_a_token_is_accepted(
        header in prop_oneof![Just("{\"alg\":\"HS256\"}".to_owned()), "\\PC{0,40}"],
        payload in prop_oneof![Just(good_claims().to_string()), "\\PC{0,40}"],
        signature in prop::collection::vec(any::<u8>(), 0..70),
    ) {
        let token = format!("{}.{}.{}", base64url(header.as_bytes()), base64url(payload.as_bytes()), base64url(&signature));
        let verifier = verifier(&hs256().jwk(), TokenTypes::AnyJwt);
        prop_assert!(verifier.verify(token.as_bytes(), NOW).is_err());
    }

    #[test]
    fn a_token_in_which_one_byte_differs_is_another(position in 0_usize..1000, other in any::<u8>()) {
        let forge = hs256();
        let mut token = forge.token(&header("HS256").to_string(), good_claims().to_string().as_bytes()).into_bytes();
        let position = position % token.len();
        prop_assume!(token[position] != other);
        token[position] = other;
        let keys = Keys::fixed(KeySet::from_jwks(&forge.jwk().to_string()).unwrap());
        prop_assert!(Verifier::new(keys, terms(TokenTypes::AccessToken)).verify(&token, NOW).is_err());
    }

    #[test]
    fn what_is_signed_may_be_anything(payload in prop::collection::vec(any::<u8>(), 0..200)) {
        let forge = hs256();
        let token = forge.token(&header("HS256").to_string(), &payload);
        let set = KeySet::from_jwks(&forge.jwk().to_string()).unwrap();
        prop_assert_eq!(verify_signature(token.as_bytes(), &set), Ok(payload));
        // As claims, such bytes are none.
        prop_assert!(verifier(&forge.jwk(), TokenTypes::AnyJwt).verify(token.as_bytes(), NOW).is_err());
    }
}
