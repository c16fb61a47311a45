//! What tokens are signed with, how long they and what they belong to last, and where it is told that they are void.

use std::{
    fs::File,
    io::{self, Read as _},
    num::NonZeroU16,
    time::Duration,
};

use phalanx_auth::{
    JWKS_BYTES_MAX, KeyRing, LoginSettings, RevocationSettings, SECRET_BYTES_MIN, StalePolicy,
};

use super::{Environment, RedisUrl};

const DAY: Duration = Duration::from_hours(24);
const ACCESS_TOKEN_LIFETIME: Duration = Duration::from_mins(10);
/// Revocations are kept in memory for as long as a token can live.
pub(crate) const ACCESS_TOKEN_LIFETIME_MAX: Duration = DAY.saturating_mul(7);
const LOGIN_LIFETIME_MAX: Duration = DAY.saturating_mul(400);
const SESSION_LIFETIME_MAX: Duration = DAY.saturating_mul(30);

/// How long the cookie session of a login lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLifetimes {
    /// `SESSION_IDLE_TIMEOUT`: one that is not used for so long is over; default `24h`.
    pub idle_timeout: Duration,
    /// `SESSION_ABSOLUTE_TIMEOUT`: it is over so long after it began; default `7d`.
    pub absolute_timeout: Duration,
}

impl Environment<'_> {
    pub(super) fn redis_url(&mut self) -> Option<RedisUrl> {
        let url = RedisUrl::of(self.get("REDIS_URL")?);
        if url.is_none() {
            // It may hold a password, so it is not repeated.
            let remedy = "write it as redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]; TLS is not supported";
            self.fault("REDIS_URL", "is no URL of a Redis", remedy);
        }
        url
    }

    pub(super) fn token_keys(&mut self) -> Option<KeyRing> {
        match ((self.variable)("JWT_SECRET"), self.get("JWT_KEYS")) {
            (Some(_), Some(_)) => {
                self.fault("JWT_KEYS", "is set beside JWT_SECRET", "unset one of them: one ring signs");
                None
            }
            (Some(secret), None) => self.ring_of_secret(&secret),
            (None, Some(keys)) => self.ring_of_set(keys),
            (None, None) => None,
        }
    }

    fn ring_of_secret(&mut self, secret: &str) -> Option<KeyRing> {
        let ring = KeyRing::from_secret(secret.as_bytes());
        ring.map_err(|weak| {
            let problem = format!("has {} bytes", weak.bytes);
            let remedy =
                format!("give at least {SECRET_BYTES_MIN}, as `openssl rand -hex 32` prints, or unset it");
            self.fault("JWT_SECRET", problem, remedy);
        })
        .ok()
    }

    fn ring_of_set(&mut self, keys: String) -> Option<KeyRing> {
        let text = match key_set(keys) {
            Ok(text) => text,
            Err((path, error)) => {
                let remedy = "give a readable file, or the JWK set itself, which begins with `{`";
                self.fault("JWT_KEYS", format!("is `{path}`, which cannot be read: {error}"), remedy);
                return None;
            }
        };
        let ring = KeyRing::from_jwks(&text);
        ring.map_err(|error| {
            let cause =
                std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            let remedy = "give a JWK set with one private key that is current, as `phalanx token keys` makes";
            self.fault("JWT_KEYS", format!("cannot be used: {error}{cause}"), remedy);
        })
        .ok()
    }

    pub(super) fn access_token_lifetime(&mut self) -> Duration {
        let range = Duration::from_secs(1)..=ACCESS_TOKEN_LIFETIME_MAX;
        self.duration("ACCESS_TOKEN_TTL", ACCESS_TOKEN_LIFETIME, range)
    }

    pub(super) fn logins(&mut self) -> LoginSettings {
        let mut logins = LoginSettings::default();
        let range = Duration::from_mins(1)..=LOGIN_LIFETIME_MAX;
        logins.idle_timeout = self.duration("REFRESH_TOKEN_TTL", logins.idle_timeout, range.clone());
        logins.absolute_timeout = self.duration("LOGIN_TTL", logins.absolute_timeout, range);
        let most = usize::from(logins.live_max.get());
        let live_max = self.number("LOGINS_MAX", most, 1..=1000);
        logins.live_max = u16::try_from(live_max).ok().and_then(NonZeroU16::new).unwrap_or(logins.live_max);
        logins
    }

    pub(super) fn sessions(&mut self) -> SessionLifetimes {
        let range = Duration::from_mins(1)..=SESSION_LIFETIME_MAX;
        SessionLifetimes {
            idle_timeout: self.duration("SESSION_IDLE_TIMEOUT", DAY, range.clone()),
            absolute_timeout: self.duration("SESSION_ABSOLUTE_TIMEOUT", DAY * 7, range),
        }
    }

    pub(super) fn revocation(&mut self) -> RevocationSettings {
        let choices = [("ask", StalePolicy::Ask), ("refuse", StalePolicy::Refuse)];
        RevocationSettings {
            stale_policy: self.choice("REVOCATION_STALE", &choices),
            ..RevocationSettings::default()
        }
    }
}

/// The text of a JWK set, or that of the file at this path.
fn key_set(text_or_path: String) -> Result<String, (String, io::Error)> {
    if text_or_path.trim_start().starts_with('{') {
        return Ok(text_or_path);
    }
    let mut text = String::new();
    // One more than there may be shows that it is too long: what the path names need not be a file, nor end.
    let read = File::open(&text_or_path)
        .and_then(|file| file.take(JWKS_BYTES_MAX as u64 + 1).read_to_string(&mut text))
        .and_then(|bytes| match bytes {
            0..=JWKS_BYTES_MAX => Ok(()),
            _ => Err(io::Error::other(format!("it has more than {JWKS_BYTES_MAX} bytes"))),
        });
    read.map(|()| text).map_err(|error| (text_or_path, error))
}
