//! `phalanx-bench upstreams`: what a request costs gateway and replica together, over HTTP/1.1 and over HTTP/2 between them.
//!
//! The replica is the reference API, asked for a route that costs next to nothing: what is left is the cost of being asked.
//! Each protocol has a gateway and a replica of its own, and each round begins with the other.

mod report;

use std::{ffi::OsStr, fmt, fs, net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::{Context, ensure};
use clap::value_parser;

use crate::{
    cores::Placement,
    daemon::Daemon,
    load::{SETTLE, Schedule, rotated},
    machine::Machine,
    origin::free_address,
    programs::{Program, Programs},
    template,
    usage::CpuReading,
    wrk::{Served, Wrk},
};

const TEMPLATE: &str = include_str!("../configs/upstreams.phalanx.toml");
const PATH: &str = "/health";

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
    /// Keep-alive connections under load
    #[arg(long, default_value_t = 256, value_parser = value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// The phalanx binary [default: the one beside this program]
    #[arg(long)]
    phalanx: Option<PathBuf>,
}

/// What gateway and replica speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Http1,
    H2c,
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Http1 => "http1",
            Self::H2c => "h2c",
        })
    }
}

/// One protocol in one round.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Window {
    protocol: Protocol,
    served: Served,
    gateway: Duration,
    replica: Duration,
}

/// A gateway before a replica.
struct Pair {
    protocol: Protocol,
    address: SocketAddr,
    // In this order: whoever is asked ends after whoever asks.
    gateway: Daemon,
    replica: Daemon,
}

/// Runs the comparison and prints its report.
pub(crate) async fn compare(options: Options) -> anyhow::Result<()> {
    let wanted = [Program::Phalanx, Program::Wrk, Program::Setpriv].into();
    let programs = Programs::find(&wanted, options.phalanx.as_deref())?;
    let placement = Placement::here().context("find the cores of this process")?;
    let machine = Machine::here(placement, &programs);
    let directory = tempfile::tempdir().context("create a temporary directory")?;
    let site = Site { programs: &programs, directory: directory.path(), placement };
    let wrk = Wrk::prepare(programs.path(Program::Wrk), directory.path(), placement.load);
    let wrk = wrk.context("prepare wrk")?;
    let pairs = [site.start(Protocol::Http1).await?, site.start(Protocol::H2c).await?];
    let schedule = Schedule {
        rounds: options.rounds,
        warmup_seconds: options.warmup_seconds,
        window_seconds: options.seconds,
    };
    let mut windows = Vec::new();
    for round in 1..=schedule.rounds {
        for pair in rotated(&pairs, round) {
            let window = measure(pair, &wrk, options.connections, schedule).await;
            let window = window.with_context(|| format!("measure {} in round {round}", pair.protocol))?;
            eprintln!("round {round} of {}: {}", schedule.rounds, report::line(&window));
            windows.push(window);
        }
    }
    print!("{}", report::markdown(&machine, options.connections, schedule, &windows));
    Ok(())
}

/// What the pairs are started with.
struct Site<'a> {
    programs: &'a Programs,
    directory: &'a std::path::Path,
    placement: Placement,
}

impl Site<'_> {
    async fn start(&self, protocol: Protocol) -> anyhow::Result<Pair> {
        let (origin, address) = (free_address()?, free_address()?);
        let replica_directory = self.directory.join(format!("replica-{protocol}"));
        let gateway_directory = self.directory.join(format!("gateway-{protocol}"));
        for directory in [&replica_directory, &gateway_directory] {
            fs::create_dir(directory).with_context(|| format!("create {}", directory.display()))?;
        }
        let listen = origin.to_string();
        let mut replica = Daemon::start(
            self.programs,
            Program::Phalanx,
            &["api".as_ref(), "--listen".as_ref(), OsStr::new(&listen)],
            &[("DATA_DIR", replica_directory.as_os_str())],
            &replica_directory,
            self.placement.origin,
        )?;
        replica.until_answers(origin, PATH).await.context("start the replica")?;
        let config = template::fill(
            TEMPLATE,
            &[
                ("LISTEN", &address.to_string()),
                ("ORIGIN", &listen),
                ("ADMIN", &free_address()?.to_string()),
                ("PROTOCOL", &protocol.to_string()),
            ],
        );
        let file = gateway_directory.join("config");
        fs::write(&file, config).with_context(|| format!("write {}", file.display()))?;
        let mut gateway = Daemon::start(
            self.programs,
            Program::Phalanx,
            &["gateway".as_ref(), "-c".as_ref(), file.as_os_str()],
            &[],
            &gateway_directory,
            self.placement.proxy,
        )?;
        gateway.until_answers(address, PATH).await.context("start the gateway")?;
        Ok(Pair { protocol, address, gateway, replica })
    }
}

async fn measure(pair: &Pair, wrk: &Wrk, connections: u32, schedule: Schedule) -> anyhow::Result<Window> {
    let load = |seconds| wrk.run(pair.address, PATH, connections, seconds);
    load(schedule.warmup_seconds).await.context("warm up")?;
    tokio::time::sleep(SETTLE).await;
    let read = || anyhow::Ok((CpuReading::of(pair.gateway.pid())?, CpuReading::of(pair.replica.pid())?));
    let (gateway_before, replica_before) = read()?;
    let served = load(schedule.window_seconds).await?;
    tokio::time::sleep(SETTLE).await;
    let (gateway_after, replica_after) = read()?;
    ensure!(served.requests > 0, "no request was answered: {:?}", served.errors);
    Ok(Window {
        protocol: pair.protocol,
        served,
        gateway: gateway_after.since(&gateway_before).used,
        replica: replica_after.since(&replica_before).used,
    })
}
