//! What `[auth]` becomes: keys, and the feed of revocations.

use std::net::{IpAddr, SocketAddr};

use anyhow::Context as _;
use phalanx_auth::{
    RemoteKeysSettings, RevocationSettings, RevocationUpkeep, Revocations, SharedState, StalePolicy,
    StateOpenError, StateSettings, StateUpkeep,
};
use phalanx_config::{Auth, KeySource, Revocation, RevocationStore, StaleFeed};
use phalanx_data::DataDirectory;
use phalanx_gateway::{Verification, VerificationUpkeep};
use tokio_util::sync::CancellationToken;

use crate::exit::Failure;

/// What keeps a [`Verification`] up to date.
pub(super) struct Upkeep {
    keys: VerificationUpkeep,
    feed: Option<(StateUpkeep, RevocationUpkeep)>,
}

impl Upkeep {
    /// Runs until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        let Self { keys, feed } = self;
        let feed = async {
            if let Some((state, feed)) = feed {
                tokio::join!(state.run(stop.clone()), feed.run(stop.clone()));
            }
        };
        tokio::join!(keys.run(stop.clone()), feed);
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
    warn_of_open_way(&auth.keys);
    let (verification, keys) = Verification::new(auth, RemoteKeysSettings::default(), revocations)
        .context("read the keys of `[auth]`")
        .map_err(Failure::Setting)?;
    Ok((verification, Upkeep { keys, feed }))
}

/// Tells that keys come in the open over a network that may be anybody's.
fn warn_of_open_way(keys: &KeySource) {
    if let KeySource::Jwks(url) = keys
        && is_open_way(url)
    {
        tracing::warn!(%url, "keys are fetched without TLS: whoever is on the way can put in others");
    }
}

/// Whether a URL is one without TLS whose host is not known to be near. A name may lead anywhere.
fn is_open_way(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return false };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let is_near =
        match authority.parse::<SocketAddr>().map(|address| address.ip()).or_else(|_| authority.parse()) {
            Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private(),
            Ok(IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unique_local(),
            Err(_) => authority.split(':').next() == Some("localhost") || authority == "[::1]",
        };
    !is_near
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_in_the_open_unless_their_issuer_is_near() {
        for (url, expected) in [
            ("https://id.example.com/jwks", false),
            ("http://127.0.0.1:3000/jwks", false),
            ("http://[::1]:3000/jwks", false),
            ("http://[::1]/jwks", false),
            ("http://localhost:3000/jwks", false),
            ("http://10.0.0.7/jwks?v=1", false),
            ("http://192.168.1.2:80", false),
            ("http://[fd00::1]:80/", false),
            ("http://id.example.com/jwks", true),
            ("http://localhost.example.com/jwks", true),
            ("http://203.0.113.1:3000/jwks", true),
            ("http://[2001:db8::1]:80/", true),
        ] {
            assert_eq!(is_open_way(url), expected, "{url}");
        }
    }
}
