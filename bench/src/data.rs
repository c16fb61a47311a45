//! `phalanx-bench data`: what the data layer costs, and how it bears the loss of its database, with real PostgreSQL servers.
//!
//! Elsewhere: one part each in `queries`, `users`, `replicas`, `positions` and `restart`.

pub(crate) mod client;
mod load;
mod positions;
mod queries;
mod raw;
mod replicas;
mod report;
mod restart;
mod timeline;
mod users;

use std::{collections::BTreeSet, path::PathBuf};

use anyhow::Context;
use clap::value_parser;

use crate::{
    cores::Placement,
    database::Database,
    files,
    load::Schedule,
    machine::Machine,
    programs::{Program, Programs},
    service::{Site, express_versions},
};

/// For the version of sqlx, which the crate does not tell.
const LOCK: &str = include_str!("../../Cargo.lock");

/// The options of the measurements.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// What to measure
    #[arg(long, value_delimiter = ',',
          default_values = ["queries", "users", "replicas", "positions", "restart"])]
    parts: Vec<Part>,
    /// How often everything is measured; rounds are interleaved and medians reported
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Length of each measured window, in seconds; below 15, since a position is good for 30
    #[arg(long, default_value_t = 4, value_parser = value_parser!(u32).range(1..=15))]
    seconds: u32,
    /// Load before each window, in seconds
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u32).range(1..=3_600))]
    warmup_seconds: u32,
    /// Tasks that ask the database, and connections that ask a service
    #[arg(long, default_value_t = 64, value_parser = value_parser!(u32).range(1..=10_000))]
    tasks: u32,
    /// Replicas of the reference API whose connections are counted
    #[arg(long, default_value_t = 50, value_parser = value_parser!(u32).range(1..=90))]
    replicas: u32,
    /// Connections of Sequelize's pool
    #[arg(long, default_value_t = 16, value_parser = value_parser!(u32).range(1..=200))]
    express_connections: u32,
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
    /// `SELECT` by key: queries a second and client CPU, against sqlx
    Queries,
    /// `GET /api/users/{id}`: requests per CPU second of API and database, against Express and Sequelize
    Users,
    /// Connections of many replicas of the reference API to one primary
    Replicas,
    /// Reads with and without the position of a write
    Positions,
    /// The database restarted and killed under load
    Restart,
}

/// Everything that was measured; what was not asked for is empty.
#[derive(Clone, Debug, PartialEq)]
struct Measurements {
    schedule: Schedule,
    tasks: u32,
    queries: Vec<queries::Window>,
    users: Vec<users::Window>,
    replicas: Vec<replicas::Window>,
    positions: Vec<positions::Window>,
    restarts: Vec<restart::Run>,
}

/// Measures what is asked for, and prints the report.
pub(crate) async fn measure(options: Options) -> anyhow::Result<()> {
    let parts: BTreeSet<Part> = options.parts.iter().copied().collect();
    let programs = Programs::find(&wanted(&parts), options.phalanx.as_deref())?;
    let placement = Placement::here().context("find the cores of this process")?;
    let mut machine = Machine::here(placement, &programs);
    machine.versions.push(Database::start().await?.version().await?);
    if parts.contains(&Part::Queries) || parts.contains(&Part::Restart) {
        machine.versions.push(format!("sqlx {}", locked("sqlx")));
    }
    if parts.contains(&Part::Users) {
        machine.versions.push(express_versions());
    }
    let measurements = measure_parts(&options, &parts, &programs, placement).await?;
    if let Some(path) = &options.json {
        raw::write(path, &machine, &measurements).with_context(|| format!("write {}", path.display()))?;
    }
    print!("{}", report::markdown(&machine, &measurements));
    Ok(())
}

fn wanted(parts: &BTreeSet<Part>) -> BTreeSet<Program> {
    let services = parts.iter().any(|part| *part != Part::Queries);
    let load = parts.iter().any(|part| !matches!(part, Part::Queries | Part::Restart));
    let mut wanted = BTreeSet::from([Program::Setpriv]);
    wanted.extend(services.then_some(Program::Phalanx));
    wanted.extend(load.then_some(Program::Wrk));
    wanted
        .extend(parts.contains(&Part::Users).then_some([Program::Node, Program::Npm]).into_iter().flatten());
    wanted
}

async fn measure_parts(
    options: &Options,
    parts: &BTreeSet<Part>,
    programs: &Programs,
    placement: Placement,
) -> anyhow::Result<Measurements> {
    files::raise_open_max()?;
    let directory = files::directory()?;
    let site = Site { programs, directory: directory.path(), placement };
    let schedule = Schedule {
        rounds: options.rounds,
        warmup_seconds: options.warmup_seconds,
        window_seconds: options.seconds,
    };
    let mut measurements = Measurements {
        schedule,
        tasks: options.tasks,
        queries: Vec::new(),
        users: Vec::new(),
        replicas: Vec::new(),
        positions: Vec::new(),
        restarts: Vec::new(),
    };
    // Each part has servers of its own, which are gone before the next begins.
    for part in parts {
        match part {
            Part::Queries => measurements.queries = queries::measure(schedule, options.tasks).await?,
            Part::Users => {
                let of_express = options.express_connections;
                measurements.users = users::measure(site, schedule, options.tasks, of_express).await?;
            }
            Part::Replicas => {
                let connections = options.tasks.max(options.replicas * 4);
                measurements.replicas =
                    replicas::measure(site, schedule, connections, options.replicas).await?;
            }
            Part::Positions => {
                measurements.positions = positions::measure(site, schedule, options.tasks).await?;
            }
            Part::Restart => measurements.restarts = restart::measure(site, options.tasks).await?,
        }
    }
    Ok(measurements)
}

/// The version of a package that this program was built with.
fn locked(package: &str) -> &'static str {
    let entry = format!("name = \"{package}\"\nversion = \"");
    let version = LOCK.split_once(&entry).and_then(|(_, rest)| rest.split_once('"'));
    version.map_or("unknown", |(version, _)| version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_parts_start_is_looked_for() {
        let of = |parts: &[Part]| wanted(&parts.iter().copied().collect());
        assert_eq!(of(&[Part::Queries]), [Program::Setpriv].into());
        assert_eq!(of(&[Part::Restart]), [Program::Setpriv, Program::Phalanx].into());
        assert_eq!(of(&[Part::Positions]), [Program::Setpriv, Program::Phalanx, Program::Wrk].into());
        assert!(of(&[Part::Users]).is_superset(&[Program::Node, Program::Npm].into()));
    }

    #[test]
    fn the_version_of_a_dependency_is_the_locked_one() {
        assert!(locked("sqlx").starts_with("0.9."), "{}", locked("sqlx"));
        assert_eq!(locked("no-such-package"), "unknown");
    }
}
