//! What the handlers share. Nothing in it outlives the replica.

use std::time::Duration;

use axum::body::Bytes;
use phalanx_auth::{
    AttemptSettings, Attempts, Authenticator, FieldBounds, Fields, FieldsSettings, Hasher, Issuer, KeyRing,
    Keys, LoginId, LoginReaper, Logins, Revocation, Revocations, SessionSettings, Sessions, SharedState,
    StateError, Terms, TokenTypes, UnixMs, Verifier,
};
use phalanx_data::{AccessError, Consistency, Data, Ids, Position};
use phalanx_telemetry::{clock, registry::Registry};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    InstanceName, SessionLifetimes, Settings, TrustedProxies,
    accounts::{Account, Accounts, Reaper},
    idempotency::{self, Idempotency},
    metrics,
    positions::PositionTokens,
    problem::Problem,
    routes::cart,
    sockets::Sockets,
};

const TOKEN_ISSUER: &str = "phalanx";
const TOKEN_AUDIENCE: &str = "api";
const IDEMPOTENCY_PURPOSE: &str = "idempotency keys";
const ATTEMPTS_PURPOSE: &str = "attempts at login";
/// A product's id and its quantity; the bound is only there because every field has one.
const CART_FIELD_BYTES_MAX: usize = 64;

/// What handlers work with.
pub(crate) struct Service {
    pub(crate) accounts: Accounts,
    pub(crate) idempotency: Idempotency,
    pub(crate) positions: PositionTokens,
    pub(crate) hasher: Hasher,
    pub(crate) attempts: Attempts,
    pub(crate) issuer: Issuer,
    pub(crate) authenticator: Authenticator,
    /// What others verify tokens with, as `/.well-known/jwks.json` has it.
    pub(crate) public_keys: Bytes,
    pub(crate) logins: Logins,
    pub(crate) sessions: Sessions,
    pub(crate) session_lifetimes: SessionLifetimes,
    pub(crate) carts: Fields,
    pub(crate) trusted_proxies: TrustedProxies,
    pub(crate) instance: InstanceName,
    pub(crate) sockets: Sockets,
    pub(crate) registry: Registry,
    pub(crate) stop: CancellationToken,
}

/// What a service is made of that was opened before it.
pub(crate) struct Opened {
    pub(crate) ring: KeyRing,
    pub(crate) hasher: Hasher,
    pub(crate) data: Data,
    pub(crate) ids: Ids,
    pub(crate) state: SharedState,
}

/// What keeps a service going: tasks that end after its last request.
pub(crate) struct Upkeep<'u> {
    pub(crate) tasks: &'u mut JoinSet<()>,
    pub(crate) stop: &'u CancellationToken,
}

/// What has become of the logins of an account.
pub(crate) struct EndedLogins {
    /// Where that they have ended can be seen from.
    pub(crate) position: Option<Position>,
    /// Whether their tokens and cookies have ended too.
    pub(crate) told: Result<(), StateError>,
}

impl Service {
    /// Puts the service together, and begins what keeps it going.
    pub(crate) fn new(
        settings: &Settings,
        opened: Opened,
        sockets: Sockets,
        mut registry: Registry,
        upkeep: Upkeep<'_>,
        stop: CancellationToken,
    ) -> Self {
        let Opened { ring, hasher, data, ids, state } = opened;
        metrics::register(&mut registry, &data);
        let accounts = Accounts::new(data.clone(), ids.clone());
        let idempotency = Idempotency::new(data.clone(), ring.derived(IDEMPOTENCY_PURPOSE).as_bytes());
        let logins = Logins::new(data, ids, settings.logins);
        let (revocations, revocation_upkeep) = Revocations::follow(&state, settings.revocation);
        revocations.register(&mut registry);
        let (carts, carts_upkeep) = Fields::new(state.clone(), cart_settings(settings));
        let secret = ring.derived(ATTEMPTS_PURPOSE);
        let attempts = Attempts::new(secret.as_bytes(), &AttemptSettings::default(), Some(&state));
        attempts.register(&mut registry);
        metrics::register_shared_state(&mut registry, &state);

        let Upkeep { tasks, stop: stop_upkeep } = upkeep;
        tasks.spawn(Reaper::new(accounts.clone(), &mut registry).run(stop_upkeep.clone()));
        tasks.spawn(idempotency::Reaper::new(idempotency.clone()).run(stop_upkeep.clone()));
        tasks.spawn(LoginReaper::new(logins.clone(), &mut registry).run(stop_upkeep.clone()));
        tasks.spawn(revocation_upkeep.run(stop_upkeep.clone()));
        tasks.spawn(carts_upkeep.run(stop_upkeep.clone()));

        let terms = Terms {
            issuer: Some(TOKEN_ISSUER.to_owned()),
            audience: Some(TOKEN_AUDIENCE.to_owned()),
            types: TokenTypes::AccessToken,
        };
        let key_set = ring.key_set();
        Self {
            positions: PositionTokens::new(&ring, &mut registry),
            public_keys: key_set.to_public_jwks().into(),
            authenticator: Authenticator::new(
                Verifier::new(Keys::fixed(key_set), terms.clone()),
                revocations,
            ),
            issuer: Issuer::new(ring, terms, settings.access_token_lifetime),
            sessions: Sessions::new(state, session_settings(settings.sessions)),
            session_lifetimes: settings.sessions,
            trusted_proxies: settings.trusted_proxies.clone(),
            instance: settings.instance.clone(),
            accounts,
            idempotency,
            hasher,
            attempts,
            logins,
            carts,
            sockets,
            registry,
            stop,
        }
    }

