//! Tokens that were verified a moment ago: a client sends one many times, and an elliptic curve costs more than the rest of a
//! small request.
//!
//! Only what was verified is remembered, so that nobody who has no token can push out those of others; the bytes of the token are
//! the key, so that nothing but the very same token is found. Time and keys are judged anew each time; revocation is not of this
//! cache at all.

use std::{fmt, sync::Arc};

use moka::sync::Cache;

use super::Claims;

/// All verified tokens of a verifier with their claims take no more memory than about this. It holds some 30 000 tokens of ours.
pub const CACHE_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// What an entry takes beside its token and the texts of its claims: the claims as such, and the places in the cache's tables.
const ENTRY_BYTES: usize = 512;
/// What a text takes beside its letters: where it is and how long, and what the allocator keeps of it. A role may be of one
/// letter.
const TEXT_BYTES: usize = size_of::<String>() + 16;

/// A token that was verified.
#[derive(Clone)]
pub(super) struct Verified {
    pub(super) claims: Arc<Claims>,
    pub(super) begins_at: u64,
    /// Of the keys that it was verified with.
    pub(super) generation: u64,
}

/// Bounded by [`CACHE_BYTES_MAX`]; cheap to clone.
#[derive(Clone)]
pub(super) struct VerifiedTokens {
    tokens: Cache<Arc<[u8]>, Verified>,
}

impl VerifiedTokens {
    pub(super) fn new() -> Self {
        let weight = |token: &Arc<[u8]>, verified: &Verified| {
            u32::try_from(ENTRY_BYTES + token.len() + texts_bytes(&verified.claims)).unwrap_or(u32::MAX)
        };
        Self { tokens: Cache::builder().max_capacity(CACHE_BYTES_MAX).weigher(weight).build() }
    }

    /// Allocates nothing.
    pub(super) fn get(&self, token: &[u8]) -> Option<Verified> {
        self.tokens.get(token)
    }

    pub(super) fn insert(&self, token: &[u8], verified: Verified) {
        self.tokens.insert(token.into(), verified);
    }

    pub(super) fn remove(&self, token: &[u8]) {
        self.tokens.invalidate(token);
    }
}

fn texts_bytes(claims: &Claims) -> usize {
    let Claims { subject, session, roles, token_id, .. } = claims;
    let texts = [subject, token_id].into_iter().chain(session).chain(roles);
    texts.map(|text| TEXT_BYTES + text.len()).sum()
}

/// Tokens are as good as passwords: they are not printed.
impl fmt::Debug for VerifiedTokens {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("VerifiedTokens(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_tokens_arrive_the_memory_is_bounded() {
        // In a token of 8 KiB there is room for two thousand roles of one letter.
        for (roles, entry_bytes) in [(0, 8192), (2000, 8192 + 2000 * 24)] {
            let claims = Arc::new(Claims {
                subject: "1".to_owned(),
                session: None,
                epoch: 0,
                roles: vec!["x".to_owned(); roles],
                token_id: String::new(),
                issued_at: 0,
                expires_at: 1,
            });
            let tokens = VerifiedTokens::new();
            let mut token = vec![0; 8192];
            for number in 0_u32..5000 {
                token[..4].copy_from_slice(&number.to_be_bytes());
                tokens.insert(&token, Verified { claims: Arc::clone(&claims), begins_at: 0, generation: 0 });
            }
            tokens.tokens.run_pending_tasks();
            let kept = tokens.tokens.entry_count();
            assert!(kept > 0 && kept * entry_bytes <= CACHE_BYTES_MAX, "{kept}");
        }
    }
}
