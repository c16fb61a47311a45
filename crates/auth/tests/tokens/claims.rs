//! Every claim in every JSON type, and the terms and times of a token.

use phalanx_auth::{
    Fault, Issuer, KeyRing, Keys, NOT_BEFORE_SKEW_SECONDS, Subject, Terms, TokenError, TokenTypes, Verifier,
};
use serde_json::{Value, json};
use std::time::Duration;

use crate::forge::{NOW, SECRET, good_claims, hs256, outcome, terms, verifier, with, without};

const HEADER: &str = r#"{"typ":"at+jwt","alg":"HS256"}"#;
/// Those that other issuers may leave out.
const OPTIONAL: [&str; 7] = ["sid", "sv", "iat", "nbf", "jti", "iss", "aud"];

fn verify(payload: &str, types: TokenTypes) -> Result<(), TokenError> {
    let forge = hs256();
    let token = forge.token(HEADER, payload.as_bytes());
    verifier(&forge.jwk(), types).verify(token.as_bytes(), NOW).map(|_| ())
}

/// What a claim may be, besides the good value.
fn fits(name: &str, value: &Value) -> bool {
    match name {
        "sub" | "sid" | "jti" => value.as_str().is_some_and(|text| !text.is_empty()),
        "sv" => value.is_u64(),
        // Integers in the past begin; those of the table in the future do not.
        "iat" | "nbf" => value.as_u64().is_some_and(|seconds| seconds <= NOW),
        "exp" => value.as_u64().is_some_and(|seconds| seconds > NOW),
        "role" => {
            value.as_str().is_some_and(|text| !text.is_empty())
                || *value == json!(["api"])
                || *value == json!([])
        }
        "aud" => *value == json!(["api"]),
        "iss" => false,
        _ => unreachable!("{name}"),
    }
}

#[test]
fn every_claim_is_taken_in_its_own_type_alone() {
    let values = [
        Value::Null,
        json!(true),
        json!(1),
        json!(-1),
        json!(1.5),
        json!(1e10),
        json!(1e300),
        json!(u64::MAX),
        json!("x"),
        json!("1900000000"),
        json!(""),
        json!(["api"]),
        json!([1]),
        json!([["api"]]),
        json!([]),
        json!({}),
        json!({ "api": "api" }),
    ];
    for types in [TokenTypes::AccessToken, TokenTypes::AnyJwt] {
        for name in good_claims().as_object().unwrap().keys() {
            for value in &values {
                let verified = verify(&with(&good_claims(), name, value.clone()).to_string(), types);
                // A time that is an integer is of the right type, and passed.
                let fits = fits(name, value);
                assert_eq!(verified.is_ok(), fits, "{name} = {value}: {verified:?}");
                if let (false, Err(TokenError::Expired)) = (fits, verified) {
                    assert_eq!((name.as_str(), value), ("exp", &json!(1)));
                }
            }
        }
    }
}

#[test]
fn numbers_that_json_writes_otherwise_are_none() {
    for name in ["exp", "iat", "nbf", "sv"] {
        for text in
            ["1.9e9", "1900000000.0", "19e8", "-0", "18446744073709551616", "\"1900000000\"", "1E1000"]
        {
            let payload = with(&good_claims(), name, json!("PLACE")).to_string().replace("\"PLACE\"", text);
            for types in [TokenTypes::AccessToken, TokenTypes::AnyJwt] {
                let wrong = matches!(
                    verify(&payload, types),
                    Err(TokenError::Invalid(Fault::Claim(claim))) if claim == name
                ) || text == "1E1000" && verify(&payload, types) == Err(Fault::Payload.into());
                assert!(wrong, "{payload}");
            }
        }
    }
}

#[test]
fn a_claim_is_missing_only_where_it_may() {
    for name in good_claims().as_object().unwrap().keys() {
        let payload = without(&good_claims(), name).to_string();
        let missing =
            |verified| matches!(verified, Err(TokenError::Invalid(Fault::Missing(claim))) if claim == name);
        let access = verify(&payload, TokenTypes::AccessToken);
        assert_eq!(access.is_ok(), name == "role", "without {name}: {access:?}");
        assert!(name == "role" || missing(access), "without {name}: {access:?}");
        let any = verify(&payload, TokenTypes::AnyJwt);
        match name.as_str() {
            // The terms of this verifier name both.
            "iss" => assert_eq!(any, Err(Fault::Issuer.into())),
            "aud" => assert_eq!(any, Err(Fault::Audience.into())),
            name if OPTIONAL.contains(&name) || name == "role" => assert_eq!(any, Ok(()), "without {name}"),
            _ => assert!(missing(any), "without {name}: {any:?}"),
        }
    }
}