    /// What is known of tokens that have ended before their time.
    pub(crate) fn revocations(&self) -> &Revocations {
        self.authenticator.revocations()
    }

    /// Revokes logins: their tokens are refused everywhere, and their cookies are gone.
    pub(crate) async fn revoke_logins(&self, logins: &[String]) -> Result<(), StateError> {
        let cookies = self.end_cookies(logins).await;
        // What could not be ended has to be refused for as long as it would live.
        let lifetime = if cookies.is_ok() { self.issuer.lifetime() } else { self.lifetime_max() };
        let entries: Vec<_> =
            logins.iter().map(|login| Revocation::Session { session: login.clone() }).collect();
        self.revocations().revoke(&entries, lifetime).await?;
        cookies
    }

    /// Ends all logins of an account whose epoch has just been raised.
    pub(crate) async fn end_logins(&self, account: &Account) -> Result<EndedLogins, AccessError> {
        let ended = self.logins.end_all(account.id.id(), None, UnixMs::from(clock::wall())).await?;
        Ok(EndedLogins { position: ended.position, told: self.revoke_tokens(account, &ended.logins).await })
    }

    /// Ends the tokens and cookies of an account whose epoch has just been raised, and lets its logins go on.
    pub(crate) async fn end_tokens(&self, account: &Account) -> Result<(), Problem> {
        let now = UnixMs::from(clock::wall());
        let logins = self.logins.list(account.id.id(), &Consistency::primary(), now).await?;
        let logins: Vec<_> = logins.iter().map(|login| login.id).collect();
        Ok(self.revoke_tokens(account, &logins).await?)
    }

    async fn revoke_tokens(&self, account: &Account, logins: &[LoginId]) -> Result<(), StateError> {
        let entry = Revocation::Subject { subject: account.id.to_string(), epoch: account.epoch };
        // Cookies have an epoch too. They are ended as well, but should that fail, this outlives them.
        self.revocations().revoke(&[entry], self.lifetime_max()).await?;
        let logins: Vec<_> = logins.iter().map(ToString::to_string).collect();
        self.end_cookies(&logins).await
    }

    /// The longest that a token or a cookie lives.
    fn lifetime_max(&self) -> Duration {
        self.issuer.lifetime().max(self.session_lifetimes.absolute_timeout)
    }

    async fn end_cookies(&self, logins: &[String]) -> Result<(), StateError> {
        let ids: Vec<_> = logins.iter().map(String::as_str).collect();
        self.sessions.end_many(&ids).await
    }
}

fn cart_settings(settings: &Settings) -> FieldsSettings {
    let bounds = FieldBounds { fields_max: cart::ITEMS_MAX, field_bytes_max: CART_FIELD_BYTES_MAX };
    // Each socket watches one cart.
    FieldsSettings { bounds, watches_max: settings.sockets.sockets_max, ..FieldsSettings::default() }
}

fn session_settings(lifetimes: SessionLifetimes) -> SessionSettings {
    let SessionLifetimes { idle_timeout: idle, absolute_timeout: absolute } = lifetimes;
    SessionSettings { idle, absolute, ..SessionSettings::default() }
}
