//! `command` of a service, and the keys that go with it.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use toml::Spanned;

use super::{autoscale::scaling, dependencies, resources::resources, rollout};
use crate::{
    located::At,
    model::{Probe, Replicas, ReplicasLimit, Source, Span},
    raw,
    report::Report,
    source::clipped,
    text::Refusal,
};

const SHUTDOWN_GRACE_DEFAULT: Duration = Duration::from_secs(30);

/// Where a replica finds how many connections it may open to each database server.
const DATABASE_CONNECTIONS: &str = "DATABASE_CONNECTIONS";
const CONNECTIONS_DEFAULT: u32 = 8;
/// PostgreSQL's own.
const MAX_CONNECTIONS_DEFAULT: u32 = 100;
const RESERVE_DEFAULT: u32 = 10;

/// What Phalanx puts into the environment of each replica.
const RESERVED_VARIABLES: [&str; 2] = ["PORT", "PHALANX_INSTANCE"];

/// Checks the keys of a service that Phalanx runs.
pub(super) fn source(
    command: At<Vec<At<String>>>,
    raw: raw::Service,
    service: Span,
    report: &mut Report,
) -> Option<Source> {
    let resources = resources(&raw, report);
    let (autoscale, extent) = scaling(&raw, service, report);
    for (key, message) in [
        (raw.passive_health.map(|key| key.span), "`passive_health` has no effect beside `command`"),
        (raw.active_health.map(|key| key.span), "`active_health` has no effect beside `command`"),
    ] {
        report.without_effect(key, message, "remove it: replicas have `probes`");
    }
    let (startup, readiness) = probes(raw.probes.map(|probes| probes.value).unwrap_or_default(), report);
    let mut limit = ReplicasLimit::Machine;
    let mut env = raw.env.map(|given| env(given.value, report)).unwrap_or_default();
    if let Some(given) = raw.database {
        let (connections, room) = database_connections(&given, extent.most, report);
        limit = NonZeroU32::new(connections).map_or(limit, |each| ReplicasLimit::Connections { each, room });
        env.entry(DATABASE_CONNECTIONS.to_owned()).or_insert_with(|| connections.to_string());
    }
    let shutdown_grace = report.duration(raw.shutdown_grace.as_ref(), SHUTDOWN_GRACE_DEFAULT);
    Some(Source::Replicas(Box::new(Replicas {
        command_span: command.span,
        command: program(command, report)?,
        replicas: extent.start,
        limit,
        env,
        startup,
        readiness,
        shutdown_grace,
        rollout: rollout::policy(raw.rollout, report),
        depends_on: dependencies::names(raw.depends_on),
        resources,
        autoscale,
    })))
}

fn program(given: At<Vec<At<String>>>, report: &mut Report) -> Option<Vec<String>> {
    let Some(program) = given.value.first() else {
        report.missing(
            given.span,
            "the command is empty",
            "write the program and its arguments: [\"node\", \"server.js\"]",
        );
        return None;
    };
    if program.value.is_empty() {
        report.fault(program.span, "the program has no name", "write its name or its path first");
        return None;
    }
    for part in given.value.iter().filter(|part| part.value.contains('\0')) {
        report.refused(part.span, &NUL);
    }
    Some(given.value.into_iter().map(|part| part.value).collect())
}

/// The system ends a text there, so the rest of it would be lost.
const NUL: Refusal = Refusal { problem: "contains a NUL byte", help: "remove it" };

fn env(given: BTreeMap<Spanned<String>, At<String>>, report: &mut Report) -> BTreeMap<String, String> {
    for (name, value) in &given {
        let shown = clipped(name.get_ref());
        if RESERVED_VARIABLES.contains(&name.get_ref().as_str()) {
            let message = format!("`{shown}` is set by Phalanx, to another value for each replica");
            report.fault(name.span().into(), message, "remove it, and read it in the program");
        } else if name.get_ref().is_empty() || name.get_ref().contains(['=', '\0']) {
            let message = format!("`{shown}` cannot be the name of an environment variable");
            report.fault(name.span().into(), message, "write a name without `=`");
        }
        if value.value.contains('\0') {
            report.refused(value.span, &NUL);
        }
    }
    given.into_iter().map(|(name, value)| (name.into_inner(), value.value)).collect()
}

/// The connections of one replica, when those of all fit into what the database takes, and what that is.
fn database_connections(
    given: &At<raw::DatabaseConnections>,
    replicas: u32,
    report: &mut Report,
) -> (u32, u32) {
    let At { value: raw, span } = given;
    let number = |key: &Option<At<u32>>, default| key.as_ref().map_or(default, |given| given.value);
    let connections = number(&raw.connections, CONNECTIONS_DEFAULT);
    let max_connections = number(&raw.max_connections, MAX_CONNECTIONS_DEFAULT);
    let reserve = number(&raw.reserve, RESERVE_DEFAULT);
    let room = max_connections.saturating_sub(reserve);
    let wanted = u64::from(replicas) * u64::from(connections);
    // A key that was lost may have been the one that makes it fit.
    if wanted > room.into() && !report.has_losses(*span) {
        let message = format!(
            "{replicas} replicas with {connections} connections each are {wanted}, and the database has {room} for them: `max_connections` {max_connections}, `reserve` {reserve}"
        );
        let help = match room / replicas.max(1) {
            each @ 2.. => format!(
                "lower `connections` to {each}, or `replicas`, or raise `max_connections` here and in PostgreSQL"
            ),
            _ => "lower `replicas`, or raise `max_connections` here and in PostgreSQL".to_owned(),
        };
        report.fault(*span, message, help);
    }
    (connections, room)
}

/// Startup and readiness.
fn probes(raw: raw::Probes, report: &mut Report) -> (Probe, Probe) {
    let second = Duration::from_secs(1);
    let default = Probe {
        path: None,
        initial_delay: Duration::ZERO,
        period: second,
        timeout: second,
        success: 1,
        failure: 3,
    };
    let readiness = probe(raw.readiness, default, report);
    let startup_default = Probe { period: second, success: 1, failure: 60, ..readiness.clone() };
    (probe(raw.startup, startup_default, report), readiness)
}

fn probe(given: Option<raw::Probe>, default: Probe, report: &mut Report) -> Probe {
    let Some(raw) = given else { return default };
    Probe {
        path: raw.path.map_or(default.path, |path| report.path(&path)),
        initial_delay: report.duration(raw.initial_delay.as_ref(), default.initial_delay),
        period: report.duration_above_zero(raw.period.as_ref(), default.period),
        timeout: report.duration_above_zero(raw.timeout.as_ref(), default.timeout),
        success: raw.success.unwrap_or(default.success),
        failure: raw.failure.unwrap_or(default.failure),
    }
}
