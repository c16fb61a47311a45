//! A step in load, from none to what five replicas can do: how long until the autoscaler wants them, and until they serve.

use std::{env, fmt, num::NonZeroU32, time::Duration};

use anyhow::{Context, ensure};
use phalanx_telemetry::clock;

use super::{place::Place, service::BODY};
use crate::{
    fixed_rate::{FixedRate, Target},
    load::rotated,
    service::Site,
};

/// Four fifths of what five replicas can do, and four times what one can.
pub(super) const RATE: NonZeroU32 = NonZeroU32::new(200).expect("200 is not zero");
/// How long a replica takes until it listens.
const BOOT: Duration = Duration::from_secs(2);
/// For each request, of which a replica does one at a time: 50 a second.
const WORK: Duration = Duration::from_millis(20);
const REPLICAS: u32 = 5;
const CONNECTIONS: u32 = 64;
/// From the step on.
const LENGTH: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(30);

/// By which rules is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Kubernetes,
    Fast,
}

pub(super) const MODES: [Mode; 2] = [Mode::Kubernetes, Mode::Fast];

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Kubernetes => "`mode = \"kubernetes\"`",
            Self::Fast => "`mode = \"fast\"`",
        })
    }
}

impl Mode {
    /// Shorter than the default for the first, so that a round ends.
    pub(super) fn interval(self) -> Duration {
        Duration::from_secs(match self {
            Self::Kubernetes => 5,
            Self::Fast => 2,
        })
    }

    /// Both go by requests in flight: a service that is short of replicas answers no more requests a second than they can do.
    fn keys(self) -> &'static str {
        match self {
            Self::Kubernetes => {
                "mode = 'kubernetes'\ninterval = '5s'\nscale_up = { policies = [{ percent = 900, period = '15s' }] }\n\
                 metrics = [{ in_flight = 4 }]"
            }
            Self::Fast => "mode = 'fast'\ninterval = '2s'\nmetrics = [{ in_flight = 4 }]",
        }
    }
}

/// One step in one round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) mode: Mode,
    /// Of the first replica, with that of Phalanx.
    pub(super) start_up: Duration,
    /// From the step until all are wanted.
    pub(super) decided: Duration,
    /// From the step until all serve.
    pub(super) served: Duration,
    /// Requests that were not answered as they have to be.
    pub(super) errors: u64,
}

/// Measures all rounds.
pub(super) async fn measure(site: Site<'_>, rounds: u32) -> anyhow::Result<Vec<Step>> {
    let mut steps = Vec::new();
    for round in 1..=rounds {
        for &mode in rotated(&MODES, round) {
            let step = step(site, mode).await;
            let step = step.with_context(|| format!("measure {mode} in round {round}"))?;
            eprintln!(
                "round {round} of {rounds}: {mode:<22} decided after {:.2} s, served after {:.2} s",
                step.decided.as_secs_f64(),
                step.served.as_secs_f64(),
            );
            steps.push(step);
        }
    }
    Ok(steps)
}

async fn step(site: Site<'_>, mode: Mode) -> anyhow::Result<Step> {
    let program = env::current_exe().context("find this program")?;
    let service = format!(
        "command = ['{}', 'service', '--boot', '{}', '--work', '{}']\nbalance = 'least_connections'\n\
         probes.startup = {{ path = '/ready', period = '100ms', failure = 1000 }}\n\
         probes.readiness = {{ path = '/ready', period = '1s', timeout = '10s' }}\n\
         [service.api.autoscale]\nmin = 1\nmax = {REPLICAS}\n{}",
        program.display(),
        BOOT.as_millis(),
        WORK.as_millis(),
        mode.keys(),
    );
    let began = clock::now();
    let place = Place::start(site, "step", &service).await?;
    place.until_serving(1).await?;
    let start_up = began.elapsed();
    // Longer than an interval: the autoscaler has seen that there is no load.
    tokio::time::sleep(2 * mode.interval()).await;
    let target = Target {
        address: place.gateway,
        path: "/".to_owned(),
        fields: String::new(),
        body_bytes: BODY.len() as u64,
        patience: PATIENCE,
    };
    let mut load = FixedRate::connect(&target, CONNECTIONS).await.context("connect")?;
    let began = clock::now();
    let watched = async {
        place.until_desired(REPLICAS).await?;
        let decided = began.elapsed();
        place.until_serving(REPLICAS).await?;
        anyhow::Ok((decided, began.elapsed()))
    };
    let offered = async { load.offer(RATE, LENGTH).await.context("offer") };
    let ((decided, served), offered) = tokio::try_join!(watched, offered)?;
    ensure!(served < LENGTH, "the load ended before {REPLICAS} replicas served");
    Ok(Step { mode, start_up, decided, served, errors: offered.faults.values().sum() })
}
