//! What read-your-writes costs: the same reads with and without the token of a position, over a primary and two replicas.
//!
//! The token is that of a write a moment before the window: the replicas have yet to show that they are so far, and the
//! service has yet to learn that they are.

use std::{fmt, time::Duration};

use anyhow::{Context, ensure};

use super::users::{self, Cost};
use crate::{
    database::{Database, ROWS},
    http::{self, Connection},
    load::{Schedule, rotated},
    service::{Service, Site},
    wrk::{Served, Wrk},
};

const HEADER: &str = "Phalanx-Position";
/// One that nobody reads, as long as the other: wrk itself pays for each header that it sends.
const HEADER_UNREAD: &str = "Unread-Positions";
const IGNORED: &str = "phalanx_position_tokens_ignored_total ";

/// What the reads bring along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reads {
    Eventual,
    OwnWrites,
}

impl fmt::Display for Reads {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Eventual => "no token",
            Self::OwnWrites => "Phalanx-Position",
        })
    }
}

/// One kind of reads in one round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    pub(super) round: u32,
    pub(super) reads: Reads,
    pub(super) served: Served,
    pub(super) service_cpu: Duration,
    pub(super) databases_cpu: Duration,
}

/// Measures all rounds.
pub(super) async fn measure(
    site: Site<'_>,
    schedule: Schedule,
    connections: u32,
) -> anyhow::Result<Vec<Window>> {
    let primary = Database::start().await?;
    let replicas = [primary.replica().await?, primary.replica().await?];
    let urls: Vec<String> = replicas.iter().map(Database::url).collect();
    let mut api = site.start_api("api-positions", &primary.url(), &urls, site.placement.proxy)?;
    api.until_answers().await.context("start the reference API")?;
    primary.fill_accounts().await?;
    for replica in &replicas {
        replica.caught_up(&primary).await?;
    }
    primary.checkpoint().await?;
    let wrk = users::wrk(site, ROWS)?;
    let [first, second] = replicas;
    let databases = [primary, first, second];
    let cost = Cost { service: &api, databases: &databases };
    let mut windows = Vec::new();
    for round in 1..=schedule.rounds {
        for &reads in rotated(&[Reads::Eventual, Reads::OwnWrites], round) {
            let window = measure_window(&cost, &wrk, connections, schedule, (round, reads)).await;
            let window = window.with_context(|| format!("measure {reads} in round {round}"))?;
            eprintln!(
                "round {round} of {}: positions {reads:<18} {:8.0} requests/s {} errors",
                schedule.rounds,
                window.served.requests as f64 / window.served.elapsed.as_secs_f64(),
                window.served.errors.total(),
            );
            windows.push(window);
        }
    }
    Ok(windows)
}

async fn measure_window(
    cost: &Cost<'_>,
    wrk: &Wrk,
    connections: u32,
    schedule: Schedule,
    (round, reads): (u32, Reads),
) -> anyhow::Result<Window> {
    let warmup = wrk.run(cost.service.address, "/", connections, schedule.warmup_seconds);
    warmup.await.context("warm up")?;
    // Both kinds write: only what the reads say of it is to differ.
    let token = write(cost.service).await.context("write")?;
    let wrk = match reads {
        Reads::Eventual => wrk.with_header(HEADER_UNREAD, &token),
        Reads::OwnWrites => wrk.with_header(HEADER, &token),
    };
    let (served, service_cpu, databases_cpu) = cost.of_window(&wrk, connections, schedule).await?;
    let metrics = http::get(cost.service.address, "/metrics").await.context("ask for the metrics")?;
    let ignored = ignored_tokens(&metrics.body).context("no count of ignored tokens in the metrics")?;
    ensure!(ignored == 0, "{ignored} reads were served as if they had brought no token");
    Ok(Window { round, reads, served, service_cpu, databases_cpu })
}

/// A token that does not hold is no fault to the service, and would make the comparison one of equals.
fn ignored_tokens(metrics: &str) -> Option<u64> {
    let mut samples = metrics.lines().filter_map(|line| line.strip_prefix(IGNORED));
    samples.next()?.trim().parse().ok()
}

/// Registers somebody, and returns the token that says where the databases were then.
async fn write(service: &Service) -> anyhow::Result<String> {
    let json = format!(
        r#"{{"email":"bench-{:x}@example.com","password":"a long passphrase {:x}","name":"Bench"}}"#,
        fastrand::u64(..),
        fastrand::u64(..),
    );
    let response = Connection::open(service.address).await?.post("/api/auth/register", &json).await?;
    ensure!(response.status == 201, "status {}: {}", response.status, response.body);
    let token = response.header(HEADER).context("no position in the response to a write")?;
    Ok(token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::ignored_tokens;

    #[test]
    fn ignored_tokens_are_read_from_the_metrics() {
        let metrics = "# TYPE phalanx_position_tokens_ignored counter\nphalanx_position_tokens_ignored_total 7\n# EOF\n";
        assert_eq!(ignored_tokens(metrics), Some(7));
        assert_eq!(ignored_tokens("# EOF"), None);
    }
}
