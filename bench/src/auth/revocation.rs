//! From the answer to a logout until the access token is refused everywhere: at every replica and by the gateway itself.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, ensure};
use phalanx_telemetry::clock;
use tokio::task::JoinSet;

use super::fleet::{self, EDGE, Fleet, PROFILE};
use crate::{http::Connection, service::Site};

const EMAIL: &str = "revocation@example.com";
const POLL: Duration = Duration::from_millis(1);
/// What takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came of all logouts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Run {
    /// From the answer to the last verifier's first refusal; the replica that was asked is one of them.
    pub(super) everywhere: Vec<Duration>,
    /// The same of the gateway alone.
    pub(super) at_gateway: Vec<Duration>,
}

/// Logs in and out so many times.
pub(super) async fn measure(site: Site<'_>, logouts: u32) -> anyhow::Result<Run> {
    let fleet = Fleet::start(site).await?;
    let mut front = Connection::open(fleet.gateway).await?;
    fleet::register(&mut front, EMAIL).await?;
    let mut verifiers = vec![(fleet.gateway, EDGE)];
    verifiers.extend(fleet.replicas.iter().map(|replica| (*replica, PROFILE)));
    let mut run = Run { everywhere: Vec::new(), at_gateway: Vec::new() };
    for number in 0..logouts {
        let login = fleet::log_in(&mut front, EMAIL).await?;
        let fields = login.authorization();
        for (address, path) in &verifiers {
            let answer = Connection::open(*address).await?.get_with(path, &fields).await?;
            ensure!(answer.status == 200, "{address}{path} does not take a good token: {}", answer.status);
        }
        let through = fleet.replicas[number as usize % fleet.replicas.len()];
        let answer = Connection::open(through).await?.post_with("/api/auth/logout", &fields, "{}").await?;
        ensure!(matches!(answer.status, 200 | 204), "log out: status {}: {}", answer.status, answer.body);
        let answered = clock::now();
        let mut watching = JoinSet::new();
        for (address, path) in verifiers.clone() {
            watching.spawn(until_refused(address, path, fields.clone()));
        }
        let mut last = Duration::ZERO;
        while let Some(refused) = watching.join_next().await {
            let (address, at) = refused.context("a task of the load")??;
            let took = at.saturating_duration_since(answered);
            if address == fleet.gateway {
                run.at_gateway.push(took);
            }
            last = last.max(took);
        }
        run.everywhere.push(last);
    }
    Ok(run)
}

async fn until_refused(
    address: SocketAddr,
    path: &'static str,
    fields: String,
) -> anyhow::Result<(SocketAddr, std::time::Instant)> {
    let mut connection = Connection::open(address).await?;
    let begun = clock::now();
    loop {
        let answer = connection.get_with(path, &fields).await?;
        match answer.status {
            401 => return Ok((address, clock::now())),
            200 => ensure!(clock::now() - begun < PATIENCE, "{address}{path} still takes a revoked token"),
            status => anyhow::bail!("{address}{path} answers {status}: {}", answer.body),
        }
        tokio::time::sleep(POLL).await;
    }
}
