//! What holds of key sets whatever the bytes are.
//!
//! The tests of `phalanx-auth` include this file, so that the corpus runs through it on every `cargo test`.

use phalanx_auth::{KEYS_MAX, KeyRing, KeySet, KeySetError};

/// The bytes are a key set whose public half is one too, or none; and a ring that is read again as it was, or none.
pub fn jwks(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match KeySet::from_jwks(&text) {
        Ok(set) => {
            assert!(set.len() + set.passed_over().len() <= KEYS_MAX);
            let public = set.to_public_jwks();
            assert!(!public.contains("\"k\":") && !public.contains("\"d\":"), "{public}");
            let again = KeySet::from_jwks(&public).expect("what is written can be read");
            assert!(again == set || set.is_symmetric() && again.is_empty(), "{public}");
        }
        Err(KeySetError::NothingUsable { passed_over }) => assert!(!passed_over.is_empty()),
        Err(_) => {}
    }
    if let Ok(ring) = KeyRing::from_jwks(&text) {
        let again = KeyRing::from_jwks(&ring.to_private_jwks()).expect("what is written can be read");
        assert_eq!((again.key_set(), again.derived("")), (ring.key_set(), ring.derived("")));
    }
}
