//! `phalanx-bench fleet`: what a fleet of replicas that do nothing costs Phalanx, how fast many replicas start, and how fast a step
//! in load is followed.
//!
//! Elsewhere: one part each in `idle`, `start` and `step`; a running fleet in `place`.

mod idle;
mod place;
mod report;
pub(crate) mod service;
mod start;
mod step;

use std::{collections::BTreeSet, path::PathBuf};

use anyhow::Context;
use clap::value_parser;

use crate::{
    cores::Placement,
    files,
    load::Schedule,
    machine::Machine,
    programs::{Program, Programs},
    service::Site,
};

/// The options of the measurements.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// What to measure
    #[arg(long, value_delimiter = ',', default_values = ["idle", "start", "step"])]
    parts: Vec<Part>,
    /// How often everything is measured; rounds are interleaved and medians reported
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Length of each window over an idle fleet, in seconds
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u32).range(1..=3_600))]
    seconds: u32,
    /// How long a fleet is left alone before a window, in seconds
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u32).range(1..=3_600))]
    warmup_seconds: u32,
    /// Replicas of the idle fleet, and of the largest that is started
    #[arg(long, default_value_t = 50, value_parser = value_parser!(u32).range(1..=1_000))]
    replicas: u32,
    /// The phalanx binary [default: the one beside this program]
    #[arg(long)]
    phalanx: Option<PathBuf>,
}

/// What can be measured alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
enum Part {
    /// CPU time and memory of Phalanx with replicas that do nothing
    Idle,
    /// From the start of Phalanx until every replica of the reference API is ready
    Start,
    /// From a step in load until the autoscaler has brought the capacity for it
    Step,
}

/// Everything that was measured; what was not asked for is empty.
#[derive(Clone, Debug, PartialEq)]
struct Measurements {
    schedule: Schedule,
    replicas: u32,
    idle: Vec<idle::Window>,
    start: Vec<start::Start>,
    step: Vec<step::Step>,
}

/// Measures what is asked for, and prints the report.
pub(crate) async fn measure(options: Options) -> anyhow::Result<()> {
    let parts: BTreeSet<Part> = options.parts.iter().copied().collect();
    let wanted = [Program::Phalanx, Program::Setpriv].into();
    let programs = Programs::find(&wanted, options.phalanx.as_deref())?;
    let placement = Placement::here().context("find the cores of this process")?;
    let machine = Machine::here(placement, &programs);
    files::raise_open_max()?;
    let directory = files::directory()?;
    let site = Site { programs: &programs, directory: directory.path(), placement };
    let schedule = Schedule {
        rounds: options.rounds,
        warmup_seconds: options.warmup_seconds,
        window_seconds: options.seconds,
    };
    let mut measurements = Measurements {
        schedule,
        replicas: options.replicas,
        idle: Vec::new(),
        start: Vec::new(),
        step: Vec::new(),
    };
    // Each part has fleets of its own, which are gone before the next begins.
    for part in parts {
        match part {
            Part::Idle => measurements.idle = idle::measure(site, schedule, options.replicas).await?,
            Part::Start => {
                measurements.start = start::measure(site, schedule.rounds, options.replicas).await?;
            }
            Part::Step => measurements.step = step::measure(site, schedule.rounds).await?,
        }
    }
    print!("{}", report::markdown(&machine, &measurements));
    Ok(())
}