#[test]
fn a_claim_that_comes_twice_is_refused_at_any_depth() {
    let good = good_claims().to_string();
    for twice in [
        good.replacen('{', r#"{"sub":"42","#, 1),
        good.replacen('{', r#"{"exp":1900000000,"#, 1),
        good.replacen('{', r#"{"\u0073ub":"1","#, 1),
        good.replacen('{', r#"{"other":1,"other":1,"#, 1),
        good.replacen('{', r#"{"other":[{"a":1,"a":2}],"#, 1),
    ] {
        assert_eq!(verify(&twice, TokenTypes::AccessToken), Err(Fault::Payload.into()), "{twice}");
    }
    verify(&good.replacen('{', r#"{"other":[{"a":1,"b":2}],"#, 1), TokenTypes::AccessToken).unwrap();
}

#[test]
fn a_payload_is_one_object() {
    for payload in ["", "null", "[]", "\"x\"", "{", "{}x", "{} {}", "\u{feff}{}"] {
        assert_eq!(verify(payload, TokenTypes::AnyJwt), Err(Fault::Payload.into()), "{payload}");
    }
    assert_eq!(verify("{}", TokenTypes::AnyJwt), Err(Fault::Missing("sub").into()));
}

#[test]
fn names_that_would_leave_their_field_are_refused() {
    for name in ["sub", "sid", "jti"] {
        for text in ["a\nb", "a\r\nX-Admin: 1", "\0", "a\u{85}b"] {
            let payload = with(&good_claims(), name, json!(text)).to_string();
            assert!(
                matches!(verify(&payload, TokenTypes::AnyJwt), Err(TokenError::Invalid(Fault::Claim(claim))) if claim == name),
                "{payload}"
            );
        }
    }
}

#[test]
fn roles_are_one_or_a_list_under_one_of_two_names() {
    let forge = hs256();
    let good = without(&good_claims(), "role");
    let cases = [
        (json!({}), Some(&[][..])),
        (json!({ "role": "admin" }), Some(&["admin"])),
        (json!({ "role": ["admin", "user"] }), Some(&["admin", "user"])),
        (json!({ "roles": ["admin", "user"] }), Some(&["admin", "user"])),
        (json!({ "roles": [] }), Some(&[])),
        (json!({ "roles": "admin" }), None),
        (json!({ "role": "user", "roles": ["admin"] }), None),
        (json!({ "role": "user,admin" }), None),
        (json!({ "roles": ["user", "x\r\ny"] }), None),
        (json!({ "roles": ["user", 1] }), None),
        (json!({ "roles": { "admin": true } }), None),
    ];
    for (further, expected) in cases {
        let mut payload = good.clone();
        payload.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
        let token = forge.token(HEADER, payload.to_string().as_bytes());
        let verified = verifier(&forge.jwk(), TokenTypes::AccessToken).verify(token.as_bytes(), NOW);
        let roles = verified.ok().map(|claims| claims.roles.clone());
        assert_eq!(
            roles.as_deref().map(|roles| roles.iter().map(String::as_str).collect()),
            expected.map(<[_]>::to_vec),
            "{further}"
        );
    }
}

#[test]
fn issuer_and_audience_are_compared_exactly_where_the_terms_have_them() {
    let forge = hs256();
    let jwks = phalanx_auth::KeySet::from_jwks(&forge.jwk().to_string()).unwrap();
    let terms = |issuer: Option<&str>, audience: Option<&str>| Terms {
        issuer: issuer.map(str::to_owned),
        audience: audience.map(str::to_owned),
        types: TokenTypes::AnyJwt,
    };
    let cases = [
        (terms(None, None), json!({}), Ok(())),
        (terms(None, None), json!({ "iss": "x", "aud": ["y"] }), Ok(())),
        (terms(None, None), json!({ "aud": 1 }), Err(Fault::Claim("aud"))),
        (terms(None, None), json!({ "iss": ["x"] }), Err(Fault::Claim("iss"))),
        (terms(Some("https://a"), None), json!({ "iss": "https://a" }), Ok(())),
        (terms(Some("https://a"), None), json!({ "iss": "https://a/" }), Err(Fault::Issuer)),
        (terms(Some("https://a"), None), json!({ "iss": "HTTPS://a" }), Err(Fault::Issuer)),
        (terms(Some("https://a"), None), json!({}), Err(Fault::Issuer)),
        (terms(None, Some("api")), json!({ "aud": "api" }), Ok(())),
        (terms(None, Some("api")), json!({ "aud": ["web", "api"] }), Ok(())),
        (terms(None, Some("api")), json!({ "aud": ["web"] }), Err(Fault::Audience)),
        (terms(None, Some("api")), json!({ "aud": "api " }), Err(Fault::Audience)),
        (terms(None, Some("api")), json!({ "aud": [] }), Err(Fault::Audience)),
        (terms(None, Some("api")), json!({ "aud": ["api", 1] }), Err(Fault::Claim("aud"))),
        (terms(None, Some("api")), json!({}), Err(Fault::Audience)),
    ];
    for (terms, further, expected) in cases {
        let mut payload = json!({ "sub": "1", "exp": NOW + 1 });
        payload.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
        let token = forge.token(HEADER, payload.to_string().as_bytes());
        let verifier = Verifier::new(Keys::fixed(jwks.clone()), terms.clone());
        assert_eq!(outcome(verifier.verify(token.as_bytes(), NOW)), expected, "{terms:?} {payload}");
    }
}

#[test]
fn an_issued_token_is_accepted_until_the_second_it_expires() {
    let ring = KeyRing::from_secret(SECRET).unwrap();
    let terms = terms(TokenTypes::AccessToken);
    let issuer = Issuer::new(ring.clone(), terms.clone(), Duration::from_secs(600));
    let subject = Subject { subject: "42", session: Some("7"), epoch: 3, roles: &["user", "admin"] };
    let token = issuer.issue(&subject, NOW);
    let verify =
        |now| Verifier::new(Keys::fixed(ring.key_set()), terms.clone()).verify(token.as_bytes(), now);
    let claims = verify(NOW + 599).unwrap();
    assert_eq!((claims.subject.as_str(), claims.session.as_deref(), claims.epoch), ("42", Some("7"), 3));
    assert_eq!((claims.issued_at, claims.expires_at, claims.token_id.len()), (NOW, NOW + 600, 32));
    assert!(claims.has_role("user") && claims.has_role("admin") && !claims.has_role("root"));
    assert_eq!(verify(NOW + 600), Err(TokenError::Expired));
    assert_eq!(verify(u64::MAX), Err(TokenError::Expired));
    verify(NOW - NOT_BEFORE_SKEW_SECONDS).unwrap();
    for early in [NOW - NOT_BEFORE_SKEW_SECONDS - 1, 0] {
        assert_eq!(verify(early), Err(Fault::NotYet.into()));
    }
    let other = Verifier::new(Keys::fixed(ring.key_set()), terms.clone())
        .verify(issuer.issue(&subject, NOW).as_bytes(), NOW);
    assert_ne!(other.unwrap().token_id, claims.token_id);
}

#[test]
fn what_begins_in_the_future_is_refused_by_either_claim() {
    for name in ["nbf", "iat"] {
        for (begins, expected) in
            [(NOW + 60, Ok(())), (NOW + 61, Err(Fault::NotYet.into())), (u64::MAX, Err(Fault::NotYet.into()))]
        {
            let payload = with(&good_claims(), name, json!(begins)).to_string();
            assert_eq!(verify(&payload, TokenTypes::AccessToken), expected, "{payload}");
        }
    }
}

#[test]
fn further_claims_never_replace_those_of_the_issuer() {
    let ring = KeyRing::from_secret(SECRET).unwrap();
    let issuer = Issuer::new(ring.clone(), terms(TokenTypes::AnyJwt), Duration::from_secs(60));
    let subject = Subject { subject: "42", session: None, epoch: 0, roles: &["user"] };
    let further = json!({ "sub": "1", "exp": 9, "role": "admin", "iss": "x", "tenant": { "id": 5 } });
    let token = issuer.issue_with(&subject, further.as_object().unwrap().clone(), NOW).unwrap();
    let verifier = Verifier::new(Keys::fixed(ring.key_set()), terms(TokenTypes::AnyJwt));
    let claims = verifier.verify(token.as_bytes(), NOW).unwrap();
    assert_eq!(
        (claims.subject.as_str(), claims.roles.join(" "), claims.session.clone()),
        ("42", "user".to_owned(), None)
    );
    let payload: Value =
        serde_json::from_slice(&phalanx_auth::parts(token.as_bytes()).unwrap().payload).unwrap();
    assert_eq!(payload["tenant"], json!({ "id": 5 }));
    let long = json!({ "x": "x".repeat(4096) });
    let refused = issuer.issue_with(&subject, long.as_object().unwrap().clone(), NOW).unwrap_err();
    assert!(refused.bytes > 4096, "{refused}");
}
