//! Verifies tokens.

use std::sync::Arc;

use super::{
    Claims, Fault, Terms, TokenError,
    cache::{Verified, VerifiedTokens},
    compact::Compact,
    payload::{self, NOT_BEFORE_SKEW_SECONDS, Timed},
};
use crate::keys::{KeySet, Keys, SignatureError};

/// Verifies tokens, and remembers those that it has verified; cheap to clone, and clones share what they remember.
#[derive(Clone, Debug)]
pub struct Verifier {
    keys: Keys,
    terms: Arc<Terms>,
    verified: VerifiedTokens,
}

impl Verifier {
    /// A verifier of the tokens that are signed by one of `keys`, on these terms.
    #[must_use]
    pub fn new(keys: Keys, terms: Terms) -> Self {
        Self { keys, terms: Arc::new(terms), verified: VerifiedTokens::new() }
    }

    /// The keys that it verifies with.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Checks a token at `now`, in Unix seconds. Whether it was revoked is another question. A token that was verified before
    /// costs a look-up.
    ///
    /// # Errors
    /// [`TokenError`]; [`TokenError::Expired`] only if time is all that is wrong with it.
    pub fn verify(&self, token: &[u8], now: u64) -> Result<Arc<Claims>, TokenError> {
        if let Some(verified) = self.verified.get(token) {
            if verified.generation == self.keys.generation() {
                if verified.claims.expires_at <= now {
                    self.verified.remove(token);
                }
                check_times(&verified.claims, verified.begins_at, now)?;
                return Ok(verified.claims);
            }
            self.verified.remove(token);
        }
        // One snapshot for both: were the keys replaced meanwhile, what is remembered is of the older ones and counts for nothing.
        let keys = self.keys.snapshot();
        let Timed { claims, begins_at } = self.examine(token, &keys.set)?;
        check_times(&claims, begins_at, now)?;
        let claims = Arc::new(claims);
        let verified = Verified { claims: Arc::clone(&claims), begins_at, generation: keys.generation };
        self.verified.insert(token, verified);
        Ok(claims)
    }

    /// Everything but the times.
    fn examine(&self, token: &[u8], keys: &KeySet) -> Result<Timed, TokenError> {
        let compact = Compact::split(token)?;
        let header = compact.header()?;
        if !payload::is_of_type(header.typ.as_deref(), self.terms.types) {
            return Err(Fault::Type.into());
        }
        keys.verify(header.algorithm, header.kid.as_deref(), compact.message, compact.signature)?;
        Ok(payload::read(&compact.payload()?, &self.terms)?)
    }
}

/// The payload of a token whose header is sound and whose signature holds: any bytes, about which nothing else is said.
///
/// # Errors
/// [`TokenError`], but never [`TokenError::Expired`].
pub fn verify_signature(token: &[u8], keys: &KeySet) -> Result<Vec<u8>, TokenError> {
    let compact = Compact::split(token)?;
    let header = compact.header()?;
    keys.verify(header.algorithm, header.kid.as_deref(), compact.message, compact.signature)?;
    Ok(compact.payload()?)
}

fn check_times(claims: &Claims, begins_at: u64, now: u64) -> Result<(), TokenError> {
    if begins_at > now.saturating_add(NOT_BEFORE_SKEW_SECONDS) {
        return Err(Fault::NotYet.into());
    }
    if claims.expires_at <= now {
        return Err(TokenError::Expired);
    }
    Ok(())
}

impl From<SignatureError> for TokenError {
    fn from(error: SignatureError) -> Self {
        match error {
            SignatureError::UnknownKey => Self::UnknownKey,
            SignatureError::Algorithm => Self::Invalid(Fault::Algorithm),
            SignatureError::Forged => Self::Invalid(Fault::Signature),
        }
    }
}
