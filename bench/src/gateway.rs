//! `phalanx-bench gateway`: starts everything, measures, reports.

use std::{collections::BTreeSet, path::PathBuf};

use anyhow::Context;
use clap::value_parser;

use crate::{
    cores::Placement,
    files,
    half_rate::{self, HalfRate, PacedWindow},
    idle::{self, IdleMemory},
    load::{Loader, Schedule, Window},
    machine::Machine,
    origin::Origin,
    programs::{Program, Programs},
    proxy::{Kind, Proxy, Site},
    raw, report,
    scenario::{self, Body, Scenario},
    syscalls::{self, SyscallCount},
    wrk::Wrk,
};

/// The options of the comparison.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How often everything is measured; rounds are interleaved and medians reported
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Length of each measured window, in seconds
    #[arg(long, default_value_t = 4, value_parser = value_parser!(u32).range(1..=3_600))]
    seconds: u32,
    /// Load before each window, in seconds
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u32).range(1..=3_600))]
    warmup_seconds: u32,
    /// Length of each window at a fixed rate, half of what the slowest proxy takes, in seconds; 0 leaves it out
    #[arg(long, default_value_t = 4, value_parser = value_parser!(u32).range(..=3_600))]
    half_rate_seconds: u32,
    /// What to compare
    #[arg(long, value_delimiter = ',', default_values = ["nginx", "haproxy", "phalanx"])]
    proxies: Vec<Kind>,
    /// What the origin answers
    #[arg(long, value_delimiter = ',', default_values = ["json", "16kib"])]
    bodies: Vec<Body>,
    /// Keep-alive connections under load
    #[arg(long, value_delimiter = ',', default_values = ["64", "256"],
          value_parser = value_parser!(u32).range(1..=10_000))]
    connections: Vec<u32>,
    /// Idle connections whose memory is measured, fewer where the limit of open files is lower; 0 leaves it out
    #[arg(long, default_value_t = 8_000, value_parser = value_parser!(u32).range(..=20_000))]
    idle_connections: u32,
    /// Also count system calls per request
    #[arg(long)]
    strace: bool,
    /// The phalanx binary [default: the one beside this program]
    #[arg(long)]
    phalanx: Option<PathBuf>,
    /// Write every single measurement to this file
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Everything one comparison measured.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Measurements {
    pub(crate) schedule: Schedule,
    pub(crate) windows: Vec<Window>,
    /// At a fixed rate. Empty unless asked for.
    pub(crate) paced: Vec<PacedWindow>,
    /// Empty unless asked for.
    pub(crate) syscalls: Vec<SyscallCount>,
    /// Empty unless asked for.
    pub(crate) idle: Vec<IdleMemory>,
}

/// Runs the comparison and prints its report.
pub(crate) async fn compare(mut options: Options) -> anyhow::Result<()> {
    options.proxies.sort();
    options.proxies.dedup();
    let programs = Programs::find(&wanted(&options), options.phalanx.as_deref())?;
    let placement = Placement::here().context("find the cores of this process")?;
    let machine = Machine::here(placement, &programs);
    let measurements = measure(&options, &programs, placement).await?;
    if let Some(path) = &options.json {
        raw::write(path, &machine, &measurements).with_context(|| format!("write {}", path.display()))?;
    }
    print!("{}", report::markdown(&machine, &measurements));
    half_rate::ensure_faultless(&measurements.paced)
}

fn wanted(options: &Options) -> BTreeSet<Program> {
    // nginx is always wanted: it is the origin.
    let always = [Program::Nginx, Program::Wrk, Program::Setpriv];
    let proxies = options.proxies.iter().map(|proxy| proxy.program());
    always.into_iter().chain(proxies).chain(options.strace.then_some(Program::Strace)).collect()
}

async fn measure(
    options: &Options,
    programs: &Programs,
    placement: Placement,
) -> anyhow::Result<Measurements> {
    let schedule = Schedule {
        rounds: options.rounds,
        warmup_seconds: options.warmup_seconds,
        window_seconds: options.seconds,
    };
    let scenarios = scenario::product(&options.bodies, &options.connections);
    let idle_connections = options.idle_connections.min(files::clients_max(files::raise_open_max()?));
    let loaded = options.connections.iter().copied().max().unwrap_or(0);
    let clients_max = idle_connections.max(loaded) + files::OTHER_CLIENTS_MAX;

    let directory = files::directory()?;
    let directory = directory.path();
    let origin = Origin::start(programs, directory, clients_max, placement.origin).await?;
    let site = Site { programs, directory, origin: origin.address, clients_max, core: placement.proxy };
    let wrk = Wrk::prepare(programs.path(Program::Wrk), directory, placement.load).context("prepare wrk")?;
    let loader = Loader { wrk, origin, schedule };

    let (windows, paced, syscalls) = under_load(options, site, &loader, &scenarios, placement).await?;
    let mut idle = Vec::new();
    if idle_connections > 0 {
        for &kind in &options.proxies {
            idle.push(idle::measure(kind, site, idle_connections).await?);
        }
    }
    Ok(Measurements { schedule, windows, paced, syscalls, idle })
}

async fn under_load(
    options: &Options,
    site: Site<'_>,
    loader: &Loader,
    scenarios: &[Scenario],
    placement: Placement,
) -> anyhow::Result<(Vec<Window>, Vec<PacedWindow>, Vec<SyscallCount>)> {
    let mut proxies = Vec::new();
    for &kind in &options.proxies {
        proxies.push(Proxy::start(kind, site).await?);
    }
    let windows = loader.measure(&proxies, scenarios).await?;
    let mut paced = Vec::new();
    if options.half_rate_seconds > 0 {
        let half_rate = HalfRate { loader, placement, window_seconds: options.half_rate_seconds };
        paced = half_rate.measure(&proxies, &windows).await?;
    }
    let mut counts = Vec::new();
    if options.strace {
        let strace = site.programs.path(Program::Strace);
        for &scenario in scenarios {
            counts.extend(syscalls::count(strace, &loader.wrk, &proxies, scenario, site.directory).await?);
        }
    }
    Ok((windows, paced, counts))
}
