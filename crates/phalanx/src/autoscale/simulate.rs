//! `phalanx autoscale simulate`: policies on a load of the past.

use std::{fs, path::Path};

use anyhow::Context as _;
use phalanx_scale::simulation::{Outcome, Plan, Service, Trace, simulate};

use super::{chart, compare, policy, trace};
use crate::{cli::SimulateArguments, exit::Failure, terminal};

/// A policy, its name, and what would have come of it.
pub(super) struct Trial {
    pub(super) name: String,
    pub(super) outcome: Outcome,
}

pub(crate) fn run(arguments: &SimulateArguments) -> Result<(), Failure> {
    let trace = trace::read(&arguments.trace).map_err(Failure::Setting)?;
    let trials = plans(arguments)?
        .into_iter()
        .map(|(name, plan)| Trial { name, outcome: simulate(&plan, &service(arguments, &plan), &trace) })
        .collect::<Vec<_>>();
    if let Some(path) = &arguments.chart {
        draw(path, &trials, &trace, arguments.capacity).map_err(Failure::Runtime)?;
    }
    if arguments.json {
        terminal::say(&compare::json(&trials).context("write the report").map_err(Failure::Runtime)?);
    } else {
        terminal::say(compare::text(&trials, &trace).trim_end());
    }
    Ok(())
}

fn plans(arguments: &SimulateArguments) -> Result<Vec<(String, Plan)>, Failure> {
    if arguments.policy.is_empty() {
        let plan = policy::of_flags(arguments).map_err(Failure::Setting)?;
        return Ok(vec![("by flags".to_owned(), plan)]);
    }
    arguments.policy.iter().map(|path| Ok((name(path), policy::read(path)?))).collect()
}

fn name(path: &Path) -> String {
    path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn service(arguments: &SimulateArguments, plan: &Plan) -> Service {
    Service {
        capacity_milli: arguments.capacity,
        start_up: arguments.start_up,
        replicas: arguments.replicas.unwrap_or(plan.mode().min().max(1)),
    }
}

fn draw(path: &Path, trials: &[Trial], trace: &Trace, capacity_milli: i64) -> anyhow::Result<()> {
    let chart = chart::svg(trials, trace, capacity_milli);
    fs::write(path, chart).with_context(|| format!("write {}", path.display()))
}
