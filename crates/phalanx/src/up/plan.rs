//! `phalanx up --dry-run`: what would run, without running it.
//!
//! Values of the environment are left out, since some of them are secrets.
//! Elsewhere: what can be wrong with the file and its programs, which was looked for before this.

use std::{fmt::Write as _, num::NonZeroU64, time::Duration};

use phalanx_admin::table;
use phalanx_config::{
    Amounts, Autoscale, Check, Probe, Replicas, ReplicasLimit, Resources, ServiceName, Source,
};
use phalanx_scale::host::{Footprint, Host, host_limit};

use super::{Wanted, autoscaling::this_machine, bind, workers};
use crate::{config_file::Origin, exit::Failure, runtime, terminal};

const INDENT: &str = "    ";

/// Sees whether the addresses are free, and prints the plan.
pub(super) fn run(wanted: &Wanted) -> Result<(), Failure> {
    // Bound, and free again in the same moment.
    drop(runtime::on_this_thread()?.block_on(bind(&wanted.config))?);
    terminal::say(&text(wanted));
    Ok(())
}

/// The plan as text.
fn text(wanted: &Wanted) -> String {
    let Wanted { config, origin, left_out, .. } = wanted;
    let mut text = String::new();
    let name = match origin {
        Origin::File(path) => path.display().to_string(),
        Origin::BuiltIn => "the built-in topology".to_owned(),
    };
    line(&mut text, "", &format!("{name} can run as it is; nothing was started."));
    line(&mut text, "", "");
    let listeners: Vec<_> = config.gateway.http.iter().map(ToString::to_string).collect();
    let (listeners, workers, routes) = (listeners.join(", "), workers(config), config.routes.len());
    line(&mut text, "", &format!("gateway  {listeners}, {workers} workers, {routes} routes"));
    line(&mut text, "", &format!("admin    {}", config.admin.listen));
    for (position, (service, replicas)) in start_order(wanted).into_iter().enumerate() {
        line(&mut text, "", "");
        let command = replicas.command.join(" ");
        let count = replicas.replicas;
        line(&mut text, "", &format!("{}. {service}: {count} × {command}", position + 1));
        for more in details(replicas) {
            line(&mut text, INDENT, &more);
        }
    }
    line(&mut text, "", "");
    for (name, service) in &config.services {
        if let Some(why) = not_run(&service.source, left_out.contains(name)) {
            line(&mut text, "", &format!("{name} is {why}"));
        }
    }
    for warning in warnings(wanted) {
        line(&mut text, "", &format!("warning: {warning}"));
    }
    text.truncate(text.trim_end().len());
    text
}

/// Why a service has no replicas; `None` for one that has.
fn not_run(source: &Source, is_left_out: bool) -> Option<String> {
    match source {
        Source::Replicas(_) => is_left_out.then(|| "left out: requests for it are answered 503".to_owned()),
        Source::Endpoints { endpoints, .. } => {
            Some(format!("not run by Phalanx: {} endpoints", endpoints.len()))
        }
        Source::Discovered { discovery, .. } => {
            Some(format!("not run by Phalanx: asked of DNS, {}", discovery.name))
        }
    }
}

fn line(text: &mut String, indent: &str, line: &str) {
    writeln!(text, "{indent}{line}").expect("writing to a string cannot fail");
}

/// Services in the order in which they start: after those they depend on, else by name.
fn start_order(wanted: &Wanted) -> Vec<(&ServiceName, &Replicas)> {
    let mut order: Vec<(&ServiceName, &Replicas)> = Vec::new();
    let mut waiting: Vec<_> = wanted.replicated().collect();
    // The file has no cycles, so each round places one at least.
    while !waiting.is_empty() {
        let has_started = |name: &ServiceName| order.iter().any(|(started, _)| *started == name);
        let is_due = |(_, replicas): &(_, &Replicas)| replicas.depends_on.iter().all(has_started);
        let due = waiting.iter().position(is_due).unwrap_or(0);
        order.push(waiting.remove(due));
    }
    order
}

