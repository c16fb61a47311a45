//! A policy to simulate: a file with the keys of `[service.NAME.autoscale]`, which the configuration's own parser reads, or flags.

use std::{env, path::Path, time::Duration};

use anyhow::Context as _;
use phalanx_config::{Autoscale, parse_autoscale};
use phalanx_scale::{
    Mode, Policy, Tolerance, Wanted, group::Startup, metric::Metric, policy::DOWNSCALE_WINDOW_DEFAULT,
    simulation::Plan,
};

use super::file;
use crate::{cli::SimulateArguments, exit::Failure};

/// Between two decisions, as in Kubernetes.
const INTERVAL_DEFAULT: Duration = Duration::from_secs(15);
const CPU_PERCENT_DEFAULT: u32 = 80;

/// The plan of a file.
pub(super) fn read(path: &Path) -> Result<Plan, Failure> {
    let text = file::read(path).map_err(Failure::Setting)?;
    let name = path.display().to_string();
    let Autoscale { mode, interval } =
        parse_autoscale(&name, &text, &|variable| env::var(variable).ok()).map_err(Box::new)?;
    Plan::new(mode, interval).context(name).map_err(Failure::Setting)
}

/// The plan that the flags describe.
pub(super) fn of_flags(arguments: &SimulateArguments) -> anyhow::Result<Plan> {
    let requests = arguments.requests_per_second.map(Metric::requests_per_second);
    let cpu = match (arguments.cpu_percent, &requests) {
        (None, Some(_)) => None,
        (percent, _) => Some(Metric::cpu_percent(percent.unwrap_or(CPU_PERCENT_DEFAULT))),
    };
    let wanted = Wanted {
        min: arguments.min,
        max: arguments.max,
        metrics: cpu.into_iter().chain(requests).collect(),
        tolerance: Tolerance::default(),
        startup: Startup::default(),
        downscale_window: DOWNSCALE_WINDOW_DEFAULT,
        behavior: None,
    };
    Ok(Plan::new(Mode::Kubernetes(Policy::try_from(wanted)?), INTERVAL_DEFAULT)?)
}
