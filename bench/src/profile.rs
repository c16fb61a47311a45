//! `phalanx-bench profile`: where the CPU time of a saturated gateway goes.
//!
//! perf samples the stacks of the running gateway, and each sample is booked on one item: the system call that it was in, or
//! the innermost function of Phalanx's own. Where the machine has no counters, as most virtual ones, perf samples by a
//! timer, which is as good for this.
//! Elsewhere: how many system calls there are (`crate::syscalls`).

mod samples;
mod table;

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, ensure};
use clap::value_parser;
use rustix::process::Pid;
use tokio::process::Command;

use self::samples::Samples;
use crate::{
    cores::Placement,
    files,
    machine::Machine,
    origin::Origin,
    programs::{Program, Programs},
    proxy::{Kind, Proxy, Site},
    scenario::{Body, Scenario},
    usage::CpuReading,
    wrk::Wrk,
};

/// Prime, so that nothing that happens a round number of times a second is always met in the same place.
const SAMPLES_PER_SECOND: u32 = 997;
/// How much of each stack perf copies, for stacks unwound without frame pointers; half of it loses their outer ends.
const STACK_BYTES: u32 = 16 * 1024;
const WARMUP_SECONDS: u32 = 1;
/// Load before and after the recording, so that none of it is idle.
const MARGIN_SECONDS: u32 = 1;

/// The options of the profile.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How long to record, in seconds
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// What the origin answers
    #[arg(long, default_value = "json")]
    body: Body,
    /// Keep-alive connections under load
    #[arg(long, default_value_t = 256, value_parser = value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// How many items of each kind to show
    #[arg(long, default_value_t = 5)]
    items: usize,
    /// The phalanx binary [default: the one beside this program]
    #[arg(long)]
    phalanx: Option<PathBuf>,
    /// Keep the recording in this file, for `perf report`
    #[arg(long)]
    recording: Option<PathBuf>,
}

/// What the load cost while the samples were taken.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cost {
    scenario: Scenario,
    requests_per_second: f64,
    cpu_microseconds_per_request: f64,
}

/// Records one profile and prints it.
pub(crate) async fn record(options: Options) -> anyhow::Result<()> {
    let wanted = [Program::Nginx, Program::Phalanx, Program::Wrk, Program::Setpriv, Program::Perf];
    let programs = Programs::find(&wanted.into(), options.phalanx.as_deref())?;
    let placement = Placement::here().context("find the cores of this process")?;
    let machine = Machine::here(placement, &programs);
    let scenario = Scenario { body: options.body, connections: options.connections };
    let clients_max = scenario.connections + files::OTHER_CLIENTS_MAX;
    files::raise_open_max()?;

    let directory = files::directory()?;
    let recording = options.recording.unwrap_or_else(|| directory.path().join("perf.data"));
    let directory = directory.path();
    let origin = Origin::start(&programs, directory, clients_max, placement.origin).await?;
    let site =
        Site { programs: &programs, directory, origin: origin.address, clients_max, core: placement.proxy };
    let wrk = Wrk::prepare(programs.path(Program::Wrk), directory, placement.load).context("prepare wrk")?;
    let proxy = Proxy::start(Kind::Phalanx, site).await?;

    let run = |seconds| wrk.run(proxy.address, scenario.body.path(), scenario.connections, seconds);
    run(WARMUP_SECONDS).await.context("warm up")?;
    let perf = Perf { program: programs.path(Program::Perf), recording: &recording };
    let cpu_before = CpuReading::of(proxy.pid())?;
    let load = run(options.seconds + 2 * MARGIN_SECONDS);
    let (served, ()) = tokio::try_join!(load, perf.record(proxy.pid(), options.seconds))?;
    let cpu = CpuReading::of(proxy.pid())?.since(&cpu_before);
    ensure!(served.errors.total() == 0, "requests failed: {:?}", served.errors);
    ensure!(served.requests > 0, "no request was answered");
    let cost = Cost {
        scenario,
        requests_per_second: served.requests as f64 / served.elapsed.as_secs_f64(),
        cpu_microseconds_per_request: cpu.used.as_secs_f64() * 1e6 / served.requests as f64,
    };
    let samples = Samples::parse(&perf.stacks().await?);
    ensure!(samples.total > 0, "perf recorded no sample");
    print!("{}", table::markdown(&machine, cost, &samples, options.items));
    Ok(())
}

/// A recording, to be made or read.
#[derive(Clone, Copy, Debug)]
struct Perf<'a> {
    program: &'a Path,
    recording: &'a Path,
}

impl Perf<'_> {
    /// Records all threads of the process, once the load has begun.
    async fn record(self, pid: Pid, seconds: u32) -> anyhow::Result<()> {
        tokio::time::sleep(Duration::from_secs(MARGIN_SECONDS.into())).await;
        eprintln!("recording for {seconds} s");
        let mut command = Command::new(self.program);
        command
            .args(["record", "--quiet"])
            .args(["--freq", &SAMPLES_PER_SECOND.to_string()])
            .args(["--call-graph", &format!("dwarf,{STACK_BYTES}")])
            .args(["--pid", &pid.as_raw_pid().to_string()])
            .arg("--output")
            .arg(self.recording)
            .args(["--", "sleep", &seconds.to_string()]);
        run(command).await.context("record with perf")?;
        Ok(())
    }

    /// Every sample as text: a line for each frame, innermost first.
    async fn stacks(self) -> anyhow::Result<String> {
        let mut command = Command::new(self.program);
        // Inlined functions would each take a start of addr2line, and belong to the function they are in.
        command.args(["script", "--no-inline", "--fields", "ip,sym,dso", "--input"]).arg(self.recording);
        run(command).await.context("read the recording with perf")
    }
}

/// What the command wrote.
async fn run(mut command: Command) -> anyhow::Result<String> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.context("start perf")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "perf ended with {}: {}", output.status, complaint.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
