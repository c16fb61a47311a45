//! What the live view shows, and how it fits a terminal: pure, from a state to lines.
//!
//! Invariant: no line is wider than the terminal, and there are at most [`LINES_MAX`]; what matters least is left out first.
//! Elsewhere: where the lines go (`super::live`).

use std::time::Duration;

use phalanx_admin::{
    state::{Event, Rollout, Service, State},
    table,
};
use phalanx_telemetry::escape::escaped;

/// A few lines: the rest of the terminal is for what the replicas print.
const LINES_MAX: usize = 10;
const GAP: &str = "  ";

/// One moment.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct View {
    pub(super) state: State,
    pub(super) requests_per_second: f64,
    pub(super) p50: Option<Duration>,
    pub(super) p99: Option<Duration>,
    /// What happened last.
    pub(super) last: Option<Event>,
}

/// The lines for a terminal of this many columns.
pub(super) fn lines(view: &View, width: usize) -> Vec<String> {
    let services = &view.state.services;
    let room = LINES_MAX - 3;
    let shown = if services.len() > room { room - 1 } else { services.len() };
    let name_width =
        services.iter().map(|service| service.name.chars().count()).max().unwrap_or(0).max("gateway".len());
    let mut lines = vec!["─".repeat(width.min(100))];
    lines.extend(services[..shown].iter().map(|service| fitted(&service_parts(service, name_width), width)));
    if shown < services.len() {
        lines.push(fitted(&[format!("{} more services: phalanx status", services.len() - shown)], width));
    }
    lines.push(fitted(&gateway_parts(view, name_width), width));
    if let Some(event) = &view.last {
        lines.push(fitted(&[format!("{:<name_width$}", "last"), told(event)], width));
    }
    lines
}

/// The most telling first.
fn service_parts(service: &Service, name_width: usize) -> Vec<String> {
    let mut parts = vec![format!("{:<name_width$}", service.name)];
    let wanted = service.desired.map_or(service.endpoints.len(), |desired| desired as usize);
    parts.push(format!("{}/{wanted} ready", service.serving));
    let rollout = service.rollout.as_ref().filter(|rollout| rollout.status != "complete");
    if let Some(Rollout { revision, status, updated, total, .. }) = rollout {
        parts.push(format!("revision {revision} {status} {updated}/{total}"));
    }
    let endpoints = &service.endpoints;
    let rates: Vec<f64> = endpoints.iter().filter_map(|endpoint| endpoint.requests_per_second).collect();
    if !rates.is_empty() {
        parts.push(format!("{} req/s", table::rate(rates.iter().sum())));
    }
    let cpu: Vec<u64> = endpoints.iter().filter_map(|endpoint| endpoint.cpu_millicores).collect();
    if !cpu.is_empty() {
        parts.push(format!("cpu {}m", cpu.iter().sum::<u64>()));
    }
    let memory: Vec<u64> = endpoints.iter().filter_map(|endpoint| endpoint.memory_bytes).collect();
    if !memory.is_empty() {
        parts.push(table::memory(memory.iter().sum()));
    }
    match (rollout, &service.autoscale) {
        (Some(rollout), _) => parts.push(rollout.reason.clone()),
        (None, Some(autoscale)) => parts.push(autoscale.reason.clone()),
        (None, None) => {}
    }
    parts
}

fn gateway_parts(view: &View, name_width: usize) -> Vec<String> {
    let gateway = &view.state.gateway;
    let mut parts = vec![
        format!("{:<name_width$}", "gateway"),
        format!("{} req/s", table::rate(view.requests_per_second)),
    ];
    let quantiles = [("p50", view.p50), ("p99", view.p99)];
    parts
        .extend(quantiles.into_iter().filter_map(|(name, value)| Some(format!("{name} {}", millis(value?)))));
    parts.push(format!("{} in flight", gateway.requests_in_flight));
    parts.push(format!("{} connections", gateway.connections));
    parts
}

fn millis(duration: Duration) -> String {
    match duration.as_secs_f64() * 1e3 {
        millis if millis < 10.0 => format!("{millis:.1}ms"),
        millis => format!("{millis:.0}ms"),
    }
}

fn told(event: &Event) -> String {
    let Event { service, instance, kind, reason, .. } = event;
    let who = instance.as_ref().unwrap_or(service);
    if reason.is_empty() { format!("{who} {kind}") } else { format!("{who} {kind}: {reason}") }
}

/// As many parts as fit; the last of them may be cut.
fn fitted(parts: &[String], width: usize) -> String {
    let whole = parts.join(GAP);
    let mut line: String = escaped(&whole).to_string();
    if line.chars().count() <= width {
        return line;
    }
    let cut = line.char_indices().nth(width.saturating_sub(1)).map_or(line.len(), |(at, _)| at);
    line.truncate(cut);
    // A number without its unit would be read as another one.
    if let Some(gap) = line.rfind(GAP).filter(|gap| line[*gap..].trim_start().len() < 8 && *gap > 0) {
        line.truncate(gap);
        return line;
    }
    line.push('…');
    line.chars().take(width).collect()
}
