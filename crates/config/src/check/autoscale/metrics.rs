//! `metrics` of an autoscaler: what is looked at, and what it should be.

use phalanx_scale::Signal;

use crate::{check::autoscale::Requested, located::At, model::Span, raw, report::Report};

const CPU_PERCENT_DEFAULT: u32 = 80;
const IN_FLIGHT_DEFAULT_MILLI: i64 = 100_000;

/// What one replica should have of a signal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Goal {
    pub(super) signal: Signal,
    pub(super) amount: Amount,
    /// Where it stands.
    pub(super) span: Span,
}

/// How much.
#[derive(Clone, Copy, Debug)]
pub(super) enum Amount {
    /// Of what a replica requests.
    Percent(u32),
    /// As such, in thousandths.
    Milli(i64),
}

/// What an autoscaler by the rules of Kubernetes looks at without further words.
pub(super) fn cpu_default(span: Span) -> Goal {
    Goal { signal: Signal::Cpu, amount: Amount::Percent(CPU_PERCENT_DEFAULT), span }
}

/// What a fast one looks at without further words.
pub(super) fn in_flight_default(span: Span) -> Goal {
    Goal { signal: Signal::InFlight, amount: Amount::Milli(IN_FLIGHT_DEFAULT_MILLI), span }
}

/// The goals as they are written; at least one, none twice.
pub(super) fn goals(given: &At<raw::Autoscale>, default: Goal, report: &mut Report) -> Option<Vec<Goal>> {
    let Some(At { value: written, span }) = &given.value.metrics else {
        // A key that was lost may have been this one.
        return (!report.has_losses(given.span)).then(|| vec![default]);
    };
    if written.is_empty() {
        let help = "write one, as `metrics = [{ requests_per_second = 100 }]`";
        report.missing(*span, "there is no metric to decide by", help);
        return None;
    }
    let goals: Vec<_> = written.iter().filter_map(|metric| goal(metric, report)).collect();
    for (index, goal) in goals.iter().enumerate() {
        if let Some(first) = goals[..index].iter().find(|first| first.signal == goal.signal) {
            let message = format!("`{}` is a metric twice", key(goal.signal));
            report.duplicate(first.span, goal.span, message, "remove one of the two");
        }
    }
    (goals.len() == written.len()).then_some(goals)
}

fn goal(At { value: raw, span }: &At<raw::AutoscaleMetric>, report: &mut Report) -> Option<Goal> {
    let written = [
        raw.cpu_percent.map(|percent| (Signal::Cpu, Amount::Percent(percent))),
        raw.memory_percent.map(|percent| (Signal::Memory, Amount::Percent(percent))),
        raw.requests_per_second.map(|value| (Signal::Requests, Amount::Milli(milli(value)))),
        raw.in_flight.map(|value| (Signal::InFlight, Amount::Milli(milli(value)))),
    ];
    let mut written = written.into_iter().flatten();
    match (written.next(), written.next()) {
        (Some((signal, amount)), None) => Some(Goal { signal, amount, span: *span }),
        (None, _) => {
            let help = "write one of `cpu_percent`, `memory_percent`, `requests_per_second` and `in_flight`";
            report.missing(*span, "this metric has no target", help);
            None
        }
        (Some(_), Some(_)) => {
            report.fault(
                *span,
                "a metric has one key",
                "write an item for each: the one that asks for most wins",
            );
            None
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the range of the key keeps it far below")]
fn milli(value: f64) -> i64 {
    (value * 1_000.0).round() as i64
}

/// A share needs a whole.
pub(super) fn refuse_shares_of_nothing(
    goals: &[Goal],
    is_written: bool,
    requested: Requested,
    report: &mut Report,
) {
    for goal in goals {
        let (resource, example) = match goal.signal {
            Signal::Cpu if !requested.cpu => ("cpu", "500m"),
            Signal::Memory if !requested.memory => ("memory", "512MiB"),
            Signal::Cpu | Signal::Memory | Signal::Requests | Signal::InFlight => continue,
        };
        let message = if is_written {
            format!(
                "`{}` is a share of what a replica requests, and this service requests no `{resource}`",
                key(goal.signal)
            )
        } else {
            format!(
                "an autoscaler without `metrics` goes by `cpu_percent = {CPU_PERCENT_DEFAULT}`, and this service requests no `{resource}`"
            )
        };
        let help = format!(
            "add `resources = {{ {resource} = \"{example}\" }}` to the service, or go by `requests_per_second` or `in_flight`"
        );
        report.fault(goal.span, message, help);
    }
}

/// Its key in the file.
pub(super) fn key(signal: Signal) -> &'static str {
    match signal {
        Signal::Cpu => "cpu_percent",
        Signal::Memory => "memory_percent",
        Signal::Requests => "requests_per_second",
        Signal::InFlight => "in_flight",
    }
}
