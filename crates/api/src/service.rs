//! What the handlers share. Nothing in it outlives the replica.

use axum::body::Bytes;
use phalanx_auth::{
    AttemptSettings, Attempts, Authenticator, FieldBounds, Fields, FieldsSettings, Hasher, Issuer, KeyRing,
    Keys, LoginReaper, Logins, Revocations, SessionSettings, Sessions, SharedState, Terms, TokenTypes,
    Verifier,
};
use phalanx_data::{Data, Ids};
use phalanx_telemetry::registry::Registry;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    InstanceName, SessionLifetimes, Settings, TrustedProxies,
    accounts::{Accounts, Reaper},
    endings::Endings,
    idempotency::{self, Idempotency},
    metrics,
    positions::PositionTokens,
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
    /// What is carried to its end.
    pub(crate) endings: Endings,
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

impl Upkeep<'_> {
    /// Begins a task that ends when it is told to.
    fn begin<T: Future<Output = ()> + Send + 'static>(&mut self, task: impl FnOnce(CancellationToken) -> T) {
        self.tasks.spawn(task(self.stop.clone()));
    }
}

impl Service {
    /// Puts the service together, and begins what keeps it going.
    pub(crate) fn new(
        settings: &Settings,
        opened: Opened,
        sockets: Sockets,
        mut registry: Registry,
        mut upkeep: Upkeep<'_>,
        stop: CancellationToken,
    ) -> Self {
        let Opened { ring, hasher, data, ids, state } = opened;
        metrics::register(&mut registry, &data);
        metrics::register_shared_state(&mut registry, &state);
        let accounts = Accounts::new(data.clone(), ids.clone());
        let reaper = Reaper::new(accounts.clone(), &mut registry);
        upkeep.begin(|stop| reaper.run(stop));
        let idempotency = Idempotency::new(data.clone(), ring.derived(IDEMPOTENCY_PURPOSE).as_bytes());
        let reaper = idempotency::Reaper::new(idempotency.clone());
        upkeep.begin(|stop| reaper.run(stop));
        let logins = Logins::new(data, ids, settings.logins);
        let reaper = LoginReaper::new(logins.clone(), &mut registry);
        upkeep.begin(|stop| reaper.run(stop));
        let (revocations, feed) = Revocations::follow(&state, settings.revocation);
        revocations.register(&mut registry);
        upkeep.begin(|stop| feed.run(stop));
        let (carts, watches) = Fields::new(state.clone(), cart_settings(settings));
        upkeep.begin(|stop| watches.run(stop));
        let secret = ring.derived(ATTEMPTS_PURPOSE);
        let attempts = Attempts::new(secret.as_bytes(), &AttemptSettings::default(), Some(&state));
        attempts.register(&mut registry);
        let keys = ring.key_set();
        Self {
            positions: PositionTokens::new(&ring, &mut registry),
            public_keys: keys.to_public_jwks().into(),
            authenticator: Authenticator::new(Verifier::new(Keys::of(keys), terms()), revocations),
            issuer: Issuer::new(ring, terms(), settings.access_token_lifetime),
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
            endings: Endings::default(),
            registry,
            stop,
        }
    }

    /// What is known of tokens that have ended before their time.
    pub(crate) fn revocations(&self) -> &Revocations {
        self.authenticator.revocations()
    }
}

/// What this service's tokens say of themselves.
fn terms() -> Terms {
    Terms {
        issuer: Some(TOKEN_ISSUER.to_owned()),
        audience: Some(TOKEN_AUDIENCE.to_owned()),
        types: TokenTypes::AccessToken,
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
