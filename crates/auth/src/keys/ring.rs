//! The private side: the keys of one issuer, of which one signs.

use std::{fmt, sync::Arc};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    Algorithm, KeyFault, KeySet, KeySetError, SECRET_BYTES_MIN,
    jwk::{Jwk, Purposes},
    material::{SigningKey, VerifyingKey},
    set::{SetKey, described, members, thumbprint},
};

/// Where a key is in its life. All of them verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Published, so that all verifiers have it before it signs.
    Next,
    /// Signs.
    Current,
    /// Signs no more; what it signed still holds.
    Retired {
        /// The Unix second from which on it may be dropped; `None`: not decided.
        until: Option<u64>,
    },
}

/// A key of a ring.
#[derive(Clone, Debug)]
pub struct RingKey {
    pub(super) jwk: Jwk,
    pub(super) state: KeyState,
}

/// The keys of one issuer: exactly one is current. Cheap to clone; cannot be printed.
#[derive(Clone)]
pub struct KeyRing {
    pub(super) keys: Arc<[RingKey]>,
    current: Signer,
}

#[derive(Clone)]
struct Signer {
    kid: Option<Arc<str>>,
    key: Arc<SigningKey>,
}

/// A secret too short to sign with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret has {bytes} bytes, at least {SECRET_BYTES_MIN} are needed")]
pub struct WeakSecret {
    /// How many it has.
    pub bytes: usize,
}

/// Why there is no key ring. Unlike a foreign key set, one's own has no key that is passed over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyRingError {
    /// It is no set of keys.
    #[error(transparent)]
    Set(#[from] KeySetError),
    /// A key cannot be used.
    #[error("key {number} cannot be used")]
    Key {
        /// Which, counted from 1.
        number: usize,
        /// Why.
        source: KeyFault,
    },
    /// `state` says something else than `next`, `current` or `retired`, or `retired_until` is no number of seconds.
    #[error("key {number} has a `state` that is not `next`, `current` or `retired`, or no such time")]
    State {
        /// Which, counted from 1.
        number: usize,
    },
    /// A key that is to sign has no private part, or may not.
    #[error("key {number} has no private part to sign with, or `key_ops` forbid it")]
    CannotSign {
        /// Which, counted from 1.
        number: usize,
    },
    /// There is no current key, or more than one.
    #[error("{count} keys are current, where one must be")]
    Current {
        /// How many there are.
        count: usize,
    },
    /// Two keys have one name.
    #[error("two keys are named `{kid}`")]
    Repeated {
        /// The name.
        kid: String,
    },
}

impl KeyRing {
    /// A ring of one secret, for HS256. Its tokens name no key.
    ///
    /// # Errors
    /// When there are fewer than [`SECRET_BYTES_MIN`] bytes.
    pub fn from_secret(secret: &[u8]) -> Result<Self, WeakSecret> {
        if secret.len() < SECRET_BYTES_MIN {
            return Err(WeakSecret { bytes: secret.len() });
        }
        let (verifying, signing) = (VerifyingKey::of_secret(secret), SigningKey::of_secret(secret));
        let current = Signer { kid: None, key: Arc::new(signing.clone()) };
        let purposes = Purposes { verifies: true, signs: true };
        let jwk = Jwk { kid: None, verifying, signing: Some(signing), purposes };
        Ok(Self { keys: [RingKey { jwk, state: KeyState::Current }].into(), current })
    }

    /// Reads a set of private keys, or a single one. A member `state` of each says `next`, `current` or `retired`; without any,
    /// the first private key is current, and the others verify. A key without `kid` is named by its thumbprint (RFC 7638), a
    /// secret by nothing.
    ///
    /// # Errors
    /// [`KeyRingError`]
    pub fn from_jwks(text: &str) -> Result<Self, KeyRingError> {
        let members = members(text)?;
        let stated = members.iter().any(|jwk| jwk.contains_key("state"));
        let mut keys = Vec::with_capacity(members.len());
        for (number, object) in (1..).zip(&members) {
            let mut jwk = Jwk::read(object, None).map_err(|source| KeyRingError::Key { number, source })?;
            if jwk.kid.is_none() && !jwk.verifying.algorithm().is_symmetric() {
                jwk.kid = Some(thumbprint(&jwk.verifying));
            }
            if !jwk.purposes.signs && !jwk.purposes.verifies {
                let source = KeyFault::Purpose { purpose: "verify" };
                return Err(KeyRingError::Key { number, source });
            }
            let state = state(object).ok_or(KeyRingError::State { number })?;
            keys.push(RingKey { jwk, state });
        }
        if let Some(first) = keys.iter_mut().find(|key| !stated && key.jwk.signing.is_some()) {
            first.state = KeyState::Current;
        }
        Self::of(keys)
    }

