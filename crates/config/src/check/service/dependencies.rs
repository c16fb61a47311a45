//! `depends_on` of all services: each names another one that Phalanx runs, and none waits for itself in the end.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    slice,
    sync::Arc,
};

use toml::Spanned;

use crate::{
    check::KnownServices,
    located::At,
    model::{ServiceName, Span},
    raw,
    report::Report,
};

/// Cycles that are told; more of them go with these.
const CYCLES_TOLD_MAX: usize = 10;
/// Services of a cycle that are told.
const NAMES_TOLD_MAX: usize = 10;

/// What each service waits for: services of the file, without those that wait for themselves.
type Graph<'a> = BTreeMap<&'a str, Vec<&'a At<String>>>;

/// Checks them all.
pub(super) fn check(
    services: &BTreeMap<Spanned<String>, At<raw::Service>>,
    known: &KnownServices,
    report: &mut Report,
) {
    let run: BTreeSet<&str> = services
        .iter()
        .filter(|(_, service)| service.value.command.is_some() || report.has_losses(service.span))
        .map(|(name, _)| name.get_ref().as_str())
        .collect();
    let mut graph = Graph::new();
    for (name, service) in services {
        let name = name.get_ref().as_str();
        let named = service.value.depends_on.iter().flat_map(|given| &given.value);
        let sound = named.filter(|given| is_sound(name, given, &run, known, report)).collect();
        graph.insert(name, sound);
    }
    for Cycle { names, closed_at } in cycles(&graph) {
        let first = names.first().copied().unwrap_or_default();
        let mut told: Vec<_> = names.iter().take(NAMES_TOLD_MAX).map(|name| format!("`{name}`")).collect();
        if names.len() > NAMES_TOLD_MAX {
            told.push("…".to_owned());
        }
        told.push(format!("`{first}`"));
        let chain = told.join(", which waits for ").replacen(", which", "", 1);
        let message = format!("{chain}: none of them could ever start");
        report.fault(closed_at, message, "remove one of these");
    }
}

/// The names, none twice. [`check`] has seen that there are such services.
pub(super) fn names(given: Option<At<Vec<At<String>>>>) -> Vec<ServiceName> {
    let given = given.map(|given| given.value).unwrap_or_default();
    let names: BTreeSet<_> = given.into_iter().map(|name| ServiceName(Arc::from(name.value))).collect();
    names.into_iter().collect()
}

fn is_sound(
    service: &str,
    given: &At<String>,
    run: &BTreeSet<&str>,
    known: &KnownServices,
    report: &mut Report,
) -> bool {
    if given.value == service {
        report.fault(given.span, format!("`{service}` waits for itself"), "remove it");
        return false;
    }
    if known.find(given, report).is_none() {
        return false;
    }
    if !run.contains(given.value.as_str()) {
        let message =
            format!("`{}` has no `command`, so Phalanx cannot tell when it is complete", given.value);
        report.fault(given.span, message, "remove it: only services that Phalanx runs are waited for");
        return false;
    }
    true
}

/// Services of which each waits for the next, and the last for the first.
struct Cycle<'a> {
    names: Vec<&'a str>,
    /// Where the last names the first.
    closed_at: Span,
}

/// How far a service has been looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// It is on the path.
    Open,
    /// Whatever it waits for is known.
    Closed,
}

/// A walk along what is waited for. With a stack of its own, since a hostile file can have a path of any length.
fn cycles<'a>(graph: &'a Graph<'a>) -> Vec<Cycle<'a>> {
    let mut marks: HashMap<&str, Mark> = HashMap::new();
    let mut found = Vec::new();
    for &start in graph.keys() {
        if marks.contains_key(start) {
            continue;
        }
        let mut path: Vec<(&str, slice::Iter<'_, &At<String>>)> = Vec::new();
        let mut next = Some(start);
        loop {
            if let Some(name) = next.take() {
                marks.insert(name, Mark::Open);
                path.push((name, graph.get(name).map_or(&[][..], Vec::as_slice).iter()));
            }
            let Some((name, waited_for)) = path.last_mut() else { break };
            let Some(dependency) = waited_for.next() else {
                marks.insert(name, Mark::Closed);
                path.pop();
                continue;
            };
            match marks.get(dependency.value.as_str()) {
                None => next = Some(&dependency.value),
                Some(Mark::Open) if found.len() < CYCLES_TOLD_MAX => {
                    let names = path.iter().map(|(name, _)| *name);
                    let names = names.skip_while(|name| *name != dependency.value).collect();
                    found.push(Cycle { names, closed_at: dependency.span });
                }
                Some(Mark::Open | Mark::Closed) => {}
            }
        }
    }
    found
}
