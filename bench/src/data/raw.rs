//! Every single measurement as JSON.

use std::{fs::File, io, path::Path};

use serde_json::{Value, json};

use super::{Measurements, positions, queries, replicas, restart, users};
use crate::{machine::Machine, wrk::Served};

/// Writes the file.
pub(super) fn write(path: &Path, machine: &Machine, measurements: &Measurements) -> io::Result<()> {
    serde_json::to_writer_pretty(File::create(path)?, &value(machine, measurements))?;
    Ok(())
}

fn value(machine: &Machine, measurements: &Measurements) -> Value {
    json!({
        "cpu": machine.cpu,
        "cores": machine.cores,
        "kernel": machine.kernel,
        "versions": machine.versions,
        "command": machine.command,
        "date": machine.date,
        "queries": measurements.queries.iter().map(query).collect::<Vec<_>>(),
        "users": measurements.users.iter().map(user).collect::<Vec<_>>(),
        "replicas": measurements.replicas.iter().map(replica).collect::<Vec<_>>(),
        "positions": measurements.positions.iter().map(position).collect::<Vec<_>>(),
        "restarts": measurements.restarts.iter().map(interruption).collect::<Vec<_>>(),
    })
}

fn query(window: &queries::Window) -> Value {
    json!({
        "round": window.round,
        "client": window.kind.to_string(),
        "done": window.span.done,
        "failed": window.span.failed,
        "elapsed_seconds": window.span.elapsed.as_secs_f64(),
        "client_cpu_seconds": window.span.cpu.as_secs_f64(),
        "database_cpu_seconds": window.database_cpu.as_secs_f64(),
        "database_queries": window.database_queries,
    })
}

fn user(window: &users::Window) -> Value {
    json!({
        "round": window.round,
        "service": window.stack.to_string(),
        "served": served(window.served),
        "service_cpu_seconds": window.service_cpu.as_secs_f64(),
        "database_cpu_seconds": window.database_cpu.as_secs_f64(),
    })
}

fn replica(window: &replicas::Window) -> Value {
    json!({
        "round": window.round,
        "replicas": window.replicas,
        "served": served(window.served),
        "connections": window.connections,
        "connections_since_start": window.connections_since_start,
    })
}

fn position(window: &positions::Window) -> Value {
    json!({
        "round": window.round,
        "reads": window.reads.to_string(),
        "served": served(window.served),
        "service_cpu_seconds": window.service_cpu.as_secs_f64(),
        "databases_cpu_seconds": window.databases_cpu.as_secs_f64(),
    })
}

fn interruption(run: &restart::Run) -> Value {
    let tick = |tick: &super::timeline::Tick| {
        json!({
            "tick": tick.index,
            "done": tick.span.done,
            "failed": tick.span.failed,
            "elapsed_seconds": tick.span.elapsed.as_secs_f64(),
        })
    };
    json!({
        "load": run.load.to_string(),
        "interruption": run.interruption.to_string(),
        "away_seconds": run.away.as_secs_f64(),
        "fault": run.fault,
        "ticks": run.timeline.ticks.iter().map(tick).collect::<Vec<_>>(),
    })
}

fn served(served: Served) -> Value {
    json!({
        "requests": served.requests,
        "elapsed_seconds": served.elapsed.as_secs_f64(),
        "latency_p99_seconds": served.latency_p99.as_secs_f64(),
        "errors_sockets": served.errors.sockets,
        "errors_timeouts": served.errors.timeouts,
        "errors_statuses": served.errors.statuses,
    })
}
