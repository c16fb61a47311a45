//! What `[auth]` becomes: keys, and the feed of revocations.

use anyhow::Context as _;
use phalanx_auth::{
    RevocationSettings, RevocationUpkeep, Revocations, SharedState, StalePolicy, StateOpenError,
    StateSettings, StateUpkeep,
};
use phalanx_config::{Auth, Revocation, RevocationStore, StaleFeed};
use phalanx_data::DataDirectory;
use phalanx_gateway::Verification;
use tokio_util::sync::CancellationToken;

use crate::exit::Failure;

/// What keeps a [`Verification`] up to date.
#[derive(Default)]
pub(super) struct Upkeep {
    feed: Option<(StateUpkeep, RevocationUpkeep)>,
}

impl Upkeep {
    /// Runs until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        if let Some((state, feed)) = self.feed {
            tokio::join!(state.run(stop.clone()), feed.run(stop.clone()));
        }
        stop.cancelled().await;
    }
}

/// Opens what `[auth]` names. A Redis or an issuer that is away is no failure: each is looked for until it is there.
pub(super) async fn open(auth: &Auth) -> Result<(Verification, Upkeep), Failure> {
    let (revocations, feed) = match &auth.revocation {
        None => (None, None),
        Some(revocation) => {
            let (state, state_upkeep) = open_state(&revocation.store)
                .await
                .context("open `revocation` of `[auth]`")
                .map_err(Failure::Setting)?;
            let (revocations, upkeep) = Revocations::follow(&state, settings(revocation));
            (Some(revocations), Some((state_upkeep, upkeep)))
        }
    };
    let verification = Verification::new(auth, revocations)
        .context("read `secret` of `[auth]`")
        .map_err(Failure::Setting)?;
    Ok((verification, Upkeep { feed }))
}

async fn open_state(store: &RevocationStore) -> Result<(SharedState, StateUpkeep), StateOpenError> {
    match store {
        RevocationStore::Redis(url) => SharedState::redis(url.reveal(), StateSettings::default()).await,
        RevocationStore::Sqlite(directory) => SharedState::embedded(DataDirectory::create(directory)?).await,
    }
}

fn settings(revocation: &Revocation) -> RevocationSettings {
    let stale_policy = match revocation.stale {
        StaleFeed::Ask => StalePolicy::Ask,
        StaleFeed::Refuse => StalePolicy::Refuse,
    };
    RevocationSettings { feed_age_max: revocation.lag, stale_policy, ..RevocationSettings::default() }
}
