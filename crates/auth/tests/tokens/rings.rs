//! One's own keys: their states, what is published of them, and their rotation.

use std::time::Duration;

use phalanx_auth::{
    Algorithm, Issuer, KeyFault, KeyRing, KeyRingError, KeySet, KeySetError, KeyState, Keys, RingKey,
    Rotation, Subject, TokenTypes, Verifier, WeakSecret, generate,
};
use serde_json::{Value, json};

use crate::forge::{Forge, NOW, SECRET, base64url, terms, with};

const DAY: u64 = 24 * 60 * 60;
const GENERATED: [Algorithm; 5] =
    [Algorithm::HS256, Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA];

fn issue(ring: &KeyRing) -> String {
    let issuer = Issuer::new(ring.clone(), terms(TokenTypes::AccessToken), Duration::from_secs(600));
    issuer.issue(&Subject { subject: "1", session: Some("2"), epoch: 0, roles: &["user"] }, NOW)
}

fn verifies(set: KeySet, token: &str) -> bool {
    Verifier::new(Keys::fixed(set), terms(TokenTypes::AccessToken)).verify(token.as_bytes(), NOW).is_ok()
}

fn private(forge: &Forge, state: &str) -> Value {
    with(&with(&forge.jwk(), "d", json!(forge.private())), "state", json!(state))
}

fn ring(keys: &[Value]) -> Result<KeyRing, KeyRingError> {
    KeyRing::from_jwks(&json!({ "keys": keys }).to_string())
}

fn states(ring: &KeyRing) -> Vec<KeyState> {
    ring.keys().iter().map(RingKey::state).collect()
}

#[test]
fn a_generated_key_signs_is_written_and_read_again() {
    for algorithm in GENERATED {
        let made = KeyRing::of(vec![generate(algorithm)]).unwrap();
        let read = KeyRing::from_jwks(&made.to_private_jwks()).unwrap();
        assert_eq!((made.key_set(), states(&read)), (read.key_set(), vec![KeyState::Current]));
        assert_eq!(made.derived("x"), read.derived("x"));
        for (signer, verifier) in [(&made, &read), (&read, &made)] {
            assert!(verifies(verifier.key_set(), &issue(signer)), "{algorithm}");
        }
        // What is published verifies too, and holds nothing that signs.
        let public = made.key_set().to_public_jwks();
        let published: Value = serde_json::from_str(&public).unwrap();
        if algorithm == Algorithm::HS256 {
            assert_eq!(published, json!({ "keys": [] }));
        } else {
            let key = published["keys"][0].as_object().unwrap();
            assert_eq!((&key["alg"], &key["use"]), (&json!(algorithm.as_str()), &json!("sig")));
            assert!(
                ["d", "p", "q", "dp", "dq", "qi", "k", "state"].iter().all(|name| !key.contains_key(*name)),
                "{public}"
            );
            assert!(verifies(KeySet::from_jwks(&public).unwrap(), &issue(&made)));
        }
        let other = KeyRing::of(vec![generate(algorithm)]).unwrap();
        assert!(!verifies(other.key_set(), &issue(&made)));
    }
}

#[test]
fn nothing_private_is_printed() {
    let ring = KeyRing::from_jwks(&private(&Forge::p256(), "current").to_string()).unwrap();
    let secret = KeyRing::from_secret(SECRET).unwrap();
    let shown = format!("{ring:?} {:?} {:?} {secret:?} {:?}", ring.keys(), ring.key_set(), secret.key_set());
    for hidden in ["0123456789abcdef", &base64url(SECRET), &ring.derived("x")] {
        assert!(!shown.contains(hidden), "{shown}");
    }
    let jwks: Value = serde_json::from_str(&ring.to_private_jwks()).unwrap();
    assert!(!shown.contains(jwks["keys"][0]["d"].as_str().unwrap()), "{shown}");
}

