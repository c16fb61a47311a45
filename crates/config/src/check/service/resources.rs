//! `resources` of a service, and `cpu` and `memory` of its `limits`.

use std::num::{NonZeroU32, NonZeroU64};

use crate::{
    located::{At, CoresText, SizeText},
    model::{Amounts, Resources, Span},
    raw,
    report::Report,
    text,
};

/// Checks what a replica is expected to use, and what it may.
pub(super) fn resources(raw: &raw::Service, report: &mut Report) -> Resources {
    let resources = raw.resources.as_ref().map(|given| &given.value);
    let limits = raw.limits.as_ref().map(|given| &given.value);
    let (requested_cpu, limited_cpu) =
        (resources.and_then(|raw| raw.cpu.as_ref()), limits.and_then(|raw| raw.cpu.as_ref()));
    let (requested_memory, limited_memory) =
        (resources.and_then(|raw| raw.memory.as_ref()), limits.and_then(|raw| raw.memory.as_ref()));
    let requests = amounts(requested_cpu, requested_memory, report);
    let limits = amounts(limited_cpu, limited_memory, report);
    let is_below = |limit: Option<u64>, request: Option<u64>| limit.zip(request).is_some_and(|(l, r)| l < r);
    let cpu = |amounts: &Amounts| amounts.cpu_milli.map(|milli| milli.get().into());
    if is_below(cpu(&limits), cpu(&requests)) {
        contradiction("cpu", span(limited_cpu), span(requested_cpu), report);
    }
    let memory = |amounts: &Amounts| amounts.memory_bytes.map(NonZeroU64::get);
    if is_below(memory(&limits), memory(&requests)) {
        contradiction("memory", span(limited_memory), span(requested_memory), report);
    }
    Resources { requests, limits }
}

/// Reports the `limits` that go with `command`, where there is none.
pub(super) fn refuse_limits_of_command(raw: &raw::Service, report: &mut Report) {
    let Some(At { value: limits, .. }) = &raw.limits else { return };
    for (key, message) in [
        (span(limits.cpu.as_ref()), "`cpu` of `limits` has no effect without `command`"),
        (span(limits.memory.as_ref()), "`memory` of `limits` has no effect without `command`"),
    ] {
        report.without_effect(key, message, "remove it: Phalanx does not run these endpoints");
    }
}

fn amounts(cpu: Option<&At<CoresText>>, memory: Option<&At<SizeText>>, report: &mut Report) -> Amounts {
    Amounts {
        cpu_milli: cpu.and_then(|given| cores(given, report)),
        memory_bytes: memory.and_then(|given| bytes(given, report)),
    }
}

fn cores(given: &At<CoresText>, report: &mut Report) -> Option<NonZeroU32> {
    let CoresText(text) = &given.value;
    text::cores::parse(text).map_err(|refusal| report.refused(given.span, &refusal)).ok()
}

fn bytes(given: &At<SizeText>, report: &mut Report) -> Option<NonZeroU64> {
    let SizeText(text) = &given.value;
    let size = text::size::parse(text).map_err(|refusal| report.refused(given.span, &refusal)).ok()?;
    let bytes = NonZeroU64::new(size);
    if bytes.is_none() {
        let message = format!("{} is no memory at all", report.source().quote(given.span));
        report.fault(given.span, message, "write a size above zero");
    }
    bytes
}

fn span<T>(given: Option<&At<T>>) -> Option<Span> {
    given.map(|given| given.span)
}

/// A replica that may not have what it is expected to need.
fn contradiction(key: &str, limit: Option<Span>, request: Option<Span>, report: &mut Report) {
    let (Some(limit), Some(request)) = (limit, request) else { return };
    let (limited, requested) = (report.source().quote(limit), report.source().quote(request));
    let message = format!(
        "`{key}` of `limits`, which is {limited}, is below that of `resources`, which is {requested}"
    );
    report.duplicate(request, limit, message, "raise the limit, or lower what is expected");
}
