//! `phalanx-bench auth`: what a token costs a request, and how fast and how well it is taken back, with real servers.
//!
//! Elsewhere: one part each in `profile`, `flood`, `refresh` and `revocation`.

mod fleet;
mod flood;
mod profile;
mod raw;
mod refresh;
mod report;
mod revocation;
mod signing;

use std::{collections::BTreeSet, path::PathBuf};

use anyhow::Context;
use clap::value_parser;

use crate::{
    cores::Placement,
    files,
    load::Schedule,
    machine::Machine,
    programs::{Program, Programs},
    service::{Site, express_versions},
};

/// The options of the measurements.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// What to measure
    #[arg(long, value_delimiter = ',', default_values = ["profile", "flood", "refresh", "revocation"])]
    parts: Vec<Part>,
    /// How often windows are measured; rounds are interleaved and medians reported
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Length of each measured window, in seconds
    #[arg(long, default_value_t = 4, value_parser = value_parser!(u32).range(1..=3_600))]
    seconds: u32,
    /// Load before each window, in seconds
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u32).range(1..=3_600))]
    warmup_seconds: u32,
    /// Connections over HTTP/1.1
    #[arg(long, default_value_t = 64, value_parser = value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// Connections of Sequelize's pool
    #[arg(long, default_value_t = 16, value_parser = value_parser!(u32).range(1..=200))]
    express_connections: u32,
    /// Rounds of parallel refreshes
    #[arg(long, default_value_t = 1_000, value_parser = value_parser!(u32).range(1..=1_000_000))]
    refresh_rounds: u32,
    /// Refreshes of one token at once
    #[arg(long, default_value_t = 50, value_parser = value_parser!(u32).range(1..=1_000))]
    refreshes: u32,
    /// Logouts that are followed to every verifier
    #[arg(long, default_value_t = 300, value_parser = value_parser!(u32).range(1..=100_000))]
    logouts: u32,
    /// The phalanx binary [default: the one beside this program]
    #[arg(long)]
    phalanx: Option<PathBuf>,
    /// Write every single measurement to this file
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What can be measured alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
enum Part {
    /// `GET /api/profile` with tokens of every kind: CPU time a request, against no token and against Express
    Profile,
    /// p99 of `GET /api/profile` under a flood of logins
    Flood,
    /// Many refreshes of one token at once
    Refresh,
    /// From a logout until its token is refused everywhere
    Revocation,
}

/// Everything that was measured; what was not asked for is empty.
#[derive(Clone, Debug, PartialEq)]
struct Measurements {
    schedule: Schedule,
    connections: u32,
    profile: Vec<profile::Window>,
    flood: Vec<flood::Window>,
    refresh: Option<refresh::Run>,
    revocation: Option<revocation::Run>,
}

/// Measures what is asked for, and prints the report.
pub(crate) async fn measure(options: Options) -> anyhow::Result<()> {
    let parts: BTreeSet<Part> = options.parts.iter().copied().collect();
    let programs = Programs::find(&wanted(&parts), options.phalanx.as_deref())?;
    let placement = Placement::here().context("find the cores of this process")?;
    let mut machine = Machine::here(placement, &programs);
    if parts.contains(&Part::Profile) {
        machine.versions.push(express_versions());
    }
    files::raise_open_max()?;
    let directory = files::directory()?;
    let site = Site { programs: &programs, directory: directory.path(), placement };
    let measurements = measure_parts(&options, &parts, site).await?;
    if let Some(path) = &options.json {
        raw::write(path, &machine, &measurements).with_context(|| format!("write {}", path.display()))?;
    }
    print!("{}", report::markdown(&machine, &measurements));
    Ok(())
}

async fn measure_parts(
    options: &Options,
    parts: &BTreeSet<Part>,
    site: Site<'_>,
) -> anyhow::Result<Measurements> {
    let schedule = Schedule {
        rounds: options.rounds,
        warmup_seconds: options.warmup_seconds,
        window_seconds: options.seconds,
    };
    let mut measurements = Measurements {
        schedule,
        connections: options.connections,
        profile: Vec::new(),
        flood: Vec::new(),
        refresh: None,
        revocation: None,
    };
    // Each part has servers of its own, which are gone before the next begins.
    for part in parts {
        match part {
            Part::Profile => {
                measurements.profile =
                    profile::measure(site, schedule, options.connections, options.express_connections)
                        .await?;
            }
            Part::Flood => measurements.flood = flood::measure(site, schedule).await?,
            Part::Refresh => {
                let run = refresh::measure(site, options.refresh_rounds, options.refreshes).await?;
                measurements.refresh = Some(run);
            }
            Part::Revocation => {
                measurements.revocation = Some(revocation::measure(site, options.logouts).await?);
            }
        }
    }
    Ok(measurements)
}

fn wanted(parts: &BTreeSet<Part>) -> BTreeSet<Program> {
    let mut wanted = BTreeSet::from([Program::Phalanx, Program::Setpriv]);
    if parts.contains(&Part::Profile) {
        wanted.extend([Program::Wrk, Program::H2load, Program::Node, Program::Npm]);
    }
    if parts.contains(&Part::Flood) {
        wanted.insert(Program::Wrk);
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_parts_start_is_looked_for() {
        let of = |parts: &[Part]| wanted(&parts.iter().copied().collect());
        assert_eq!(of(&[Part::Refresh, Part::Revocation]), [Program::Phalanx, Program::Setpriv].into());
        assert!(of(&[Part::Flood]).contains(&Program::Wrk));
        assert!(of(&[Part::Profile]).is_superset(&[Program::Node, Program::H2load].into()));
    }
}
