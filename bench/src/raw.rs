//! Every single measurement as JSON, for whoever wants other statistics than `crate::report`.

use std::{collections::BTreeMap, fs::File, io, path::Path};

use serde::Serialize;

use crate::{gateway::Measurements, half_rate, idle, load, machine, syscalls, usage::CpuSource};

/// Writes the file.
pub(crate) fn write(path: &Path, machine: &machine::Machine, measurements: &Measurements) -> io::Result<()> {
    serde_json::to_writer_pretty(File::create(path)?, &Comparison::new(machine, measurements))?;
    Ok(())
}

#[derive(Serialize)]
struct Comparison<'a> {
    cpu: &'a str,
    cores: usize,
    kernel: &'a str,
    versions: &'a [String],
    command: &'a str,
    date: &'a str,
    windows: Vec<Window>,
    half_rate: Vec<PacedWindow>,
    syscalls: Vec<Syscalls<'a>>,
    idle: Vec<Idle>,
}

#[derive(Serialize)]
struct Window {
    round: u32,
    path: &'static str,
    connections: u32,
    proxy: String,
    requests: u64,
    elapsed_seconds: f64,
    cpu_seconds: f64,
    cpu_source: &'static str,
    origin_connections: u64,
    latency_p99_seconds: f64,
    errors_sockets: u64,
    errors_timeouts: u64,
    errors_statuses: u64,
}

#[derive(Serialize)]
struct PacedWindow {
    round: u32,
    path: &'static str,
    connections: u32,
    proxy: String,
    requests_per_second: u32,
    answered: u64,
    latency_p50_seconds: f64,
    latency_p99_seconds: f64,
    latency_p999_seconds: f64,
    lateness_p99_seconds: f64,
    load_core_share: f64,
    cpu_seconds: f64,
    cpu_source: &'static str,
    origin_connections: u64,
    errors: BTreeMap<String, u64>,
}

#[derive(Serialize)]
struct Syscalls<'a> {
    path: &'static str,
    connections: u32,
    proxy: String,
    requests: u64,
    calls: &'a BTreeMap<String, u64>,
}

#[derive(Serialize)]
struct Idle {
    proxy: String,
    connections: u32,
    bytes_before: u64,
    bytes_after: u64,
}

impl<'a> Comparison<'a> {
    fn new(machine: &'a machine::Machine, measurements: &'a Measurements) -> Self {
        Self {
            cpu: &machine.cpu,
            cores: machine.cores,
            kernel: &machine.kernel,
            versions: &machine.versions,
            command: &machine.command,
            date: &machine.date,
            windows: measurements.windows.iter().map(Window::from).collect(),
            half_rate: measurements.paced.iter().map(PacedWindow::from).collect(),
            syscalls: measurements.syscalls.iter().map(Syscalls::from).collect(),
            idle: measurements.idle.iter().map(Idle::from).collect(),
        }
    }
}

impl From<&load::Window> for Window {
    fn from(window: &load::Window) -> Self {
        let served = window.served;
        Self {
            round: window.round,
            path: window.scenario.body.path(),
            connections: window.scenario.connections,
            proxy: window.proxy.to_string(),
            requests: served.requests,
            elapsed_seconds: served.elapsed.as_secs_f64(),
            cpu_seconds: window.cpu.used.as_secs_f64(),
            cpu_source: cpu_source(window.cpu.source),
            origin_connections: window.origin_connections,
            latency_p99_seconds: served.latency_p99.as_secs_f64(),
            errors_sockets: served.errors.sockets,
            errors_timeouts: served.errors.timeouts,
            errors_statuses: served.errors.statuses,
        }
    }
}

impl From<&half_rate::PacedWindow> for PacedWindow {
    fn from(window: &half_rate::PacedWindow) -> Self {
        Self {
            round: window.round,
            path: window.scenario.body.path(),
            connections: window.scenario.connections,
            proxy: window.proxy.to_string(),
            requests_per_second: window.requests_per_second.get(),
            answered: window.answered,
            latency_p50_seconds: window.latency.p50.as_secs_f64(),
            latency_p99_seconds: window.latency.p99.as_secs_f64(),
            latency_p999_seconds: window.latency.p999.as_secs_f64(),
            lateness_p99_seconds: window.lateness_p99.as_secs_f64(),
            load_core_share: window.load_core_share,
            cpu_seconds: window.cpu.used.as_secs_f64(),
            cpu_source: cpu_source(window.cpu.source),
            origin_connections: window.origin_connections,
            errors: window.faults.iter().map(|(fault, count)| (fault.to_string(), *count)).collect(),
        }
    }
}

fn cpu_source(source: CpuSource) -> &'static str {
    match source {
        CpuSource::Schedstat => "schedstat",
        CpuSource::Ticks => "ticks",
    }
}

impl<'a> From<&'a syscalls::SyscallCount> for Syscalls<'a> {
    fn from(count: &'a syscalls::SyscallCount) -> Self {
        Self {
            path: count.scenario.body.path(),
            connections: count.scenario.connections,
            proxy: count.proxy.to_string(),
            requests: count.requests,
            calls: &count.calls,
        }
    }
}

impl From<&idle::IdleMemory> for Idle {
    fn from(memory: &idle::IdleMemory) -> Self {
        Self {
            proxy: memory.proxy.to_string(),
            connections: memory.connections,
            bytes_before: memory.bytes_before,
            bytes_after: memory.bytes_after,
        }
    }
}
