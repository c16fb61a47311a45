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
/// What an entry takes beside its token: the claims, which are parts of it, twice over, and the places in the cache's tables.
const ENTRY_BYTES: usize = 512;

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
        let weight = |token: &Arc<[u8]>, _: &Verified| {
            u32::try_from(ENTRY_BYTES + 2 * token.len()).unwrap_or(u32::MAX)
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
        let claims = Arc::new(Claims {
            subject: "1".to_owned(),
            session: None,
            epoch: 0,
            roles: Vec::new(),
            token_id: String::new(),
            issued_at: 0,
            expires_at: 1,
        });
        let tokens = VerifiedTokens::new();
        let mut token = vec![0; 8192];
        for number in 0_u32..4000 {
            token[..4].copy_from_slice(&number.to_be_bytes());
            tokens.insert(&token, Verified { claims: Arc::clone(&claims), begins_at: 0, generation: 0 });
        }
        tokens.tokens.run_pending_tasks();
        let kept = tokens.tokens.entry_count();
        assert!(kept > 0 && kept * 2 * 8192 <= CACHE_BYTES_MAX, "{kept}");
    }
}
