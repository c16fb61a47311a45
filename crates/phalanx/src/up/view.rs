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
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// A few lines: the rest of the terminal is for what the replicas print.
const LINES_MAX: usize = 10;
const GAP: &str = "  ";
const RULE_COLUMNS: usize = 24;
/// Of a sentence less would say nothing.
const SENTENCE_COLUMNS_MIN: usize = 16;

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

/// The lines for a terminal of this many columns and rows.
pub(super) fn lines(view: &View, columns: usize, rows: usize) -> Vec<String> {
    let services = &view.state.services;
    // One for the rule, one for the gateway, one for what happened last, and half of the terminal is not ours.
    let room = LINES_MAX.min(rows / 2).saturating_sub(3);
    let shown = if services.len() > room { room.saturating_sub(1) } else { services.len() };
    let names = services[..shown].iter().map(|service| service.name.width());
    let name_width = names.max().unwrap_or(0).max("gateway".len());
    let mut lines = vec!["─".repeat(columns.min(RULE_COLUMNS))];
    for service in &services[..shown] {
        lines.push(fitted(&service_parts(service, name_width), columns));
    }
    if shown < services.len() {
        lines.push(fitted(&[format!("{} more: phalanx status", services.len() - shown)], columns));
    }
    lines.push(fitted(&gateway_parts(view, name_width), columns));
    if let Some(event) = &view.last {
        lines.push(fitted(&[format!("{:<name_width$}", "last"), told(event)], columns));
    }
    lines.truncate(rows);
    lines
}

/// The most telling first.
fn service_parts(service: &Service, name_width: usize) -> Vec<String> {
    let mut parts = vec![format!("{:<name_width$}", service.name)];
    let wanted = service.desired.map_or(service.endpoints.len(), |desired| desired as usize);
    parts.push(format!("{}/{wanted} ready", service.serving));
    let rollout = service.rollout.as_ref().filter(|rollout| rollout.status != "complete");
    if let Some(Rollout { status, updated, total, .. }) = rollout {
        parts.push(format!("{status} {updated}/{total}"));
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
    if view.state.stopping {
        parts.insert(1, "stopping".to_owned());
    }
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

/// As many parts as fit. Of a sentence as much as fits: a number that is cut would be another one.
fn fitted(parts: &[String], columns: usize) -> String {
    let mut line = String::new();
    for part in parts {
        let part = escaped(part).to_string();
        let gap = if line.is_empty() { "" } else { GAP };
        let room = columns.saturating_sub(line.width() + gap.len());
        if part.width() <= room {
            line.extend([gap, &part]);
            continue;
        }
        let is_sentence = part.split_whitespace().nth(3).is_some();
        if line.is_empty() || (is_sentence && room >= SENTENCE_COLUMNS_MIN) {
            line.push_str(gap);
            line.push_str(cut(&part, room.saturating_sub(1)));
            line.push('…');
        }
        break;
    }
    line.truncate(line.trim_end().len());
    line
}

/// The beginning of a text that takes no more columns.
fn cut(text: &str, columns: usize) -> &str {
    let mut taken = 0;
    let fits = |(_, character): &(usize, char)| {
        taken += character.width().unwrap_or(0);
        taken <= columns
    };
    let end =
        text.char_indices().take_while(fits).last().map_or(0, |(at, character)| at + character.len_utf8());
    &text[..end]
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use phalanx_admin::state::{Autoscale, Endpoint, EndpointState, Gateway};

    use super::*;

    fn replica(state: EndpointState) -> Endpoint {
        Endpoint {
            address: "127.0.0.1:41001".to_owned(),
            instance: Some("shop-1".to_owned()),
            state,
            reason: None,
            weight: 1,
            in_flight: 2,
            requests: 10_432,
            failures: 0,
            pid: Some(4711),
            restarts: 0,
            since_seconds: Some(7_300),
            revision: Some(4),
            cpu_millicores: Some(420),
            memory_bytes: Some(210 << 20),
            requests_per_second: Some(310.4),
            last_output: Vec::new(),
        }
    }

    fn service(name: &str, status: &str) -> Service {
        Service {
            name: name.to_owned(),
            desired: Some(2),
            serving: 1,
            endpoints: vec![replica(EndpointState::Serving), replica(EndpointState::Starting)],
            rollout: Some(Rollout {
                revision: 4,
                status: status.to_owned(),
                reason: "revision 4: waits for shop-3; progressing".to_owned(),
                updated: 1,
                available: 1,
                total: 2,
                history: Vec::new(),
            }),
            autoscale: Some(Autoscale {
                desired: 2,
                reason: "held at 2: cooling down for 12s".to_owned(),
                age_seconds: 3,
                metrics: Vec::new(),
            }),
            limits_enforced: None,
        }
    }

    fn view(services: Vec<Service>) -> View {
        let event = Event {
            id: 7,
            at_unix_millis: 0,
            service: "shop".to_owned(),
            instance: Some("shop-1".to_owned()),
            kind: "ready".to_owned(),
            reason: "after 1.2s, and \u{1b}[2J nothing of it steers the terminal".to_owned(),
        };
        let gateway = Gateway { listeners: Vec::new(), workers: 2, connections: 48, requests_in_flight: 5 };
        let (version, uptime_seconds) = ("0.1.0".to_owned(), 7);
        View {
            state: State { version, uptime_seconds, stopping: false, gateway, services },
            requests_per_second: 620.8,
            p50: Some(Duration::from_micros(740)),
            p99: Some(Duration::from_millis(41)),
            last: Some(event),
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "a literal in each test")]
    fn check(columns: usize, expected: Expect) {
        let services = vec![service("shop", "progressing"), service("api", "complete")];
        expected.assert_eq(&lines(&view(services), columns, 24).join("\n"));
    }

    #[test]
    fn a_wide_terminal_shows_why() {
        check(
            99,
            expect![[r#"
            ────────────────────────
            shop     1/2 ready  progressing 1/2  621 req/s  cpu 840m  420MiB  revision 4: waits for shop-3; pr…
            api      1/2 ready  621 req/s  cpu 840m  420MiB  held at 2: cooling down for 12s
            gateway  621 req/s  p50 0.7ms  p99 41ms  5 in flight  48 connections
            last     shop-1 ready: after 1.2s, and \u{1b}[2J nothing of it steers the terminal"#]],
        );
    }

    #[test]
    fn a_narrow_terminal_shows_what_counts() {
        check(
            39,
            expect![[r#"
            ────────────────────────
            shop     1/2 ready  progressing 1/2
            api      1/2 ready  621 req/s  cpu 840m
            gateway  621 req/s  p50 0.7ms  p99 41ms
            last     shop-1 ready: after 1.2s, and…"#]],
        );
    }

    #[test]
    fn no_line_is_wider_and_no_view_higher_than_the_terminal() {
        for services in [0, 1, 3, 30] {
            let services: Vec<_> =
                (0..services).map(|n| service(&format!("shop-{n}"), "progressing")).collect();
            let view = view(services);
            for columns in 1..130 {
                for rows in [0, 1, 2, 5, 24] {
                    let lines = lines(&view, columns, rows);
                    assert!(lines.len() <= LINES_MAX.min(rows), "{rows}: {lines:#?}");
                    assert!(lines.iter().all(|line| line.width() <= columns), "{columns}: {lines:#?}");
                    assert!(!lines.concat().contains('\u{1b}'), "{lines:#?}");
                }
            }
        }
    }
}
