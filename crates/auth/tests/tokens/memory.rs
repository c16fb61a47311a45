//! What a verifier remembers: never longer than the token lives, never after its key is gone.

use std::time::Duration;

use phalanx_auth::{
    Algorithm, Issuer, KeyRing, KeySet, Keys, Subject, TokenError, TokenTypes, Verifier, generate,
};
use proptest::prelude::*;

use crate::forge::{NOW, terms};

/// A ring of one key, from outside.
fn ring() -> KeyRing {
    KeyRing::of(vec![generate(Algorithm::EdDSA)]).unwrap()
}

fn token(ring: &KeyRing, lifetime: u64, begins: u64) -> String {
    let issuer = Issuer::new(ring.clone(), terms(TokenTypes::AccessToken), Duration::from_secs(lifetime));
    issuer.issue(&Subject { subject: "1", session: Some("2"), epoch: 0, roles: &[] }, begins)
}

#[derive(Clone, Debug)]
enum Step {
    /// The clock moves, also back.
    At(u64),
    /// Only the keys of these rings verify from here on.
    Keys(usize),
    /// One of the tokens arrives.
    Verify(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (NOW - 100..NOW + 100).prop_map(Step::At),
        1 => (0_usize..4).prop_map(Step::Keys),
        6 => (0_usize..6).prop_map(Step::Verify),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_verifier_that_remembers_says_what_one_without_memory_says(steps in prop::collection::vec(step(), 1..60)) {
        let rings = [ring(), ring()];
        let tokens: Vec<_> = (0_u64..6)
            .map(|index| token(&rings[usize::try_from(index % 2).unwrap()], 5 + 20 * index, NOW - 50 + 20 * index))
            .collect();
        // None, either, or the first again under another generation.
        let sets = [KeySet::default(), rings[0].key_set(), rings[1].key_set(), rings[0].key_set()];
        let keys = Keys::fixed(KeySet::default());
        let verifier = Verifier::new(keys.clone(), terms(TokenTypes::AccessToken));
        let mut now = NOW;
        for step in steps {
            match step {
                Step::At(moment) => now = moment,
                Step::Keys(set) => keys.replace(sets[set].clone()),
                Step::Verify(index) => {
                    let token = tokens[index].as_bytes();
                    let forgetful = Verifier::new(Keys::fixed(KeySet::clone(&keys.snapshot().set)), terms(TokenTypes::AccessToken));
                    prop_assert_eq!(verifier.verify(token, now), forgetful.verify(token, now));
                }
            }
        }
    }
}

#[test]
fn the_same_claims_are_handed_out_again_until_the_keys_change() {
    let (first, second) = (ring(), ring());
    let keys = Keys::fixed(first.key_set());
    let verifier = Verifier::new(keys.clone(), terms(TokenTypes::AccessToken));
    let token = token(&first, 600, NOW);
    let claims = verifier.verify(token.as_bytes(), NOW).unwrap();
    assert!(std::sync::Arc::ptr_eq(&claims, &verifier.clone().verify(token.as_bytes(), NOW).unwrap()));
    // The same keys once more, as a fetch brings them, are no change.
    keys.replace(first.key_set());
    assert_eq!(keys.generation(), 0);
    assert!(std::sync::Arc::ptr_eq(&claims, &verifier.verify(token.as_bytes(), NOW).unwrap()));
    keys.replace(second.key_set());
    assert_eq!(keys.generation(), 1);
    assert_eq!(verifier.verify(token.as_bytes(), NOW), Err(TokenError::UnknownKey));
    keys.replace(first.key_set());
    assert_eq!(*verifier.verify(token.as_bytes(), NOW).unwrap(), *claims);
}
