//! Every single measurement as JSON.

use std::{fs::File, io, path::Path, time::Duration};

use serde_json::{Value, json};

use super::{Measurements, flood, profile};
use crate::{machine::Machine, wrk::Served};

/// Writes the file.
pub(super) fn write(path: &Path, machine: &Machine, measurements: &Measurements) -> io::Result<()> {
    serde_json::to_writer_pretty(File::create(path)?, &value(machine, measurements))?;
    Ok(())
}

fn value(machine: &Machine, measurements: &Measurements) -> Value {
    let milliseconds =
        |times: &[Duration]| times.iter().map(|time| time.as_secs_f64() * 1e3).collect::<Vec<_>>();
    json!({
        "cpu": machine.cpu,
        "cores": machine.cores,
        "kernel": machine.kernel,
        "versions": machine.versions,
        "command": machine.command,
        "date": machine.date,
        "profile": measurements.profile.iter().map(profile_window).collect::<Vec<_>>(),
        "flood": measurements.flood.iter().map(flood_window).collect::<Vec<_>>(),
        "refresh": measurements.refresh.as_ref().map(|run| json!({
            "rounds": run.rounds,
            "at_once": run.at_once,
            "answers": run.answers,
            "rounds_of_one_successor": run.rounds_of_one_successor,
            "logouts": run.logouts,
            "seconds": run.elapsed.as_secs_f64(),
        })),
        "revocation": measurements.revocation.as_ref().map(|run| json!({
            "everywhere_ms": milliseconds(&run.everywhere),
            "at_gateway_ms": milliseconds(&run.at_gateway),
        })),
    })
}

fn profile_window(window: &profile::Window) -> Value {
    json!({
        "round": window.round,
        "service": window.row.to_string(),
        "served": served(window.served),
        "service_cpu_seconds": window.service_cpu.as_secs_f64(),
        "database_cpu_seconds": window.database_cpu.as_secs_f64(),
    })
}

fn flood_window(window: &flood::Window) -> Value {
    json!({
        "round": window.round,
        "load": window.flood.to_string(),
        "p50_ms": window.latency.p50.as_secs_f64() * 1e3,
        "p99_ms": window.latency.p99.as_secs_f64() * 1e3,
        "lateness_p99_ms": window.lateness_p99.as_secs_f64() * 1e3,
        "errors": window.errors,
        "logins": window.logins.map(served),
    })
}

fn served(served: Served) -> Value {
    json!({
        "requests": served.requests,
        "seconds": served.elapsed.as_secs_f64(),
        "errors": served.errors.total(),
    })
}
