//! `command` of a service, and the keys that go with it.

use std::{collections::BTreeMap, time::Duration};

use toml::Spanned;

use super::{autoscale::scaling, database, dependencies, probes, resources::resources, rollout};
use crate::{
    located::At,
    model::{EnvFile, Replicas, ReplicasLimit, Source, Span},
    raw,
    report::Report,
    source::clipped,
    text::Refusal,
};

const SHUTDOWN_GRACE_DEFAULT: Duration = Duration::from_secs(30);

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
    let probes = probes::probes(raw.probes.map(|probes| probes.value).unwrap_or_default(), report);
    let back_off = probes::back_off(raw.back_off.as_ref(), report);
    let rollout = rollout::policy(raw.rollout, report);
    let env_files = raw.env_file.map(|given| env_files(given.value, report)).unwrap_or_default();
    let mut env = raw.env.map(|given| env(given.value, report)).unwrap_or_default();
    let limit = match raw.database {
        Some(given) => {
            let connections = database::connections(&given, extent, rollout.pace, report);
            env.entry(database::CONNECTIONS.to_owned()).or_insert_with(|| connections.each.to_string());
            ReplicasLimit::Connections(connections)
        }
        None => ReplicasLimit::Machine,
    };
    let shutdown_grace = report.duration(raw.shutdown_grace.as_ref(), SHUTDOWN_GRACE_DEFAULT);
    Some(Source::Replicas(Replicas {
        command_span: command.span,
        command: program(command, "the command is empty", report)?,
        replicas: extent.start,
        limit,
        env,
        env_files,
        startup: probes.startup,
        readiness: probes.readiness,
        liveness: probes.liveness,
        back_off,
        shutdown_grace,
        resources,
        rollout,
        depends_on: dependencies::names(raw.depends_on),
        autoscale,
    }))
}

/// A program and its arguments; `empty` is told where there are none.
pub(super) fn program(
    given: At<Vec<At<String>>>,
    empty: &'static str,
    report: &mut Report,
) -> Option<Vec<String>> {
    let Some(program) = given.value.first() else {
        report.missing(given.span, empty, "write the program and its arguments: [\"node\", \"server.js\"]");
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

fn env_files(given: Vec<At<String>>, report: &mut Report) -> Vec<EnvFile> {
    let file = |At { value, span }: At<String>| {
        let (path, may_be_missing) = match value.strip_suffix('?') {
            Some(path) => (path.to_owned(), true),
            None => (value, false),
        };
        if path.is_empty() {
            report.fault(span, "the file has no name", "write its path, as in [\".env\"]");
        } else if path.contains('\0') {
            report.refused(span, &NUL);
        }
        EnvFile { path, may_be_missing, span }
    };
    given.into_iter().map(file).collect()
}

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
