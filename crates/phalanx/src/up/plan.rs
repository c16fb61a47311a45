//! `phalanx up --dry-run`: what would run, without running it.
//!
//! Values of the environment are left out, since some of them are secrets.
//! Elsewhere: what can be wrong with the file and its programs, which was looked for before this.

use std::{collections::BTreeSet, fmt::Write as _, thread, time::Duration};

use anyhow::Context as _;
use phalanx_config::{Config, Probe, Replicas, ServiceName, Source};

use super::{Wanted, bind, replicated};
use crate::{config_file::Origin, exit::Failure, terminal};

const INDENT: &str = "    ";

/// Sees whether the addresses are free, and prints the plan.
pub(super) fn run(wanted: &Wanted) -> Result<(), Failure> {
    let Wanted { config, origin, left_out, .. } = wanted;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the runtime")
        .map_err(Failure::Runtime)?;
    // Bound, and free again in the same moment.
    drop(runtime.block_on(bind(config))?);
    let name = match origin {
        Origin::File(path) => path.display().to_string(),
        Origin::BuiltIn => "the built-in topology".to_owned(),
    };
    terminal::say(&text(config, &name, left_out));
    Ok(())
}

/// The plan as text.
fn text(config: &Config, name: &str, left_out: &BTreeSet<ServiceName>) -> String {
    let mut text = String::new();
    let workers = config.gateway.workers.map_or_else(cores, std::num::NonZeroUsize::get);
    line(&mut text, "", &format!("{name} can run as it is; nothing was started."));
    line(&mut text, "", "");
    let listeners: Vec<_> = config.gateway.http.iter().map(ToString::to_string).collect();
    line(
        &mut text,
        "",
        &format!("gateway  {}, {workers} workers, {} routes", listeners.join(", "), config.routes.len()),
    );
    line(&mut text, "", &format!("admin    {}", config.admin.listen));
    let order = start_order(config, left_out);
    for (position, service) in order.iter().enumerate() {
        let Source::Replicas(replicas) = &config.services[*service].source else { continue };
        line(&mut text, "", "");
        let command = replicas.command.join(" ");
        let count = replicas.replicas;
        line(&mut text, "", &format!("{}. {service}: {count} × {command}", position + 1));
        for more in details(replicas) {
            line(&mut text, INDENT, &more);
        }
    }
    line(&mut text, "", "");
    for (service, source) in config.services.iter().map(|(name, service)| (name, &service.source)) {
        match source {
            Source::Replicas(_) if left_out.contains(service) => {
                line(&mut text, "", &format!("{service} is left out: requests for it are answered 503"));
            }
            Source::Replicas(_) => {}
            Source::Endpoints { endpoints, .. } => {
                line(
                    &mut text,
                    "",
                    &format!("{service} is not run by Phalanx: {} endpoints", endpoints.len()),
                );
            }
            Source::Discovered { discovery, .. } => {
                line(
                    &mut text,
                    "",
                    &format!("{service} is not run by Phalanx: asked of DNS, {}", discovery.name),
                );
            }
        }
    }
    for warning in warnings(config, left_out) {
        line(&mut text, "", &format!("warning: {warning}"));
    }
    text.truncate(text.trim_end().len());
    text
}

fn line(text: &mut String, indent: &str, line: &str) {
    writeln!(text, "{indent}{line}").expect("writing to a string cannot fail");
}

/// Services in the order in which they start: after those they depend on, else by name.
fn start_order<'a>(config: &'a Config, left_out: &BTreeSet<ServiceName>) -> Vec<&'a ServiceName> {
    let mut order: Vec<&ServiceName> = Vec::new();
    let mut waiting: Vec<_> = replicated(config).filter(|(name, _)| !left_out.contains(*name)).collect();
    // The file has no cycles, so each round places one at least.
    while !waiting.is_empty() {
        let is_due = |replicas: &Replicas| replicas.depends_on.iter().all(|name| order.contains(&name));
        let due = waiting.iter().position(|(_, replicas)| is_due(replicas)).unwrap_or(0);
        let (name, _) = waiting.remove(due);
        order.push(name);
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
    details
}

fn probe(probe: &Probe) -> String {
    let check = match &probe.path {
        Some(path) => format!("GET {path}"),
        None => "a TCP connection".to_owned(),
    };
    let Probe { period, timeout, failure, .. } = probe;
    format!("{check} every {}, {} each, {failure} failures count", shown(*period), shown(*timeout))
}

fn shown(duration: Duration) -> String {
    format!("{duration:?}")
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

/// What can run, and will not run well on this machine.
fn warnings(_config: &Config, _left_out: &BTreeSet<ServiceName>) -> Vec<String> {
    Vec::new()
}
