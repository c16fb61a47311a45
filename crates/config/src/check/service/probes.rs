//! `probes` and `back_off`: what is asked, how often, and what is inherited or fixed.
//!
//! Invariants: a probe asks in one way. One good answer is enough for a startup and for a liveness probe.
//! Elsewhere: what follows from the answers (`phalanx-fleet`).

use std::time::Duration;

use super::replicas::program;
use crate::{
    located::At,
    model::{BackOff, Check, Probe, Span},
    raw,
    report::Report,
};

/// How often a liveness probe asks, as in Kubernetes.
const LIVENESS_PERIOD_DEFAULT: Duration = Duration::from_secs(10);

/// All probes of a service.
pub(super) struct Probes {
    pub(super) startup: Probe,
    pub(super) readiness: Probe,
    pub(super) liveness: Option<Probe>,
}

/// Checks `probes`.
pub(super) fn probes(raw: raw::Probes, report: &mut Report) -> Probes {
    let second = Duration::from_secs(1);
    let default = Probe {
        check: Check::Connect { port: None },
        initial_delay: Duration::ZERO,
        period: second,
        timeout: second,
        success: 1,
        failure: 3,
    };
    let liveness_default = Probe { period: LIVENESS_PERIOD_DEFAULT, ..default.clone() };
    let readiness = probe(raw.readiness, default, report);
    let startup_default = Probe { period: second, success: 1, failure: 60, ..readiness.clone() };
    Probes {
        startup: probe_once_good(raw.startup, startup_default, "startup", report),
        liveness: raw.liveness.map(|raw| probe_once_good(Some(raw), liveness_default, "liveness", report)),
        readiness,
    }
}

/// A probe of which one good answer is enough.
fn probe_once_good(
    given: Option<raw::Probe>,
    default: Probe,
    name: &'static str,
    report: &mut Report,
) -> Probe {
    let success = given.as_ref().and_then(|raw| raw.success.as_ref());
    if let Some(success) = success.filter(|success| success.value != 1) {
        let message = format!("`success` of a {name} probe cannot be {}", success.value);
        report.fault(success.span, message, "remove it: one good answer is enough for this probe");
    }
    probe(given, default, report)
}

fn probe(given: Option<raw::Probe>, default: Probe, report: &mut Report) -> Probe {
    let Some(mut raw) = given else { return default };
    Probe {
        check: check(&mut raw, default.check, report),
        initial_delay: report.duration(raw.initial_delay.as_ref(), default.initial_delay),
        period: report.duration_above_zero(raw.period.as_ref(), default.period),
        timeout: report.duration_above_zero(raw.timeout.as_ref(), default.timeout),
        success: raw.success.map_or(default.success, |success| success.value),
        failure: raw.failure.unwrap_or(default.failure),
    }
}

/// What a probe asks; without a word about it what `default` asks, also of another port.
fn check(raw: &mut raw::Probe, default: Check, report: &mut Report) -> Check {
    refuse_several(raw, report);
    let port = raw.port.as_ref().map(|port| port.value);
    if let Some(path) = raw.path.take() {
        return report.path(&path).map_or(default, |path| Check::Http { path, port });
    }
    if let Some(exec) = raw.exec.take() {
        refuse_port_of_program(raw, report);
        return program(exec, "the command of this probe is empty", report)
            .map_or(default, |command| Check::Exec { command });
    }
    if let Some(grpc) = raw.grpc.take() {
        return Check::Grpc { service: grpc.value, port };
    }
    match (&raw.tcp, default) {
        (Some(At { value: true, .. }), _) | (None, Check::Connect { .. }) => Check::Connect { port },
        (Some(At { value: false, span }), default) => {
            report.fault(*span, "`tcp = false` asks nothing", "remove it, or write what is to be asked");
            default
        }
        (None, default) if port.is_none() => default,
        (None, Check::Http { path, .. }) => Check::Http { path, port },
        (None, Check::Grpc { service, .. }) => Check::Grpc { service, port },
        (None, default @ Check::Exec { .. }) => {
            refuse_port_of_program(raw, report);
            default
        }
    }
}

fn refuse_several(raw: &raw::Probe, report: &mut Report) {
    let ways = [
        raw.path.as_ref().map(|path| path.span),
        raw.tcp.as_ref().map(|tcp| tcp.span),
        raw.exec.as_ref().map(|exec| exec.span),
        raw.grpc.as_ref().map(|grpc| grpc.span),
    ];
    let mut ways: Vec<Span> = ways.into_iter().flatten().collect();
    ways.sort_by_key(|span| span.start);
    if let Some((first, others)) = ways.split_first() {
        for other in others {
            let message = "a probe asks in one way: `path`, `tcp`, `exec` or `grpc`";
            report.duplicate(*first, *other, message, "keep one of them");
        }
    }
}

fn refuse_port_of_program(raw: &raw::Probe, report: &mut Report) {
    let help = "remove it: the program finds the port of its replica in PORT";
    report.without_effect(raw.port.as_ref().map(|port| port.span), "`port` has no effect with `exec`", help);
}

/// Checks `back_off`.
pub(super) fn back_off(given: Option<&At<raw::BackOff>>, report: &mut Report) -> BackOff {
    let default = BackOff::default();
    let Some(At { value: raw, span }) = given else { return default };
    let back_off = BackOff {
        first: report.duration_above_zero(raw.first.as_ref(), default.first),
        longest: report.duration_above_zero(raw.longest.as_ref(), default.longest),
        forgiven_after: report.duration_above_zero(raw.forgiven_after.as_ref(), default.forgiven_after),
    };
    // One that was lost may have been right beside the other.
    let is_contradiction = back_off.first > back_off.longest && !report.has_losses(*span);
    if let Some(given) = raw.first.as_ref().or(raw.longest.as_ref()).filter(|_| is_contradiction) {
        let message = format!(
            "`first`, which is {:?}, is above `longest`, which is {:?}",
            back_off.first, back_off.longest
        );
        report.fault(given.span, message, "lower `first`, or raise `longest`");
    }
    back_off
}
