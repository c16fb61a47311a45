//! A token that was verified before costs a look-up, and no memory. In a binary of its own, since the allocator that counts is
//! the process's.

use std::time::Duration;

use phalanx_auth::{Algorithm, Issuer, KeyRing, Keys, Subject, Terms, TokenTypes, Verifier, generate};

#[global_allocator]
static COUNTING: dhat::Alloc = dhat::Alloc;

const NOW: u64 = 1_800_000_000;
const REQUESTS: u64 = 10_000;
/// The cache keeps house now and then, whoever asks it; that is not of a request.
const HOUSEKEEPING_BLOCKS_MAX: u64 = REQUESTS / 50;

#[test]
fn a_token_that_was_verified_before_allocates_nothing() {
    let terms = Terms { issuer: Some("phalanx".to_owned()), audience: None, types: TokenTypes::AnyJwt };
    let ring = KeyRing::of(vec![generate(Algorithm::ES256)]).unwrap();
    let verifier = Verifier::new(Keys::fixed(ring.key_set()), terms.clone());
    let issuer = Issuer::new(ring, terms, Duration::from_secs(600));
    let token = issuer.issue(&Subject { subject: "42", session: Some("7"), epoch: 0, roles: &["user"] }, NOW);
    let claims = verifier.verify(token.as_bytes(), NOW).unwrap();

    let _profiler = dhat::Profiler::builder().testing().build();
    let before = dhat::HeapStats::get().total_blocks;
    for _ in 0..REQUESTS {
        assert_eq!(verifier.verify(token.as_bytes(), NOW).unwrap().expires_at, claims.expires_at);
    }
    let blocks = dhat::HeapStats::get().total_blocks - before;
    assert!(blocks <= HOUSEKEEPING_BLOCKS_MAX, "{blocks} blocks for {REQUESTS} requests");
}
