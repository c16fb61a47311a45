//! From the start of Phalanx until every replica of the reference API is ready, over embedded storage.

use std::time::Duration;

use anyhow::Context;
use phalanx_telemetry::clock;

use super::place::Place;
use crate::{load::rotated, service::Site, usage::CpuReading};

/// How many are started besides as many as are asked for: one shows what each takes, some how it grows.
const FEWER: [u32; 2] = [1, 10];

/// One start of so many in one round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Start {
    pub(super) replicas: u32,
    pub(super) elapsed: Duration,
    /// CPU time of Phalanx and all replicas until then: divided by the cores, what the machine needs for it at least.
    pub(super) cpu: Duration,
}

/// How many replicas there are in each row.
pub(super) fn rows(replicas: u32) -> Vec<u32> {
    FEWER.into_iter().filter(|fewer| *fewer < replicas).chain([replicas]).collect()
}

/// Measures all rounds.
pub(super) async fn measure(site: Site<'_>, rounds: u32, replicas: u32) -> anyhow::Result<Vec<Start>> {
    let mut starts = Vec::new();
    for round in 1..=rounds {
        for &replicas in rotated(&rows(replicas), round) {
            let start = start(site, round, replicas).await;
            let start = start.with_context(|| format!("start {replicas} replicas in round {round}"))?;
            eprintln!(
                "round {round} of {rounds}: {replicas:>4} replicas ready after {:.2} s, {:.2} s of CPU time",
                start.elapsed.as_secs_f64(),
                start.cpu.as_secs_f64(),
            );
            starts.push(start);
        }
    }
    Ok(starts)
}

async fn start(site: Site<'_>, round: u32, replicas: u32) -> anyhow::Result<Start> {
    // Storage of its own: the first replica creates it, as at the first start of all.
    let name = format!("start-{round}-{replicas}");
    let data = site.subdirectory(&name)?.join("data");
    let service = format!(
        "command = ['phalanx', 'api']\nreplicas = {replicas}\nprotocol = 'auto'\nenv = {{ DATA_DIR = '{}' }}\n\
         probes.startup = {{ path = '/ready', period = '50ms', timeout = '30s', failure = 1000 }}\n\
         probes.readiness = {{ path = '/ready', period = '1s', timeout = '30s' }}",
        data.display()
    );
    let began = clock::now();
    let place = Place::start(site, &name, &service).await?;
    place.until_serving(replicas).await?;
    let elapsed = began.elapsed();
    // Each of them takes less than a clock tick; none has ended by then.
    let cpu = CpuReading::of(place.pid())?.since(&CpuReading::nothing()).used;
    Ok(Start { replicas, elapsed, cpu })
}

#[cfg(test)]
mod tests {
    use super::rows;

    #[test]
    fn fewer_are_started_only_where_they_are_fewer() {
        assert_eq!(rows(50), [1, 10, 50]);
        assert_eq!(rows(10), [1, 10]);
        assert_eq!(rows(1), [1]);
    }
}
