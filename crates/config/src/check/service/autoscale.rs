//! `autoscale` of a service beside its other keys: what it requests, and how many replicas it begins with.

use crate::{
    check::autoscale::{Requested, autoscale},
    located::At,
    model::{Autoscale, Span},
    raw,
    report::Report,
};

/// How many replicas there are at the start, and how many there may be.
#[derive(Clone, Copy)]
pub(super) struct Extent {
    pub(super) start: u32,
    pub(super) most: u32,
    /// What in the file says how many there may be.
    pub(super) key: &'static str,
}

/// Checks the autoscaler, if there is one, and where it begins.
pub(super) fn scaling(raw: &raw::Service, service: Span, report: &mut Report) -> (Option<Autoscale>, Extent) {
    let written = raw.replicas.as_ref().map(|given| (u32::from(given.value), given.span));
    let fixed = written.map_or(1, |(replicas, _)| replicas);
    let fixed = Extent { start: fixed, most: fixed, key: "`replicas`" };
    let Some(given) = &raw.autoscale else { return (None, fixed) };
    let requested = requested(raw, service, report);
    let Some(autoscale) = autoscale(given, requested, report) else {
        return (None, fixed);
    };
    let (min, max) = (autoscale.mode.min(), autoscale.mode.max());
    let start = match written {
        Some((replicas, span)) => {
            if !(min..=max).contains(&replicas) {
                let message = format!(
                    "`replicas`, which is {replicas}, is not between `min` {min} and `max` {max} of `autoscale`"
                );
                let help = "remove it, and the service begins with `min`; or write a number between them";
                report.fault(span, message, help);
            }
            replicas
        }
        // Somebody who starts a service wants to see that it starts, so one that may have none begins with one.
        None => min.max(1),
    };
    (Some(autoscale), Extent { start, most: max, key: "`max` of `autoscale`" })
}

/// What was written counts, also where it has a fault of its own.
fn requested(raw: &raw::Service, service: Span, report: &Report) -> Requested {
    let Some(At { value: resources, span }) = &raw.resources else {
        return if report.has_losses(service) {
            Requested::ALL
        } else {
            Requested { cpu: false, memory: false }
        };
    };
    let is_lost = report.has_losses(*span);
    Requested { cpu: is_lost || resources.cpu.is_some(), memory: is_lost || resources.memory.is_some() }
}