    /// A ring of these keys.
    ///
    /// # Errors
    /// [`KeyRingError`]
    pub fn of(keys: Vec<RingKey>) -> Result<Self, KeyRingError> {
        for (index, key) in keys.iter().enumerate() {
            let must_sign = !matches!(key.state, KeyState::Retired { .. });
            if must_sign && (key.jwk.signing.is_none() || !key.jwk.purposes.signs) {
                return Err(KeyRingError::CannotSign { number: index + 1 });
            }
            let is_repeated = |kid: &&str| keys[..index].iter().any(|earlier| earlier.kid() == Some(kid));
            if let Some(kid) = key.kid().filter(is_repeated) {
                return Err(KeyRingError::Repeated { kid: kid.to_owned() });
            }
        }
        let mut current = keys.iter().filter(|key| key.state == KeyState::Current);
        let signer = match (current.next(), current.count()) {
            (Some(RingKey { jwk: Jwk { kid, signing: Some(key), .. }, .. }), 0) => {
                Signer { kid: kid.as_deref().map(Arc::from), key: Arc::new(key.clone()) }
            }
            (first, others) => {
                return Err(KeyRingError::Current { count: others + usize::from(first.is_some()) });
            }
        };
        let symmetric = signer.key.algorithm().is_symmetric();
        if keys.iter().any(|key| key.algorithm().is_symmetric() != symmetric) {
            return Err(KeySetError::Mixed.into());
        }
        Ok(Self { keys: keys.into(), current: signer })
    }

    /// What verifies the tokens of this ring: all of its keys.
    #[must_use]
    pub fn key_set(&self) -> KeySet {
        let key = |key: &RingKey| SetKey { kid: key.jwk.kid.clone(), key: key.jwk.verifying.clone() };
        KeySet::of(self.keys.iter().map(key).collect())
    }

    /// The keys, in the order of the file.
    #[must_use]
    pub fn keys(&self) -> &[RingKey] {
        &self.keys
    }

    /// The ring as [`KeyRing::from_jwks`] reads it. It holds every private key: what is written of it is for its owner alone.
    #[must_use]
    pub fn to_private_jwks(&self) -> String {
        let keys: Vec<_> = self.keys.iter().map(|key| Value::Object(key.to_private_jwk())).collect();
        format!("{:#}", json!({ "keys": keys }))
    }

    /// A secret for another use, which tells nothing of the keys. Equal current keys and purposes give equal ones.
    ///
    /// It changes with the current key: whoever uses it accepts that what was made with the last one is worth nothing after a
    /// rotation, and that replicas agree only as soon as all have read the same ring.
    ///
    /// # Panics
    /// Never: HMAC takes keys of any length.
    #[must_use]
    pub fn derived(&self, purpose: &str) -> String {
        // Hashed first, so that no key is used in two ways: a token's signature with the same secret is another HMAC.
        let key = Sha256::new()
            .chain_update("phalanx derived secret\0")
            .chain_update(self.current.key.private_bytes())
            .finalize();
        let hmac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes keys of any length");
        BASE64_URL_SAFE_NO_PAD.encode(hmac.chain_update(purpose).finalize().into_bytes())
    }

    /// The current key, and its name.
    pub(crate) fn current(&self) -> (Option<&str>, &SigningKey) {
        (self.current.kid.as_deref(), &self.current.key)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeyRing(..)")
    }
}

impl RingKey {
    /// Its name; a secret may have none.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.jwk.kid.as_deref()
    }

    /// What it signs with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.jwk.verifying.algorithm()
    }

    /// Where it is in its life.
    #[must_use]
    pub fn state(&self) -> KeyState {
        self.state
    }

    fn to_private_jwk(&self) -> Map<String, Value> {
        let mut jwk = described(self.kid(), &self.jwk.verifying);
        let private = self.jwk.signing.iter().flat_map(SigningKey::members);
        jwk.extend(private.map(|(name, value)| ((*name).to_owned(), json!(value))));
        let (state, until) = match self.state {
            KeyState::Next => ("next", None),
            KeyState::Current => ("current", None),
            KeyState::Retired { until } => ("retired", until),
        };
        jwk.insert("state".to_owned(), json!(state));
        if let Some(until) = until {
            jwk.insert("retired_until".to_owned(), json!(until));
        }
        jwk
    }
}

/// The state that a key says it has; retired, if it says nothing.
fn state(jwk: &Map<String, Value>) -> Option<KeyState> {
    let until = match jwk.get("retired_until") {
        None => None,
        Some(until) => Some(until.as_u64()?),
    };
    match jwk.get("state").map(Value::as_str) {
        Some(Some("next")) => Some(KeyState::Next),
        Some(Some("current")) => Some(KeyState::Current),
        Some(Some("retired")) | None => Some(KeyState::Retired { until }),
        Some(_) => None,
    }
}