fn details(replicas: &Replicas) -> Vec<String> {
    let mut details = Vec::new();
    if !replicas.depends_on.is_empty() {
        let names: Vec<_> = replicas.depends_on.iter().map(ServiceName::as_str).collect();
        details.push(format!("starts after {}", names.join(", ")));
    }
    let keys: Vec<_> =
        ["PORT", "PHALANX_INSTANCE"].into_iter().chain(replicas.env.keys().map(String::as_str)).collect();
    details.push(format!("environment: {}", keys.join(", ")));
    details.push("port: a free one for each replica and start, told in PORT".to_owned());
    details.push(format!("startup: {}", probe(&replicas.startup)));
    details.push(format!("readiness: {}", probe(&replicas.readiness)));
    if let Some(liveness) = &replicas.liveness {
        details.push(format!("liveness: {}", probe(liveness)));
    }
    let Resources { requests, limits } = &replicas.resources;
    for (what, amounts) in [("requests", requests), ("limits", limits)] {
        let cpu = amounts.cpu_milli.map(|milli| format!("{milli}m of a core"));
        let memory = amounts.memory_bytes.map(|bytes| table::memory(bytes.get()));
        let amounts: Vec<_> = [cpu, memory].into_iter().flatten().collect();
        if !amounts.is_empty() {
            details.push(format!("{what}, each: {}", amounts.join(", ")));
        }
    }
    if let Some(autoscale) = &replicas.autoscale {
        details.push(scaling(autoscale, *requests));
    }
    if let ReplicasLimit::Connections(connections) = &replicas.limit {
        let max = replicas.limit.max();
        details.push(format!("database: {} connections each, room for {max} replicas", connections.each));
    }
    details
}

/// The bounds of the autoscaler, and what this machine makes of them.
fn scaling(Autoscale { interval, mode }: &Autoscale, requests: Amounts) -> String {
    let each = Footprint {
        cpu_milli: requests.cpu_milli.map(|milli| milli.get().into()),
        memory_bytes: requests.memory_bytes.map(NonZeroU64::get),
    };
    let limit = host_limit(this_machine(), each);
    let (min, max) = (mode.min(), mode.max());
    let room = if limit.replicas < max {
        format!(", and no more than {}: {limit}", limit.replicas.max(min))
    } else {
        String::new()
    };
    format!("autoscale: {min} to {max} replicas, decided every {}{room}", shown(*interval))
}

fn probe(probe: &Probe) -> String {
    let check = match &probe.check {
        Check::Connect { .. } => "a TCP connection".to_owned(),
        Check::Http { path, .. } => format!("GET {path}"),
        Check::Exec { command } => command.join(" "),
        Check::Grpc { .. } => "a health check by gRPC".to_owned(),
    };
    let Probe { period, timeout, failure, .. } = probe;
    format!("{check} every {}, {} each, {failure} failures count", shown(*period), shown(*timeout))
}

fn shown(duration: Duration) -> String {
    format!("{duration:?}")
}

/// What can run, and will not run well on this machine: more is asked for than it has.
fn warnings(wanted: &Wanted) -> Vec<String> {
    let (mut milli, mut bytes) = (0_u64, 0_u64);
    for (_, replicas) in wanted.replicated() {
        let (count, requests) = (u64::from(replicas.replicas), replicas.resources.requests);
        milli += count * requests.cpu_milli.map_or(0, |milli| u64::from(milli.get()));
        bytes += count * requests.memory_bytes.map_or(0, NonZeroU64::get);
    }
    let mut warnings = Vec::new();
    let Host { cpu_milli, memory_bytes } = this_machine();
    if milli > cpu_milli {
        let told = format!("the replicas request {milli}m of processors, and this machine has {cpu_milli}m");
        warnings.push(told);
    }
    if let Some(all) = memory_bytes.filter(|all| bytes > *all) {
        let (wanted, all) = (table::memory(bytes), table::memory(all));
        warnings.push(format!("the replicas request {wanted} of memory, and this machine has {all}"));
    }
    warnings
}