#[test]
fn a_thumbprint_is_that_of_rfc_8037() {
    // RFC 8037, appendix A: the key of A.1, and its thumbprint in A.3.
    let jwk = json!({
        "kty": "OKP", "crv": "Ed25519",
        "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    });
    let ring = KeyRing::from_jwks(&jwk.to_string()).unwrap();
    assert_eq!(ring.keys()[0].kid(), Some("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"));
    assert_eq!(ring.keys()[0].algorithm(), Algorithm::EdDSA);
}

#[test]
fn exactly_one_key_is_current() {
    let keys = [Forge::p256(), Forge::edwards(), Forge::p384()];
    let stateless = |forge: &Forge| {
        let mut key = private(forge, "");
        key.as_object_mut().unwrap().remove("state");
        key
    };
    let retired = KeyState::Retired { until: None };
    for (given, expected) in [
        (vec![stateless(&keys[0]), stateless(&keys[1])], Ok(vec![KeyState::Current, retired])),
        (vec![keys[0].jwk(), stateless(&keys[1])], Ok(vec![retired, KeyState::Current])),
        (vec![stateless(&keys[0]), private(&keys[1], "current")], Ok(vec![retired, KeyState::Current])),
        (
            vec![private(&keys[0], "retired"), private(&keys[1], "current"), private(&keys[2], "next")],
            Ok(vec![retired, KeyState::Current, KeyState::Next]),
        ),
        (
            vec![
                with(&private(&keys[0], "retired"), "retired_until", json!(NOW)),
                private(&keys[1], "current"),
            ],
            Ok(vec![KeyState::Retired { until: Some(NOW) }, KeyState::Current]),
        ),
        (vec![], Err(KeyRingError::Current { count: 0 })),
        (vec![keys[0].jwk()], Err(KeyRingError::Current { count: 0 })),
        (vec![private(&keys[0], "next")], Err(KeyRingError::Current { count: 0 })),
        (
            vec![private(&keys[0], "current"), private(&keys[1], "current")],
            Err(KeyRingError::Current { count: 2 }),
        ),
        (vec![private(&keys[0], "Current")], Err(KeyRingError::State { number: 1 })),
        (
            vec![with(&private(&keys[0], "current"), "state", json!(1))],
            Err(KeyRingError::State { number: 1 }),
        ),
        (
            vec![with(&private(&keys[0], "current"), "retired_until", json!("soon"))],
            Err(KeyRingError::State { number: 1 }),
        ),
        (
            vec![private(&keys[0], "current"), with(&keys[1].jwk(), "state", json!("next"))],
            Err(KeyRingError::CannotSign { number: 2 }),
        ),
        (
            vec![with(&private(&keys[0], "current"), "key_ops", json!(["verify"]))],
            Err(KeyRingError::CannotSign { number: 1 }),
        ),
        (
            vec![private(&keys[0], "current"), with(&private(&keys[1], "retired"), "use", json!("enc"))],
            Err(KeyRingError::Key { number: 2, source: KeyFault::Purpose { purpose: "verify" } }),
        ),
        (vec![private(&keys[0], "current"), private(&keys[0], "retired")], {
            let kid = ring(&[private(&keys[0], "current")]).unwrap().keys()[0].kid().unwrap().to_owned();
            Err(KeyRingError::Repeated { kid })
        }),
        (
            vec![
                private(&keys[0], "current"),
                json!({ "kty": "oct", "k": base64url(SECRET), "state": "retired" }),
            ],
            Err(KeyRingError::Set(KeySetError::Mixed)),
        ),
    ] {
        assert_eq!(ring(&given).map(|ring| states(&ring)), expected, "{given:?}");
    }
}

#[test]
fn a_short_secret_is_refused() {
    assert_eq!(KeyRing::from_secret(&SECRET[..31]).err(), Some(WeakSecret { bytes: 31 }));
}

#[test]
fn a_derived_secret_depends_on_key_and_purpose() {
    let rings = [
        KeyRing::from_secret(&SECRET[..32]).unwrap(),
        KeyRing::from_secret(&SECRET[..33]).unwrap(),
        KeyRing::of(vec![generate(Algorithm::EdDSA)]).unwrap(),
    ];
    let mut derived: Vec<_> = rings.iter().flat_map(|ring| [ring.derived("a"), ring.derived("b")]).collect();
    assert!(derived.iter().all(|secret| secret.len() == 43), "{derived:?}");
    assert_eq!(derived[0], rings[0].derived("a"));
    derived.sort();
    derived.dedup();
    assert_eq!(derived.len(), 6);
}

#[test]
fn over_three_rotations_no_verifier_that_looks_in_between_refuses_a_token() {
    for algorithm in [Algorithm::ES256, Algorithm::HS256] {
        let keep = Duration::from_secs(7 * DAY);
        let mut ring = KeyRing::of(vec![generate(algorithm)]).unwrap();
        let mut published = ring.key_set();
        for round in 0..4 {
            let now = NOW + round * DAY;
            let token = issue(&ring);
            let (rotated, rotation) = ring.rotated(generate(algorithm), now, keep).unwrap();
            assert_eq!(rotation, if round == 0 { Rotation::Announced } else { Rotation::Promoted });
            // Who has the last set verifies what is signed by the rotated one, and the other way round.
            assert!(verifies(published, &issue(&rotated)), "{round}");
            assert!(verifies(rotated.key_set(), &token), "{round}");
            published = rotated.key_set();
            ring = KeyRing::from_jwks(&rotated.to_private_jwks()).unwrap();
            assert_eq!(states(&ring), states(&rotated));
        }
        let retired = |day| KeyState::Retired { until: Some(NOW + day * DAY) };
        assert_eq!(states(&ring), [retired(8), retired(9), retired(10), KeyState::Current, KeyState::Next]);
        // The first two have outlived their tokens by then.
        let (ring, _) = ring.rotated(generate(algorithm), NOW + 9 * DAY, keep).unwrap();
        assert_eq!(states(&ring), [retired(10), retired(16), KeyState::Current, KeyState::Next]);
    }
}

#[test]
fn a_retired_key_without_a_time_gets_one() {
    let (old, current) = (Forge::edwards(), Forge::edwards());
    let ring = ring(&[private(&old, "retired"), private(&current, "current")]).unwrap();
    let (rotated, rotation) = ring.rotated(generate(Algorithm::EdDSA), NOW, Duration::from_secs(60)).unwrap();
    assert_eq!(rotation, Rotation::Announced);
    assert_eq!(
        states(&rotated),
        [KeyState::Retired { until: Some(NOW + 60) }, KeyState::Current, KeyState::Next]
    );
    let mixed = ring.rotated(generate(Algorithm::HS256), NOW, Duration::from_secs(60));
    assert_eq!(mixed.err(), Some(KeyRingError::Set(KeySetError::Mixed)));
}
