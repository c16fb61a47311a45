//! `phalanx data reshard`.

mod json;
mod shown;

use anyhow::Context as _;
use phalanx_api::Settings;
use phalanx_data::{
    ServerSettings, Servers, Topology,
    reshard::{self, Options, Outcome, Report, ReshardError, Resharding},
};
use phalanx_shard::plan::Plan;
use tokio_util::sync::CancellationToken;

use self::{json::Lines, shown::Shown};
use crate::{
    cli::DataReshardArguments,
    exit::Failure,
    signals::{Signals, StopSignal},
    terminal,
};

/// Does what was asked for.
pub(crate) async fn run(settings: &Settings, arguments: &DataReshardArguments) -> Result<(), Failure> {
    let Topology::Servers(servers) = &settings.topology else {
        return Err(Failure::Setting(anyhow::anyhow!(
            "buckets move between servers, and none is named: set DATABASE_SHARD_1_PRIMARY, DATABASE_SHARD_2_PRIMARY and so on"
        )));
    };
    let (connections, placement) = (&settings.data.connections, settings.data.placement);
    let Some(shards_to) = arguments.to else { return go_on(servers, connections, arguments).await };
    if arguments.dry_run {
        let plan = reshard::plan(servers, connections, placement, shards_to).await;
        return told(arguments, plan);
    }
    let options = Options { soak: arguments.soak, ..Options::new(shards_to) };
    match Resharding::begin(servers, connections, placement, options).await {
        Ok(resharding) => finished(watched(resharding, arguments).await?, arguments),
        Err(error) => told(arguments, Err(error)),
    }
}

/// Asks the one under way for something, and runs it unless another process does.
async fn go_on(
    servers: &Servers,
    connections: &ServerSettings,
    arguments: &DataReshardArguments,
) -> Result<(), Failure> {
    let asked = if arguments.back {
        Some(("to go back", reshard::ask_back(servers, connections).await.map_err(refused)?))
    } else if arguments.finish {
        Some(("to end the soak", reshard::finish_soak(servers, connections).await.map_err(refused)?))
    } else {
        None
    };
    if let Some((what, stage)) = asked {
        terminal::progress(&format!("asked {what} in the stage {stage}"));
    }
    match Resharding::resume(servers, connections).await {
        Ok(resharding) => finished(watched(resharding, arguments).await?, arguments),
        Err(ReshardError::Busy { .. }) if asked.is_some() => {
            terminal::progress("the process that runs it does the rest");
            Ok(())
        }
        Err(error) => Err(refused(error)),
    }
}

/// Runs it to its end, or to a signal's.
async fn watched(resharding: Resharding, arguments: &DataReshardArguments) -> Result<Outcome, Failure> {
    let mut signals = Signals::listen().context("listen to signals").map_err(Failure::Runtime)?;
    let stop = CancellationToken::new();
    let mut lines = Lines::default();
    let mut shown = Shown::of(&resharding.report());
    let report = |report: &Report| if arguments.json { lines.report(report) } else { shown.report(report) };
    let mut running = std::pin::pin!(resharding.run(report, stop.clone()));
    let mut told_to_stop = None;
    let outcome = loop {
        tokio::select! {
            outcome = &mut running => break outcome.map_err(refused)?,
            signal = signals.stop() => match told_to_stop {
                Some(_) => return Err(Failure::Signal(signal)),
                None => {
                    terminal::progress("stopping as soon as no writes wait; a second signal stops at once");
                    told_to_stop = Some(signal);
                    stop.cancel();
                }
            },
        }
    };
    match (outcome, told_to_stop) {
        (Outcome::Stopped(stage), signal) => {
            terminal::progress(&format!(
                "stopped in the stage {stage}: `phalanx data reshard --resume` goes on"
            ));
            Err(Failure::Signal(signal.unwrap_or(StopSignal::Terminate)))
        }
        (outcome, _) => Ok(outcome),
    }
}

fn finished(outcome: Outcome, arguments: &DataReshardArguments) -> Result<(), Failure> {
    let (name, text) = match outcome {
        Outcome::Done => ("done", "the buckets have moved"),
        Outcome::Aborted => ("aborted", "the buckets are where they were"),
        Outcome::Stopped(_) => return Ok(()),
    };
    if arguments.json {
        json::outcome(name);
    } else {
        terminal::say(text);
    }
    match outcome {
        Outcome::Aborted if !arguments.back => {
            Err(Failure::Runtime(anyhow::anyhow!("it went back: `phalanx data status` shows why")))
        }
        _ => Ok(()),
    }
}

/// Says what would move. Nothing to move is an answer, too.
fn told(arguments: &DataReshardArguments, plan: Result<Plan, ReshardError>) -> Result<(), Failure> {
    let moves = match plan {
        Ok(plan) => plan.moves,
        Err(ReshardError::NothingToMove { .. }) => Vec::new(),
        Err(error) => return Err(refused(error)),
    };
    if arguments.json {
        json::plan(&moves);
        return Ok(());
    }
    if moves.is_empty() {
        terminal::say("nothing is to move: the shards hold the buckets evenly already");
    }
    for step in &moves {
        terminal::say(&format!(
            "{} buckets from shard {} to shard {}: {}",
            step.buckets.len(),
            step.source,
            step.target,
            step.buckets
        ));
    }
    Ok(())
}

fn refused(error: ReshardError) -> Failure {
    match error {
        ReshardError::ShardsMissing { .. } | ReshardError::Plan(_) | ReshardError::OtherShard { .. } => {
            Failure::Setting(error.into())
        }
        error if error.may_pass() => Failure::Unreachable(error.into()),
        error => Failure::Runtime(error.into()),
    }
}
