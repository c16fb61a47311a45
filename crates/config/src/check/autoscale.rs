//! `[service.NAME.autoscale]`, and a file that has the same keys and nothing else.
//!
//! The rules are those that Kubernetes has for a `HorizontalPodAutoscaler`, each reported where it is broken; the policy that comes
//! out is checked once more by the crate that decides by it.

mod fast;
mod metrics;
mod rules;

use std::{ops::RangeInclusive, time::Duration};

use phalanx_scale::{
    Mode, Policy, Signal, Tolerance, Wanted,
    behavior::{Behavior, Direction, Rules},
    group::Startup,
    metric::Metric,
    policy::DOWNSCALE_WINDOW_DEFAULT,
};

use self::metrics::{Amount, Goal};
use crate::{
    located::{At, DurationText},
    model::{Autoscale, Span},
    raw::{self, AutoscaleMode},
    report::Report,
};

const INTERVAL_MIN: Duration = Duration::from_secs(1);
const INTERVAL_MAX: Duration = Duration::from_hours(1);
const INTERVAL_DEFAULT: Duration = Duration::from_secs(15);
const INTERVAL_FAST_DEFAULT: Duration = Duration::from_secs(2);

/// Which requests of a replica are known, so that a metric can be a share of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Requested {
    pub(crate) cpu: bool,
    pub(crate) memory: bool,
}

impl Requested {
    /// Where there is no service whose requests could be missing.
    pub(crate) const ALL: Self = Self { cpu: true, memory: true };
}

/// Between which numbers.
#[derive(Clone, Copy)]
struct Bounds {
    min: u32,
    max: u32,
}

/// Checks an autoscaler.
pub(crate) fn autoscale(
    given: &At<raw::Autoscale>,
    requested: Requested,
    report: &mut Report,
) -> Option<Autoscale> {
    let At { value: raw, span } = given;
    let faults_before = report.found();
    let mode = raw.mode.unwrap_or(AutoscaleMode::Kubernetes);
    let bounds = bounds(raw, *span, report);
    let interval_default = match mode {
        AutoscaleMode::Kubernetes => INTERVAL_DEFAULT,
        AutoscaleMode::Fast => INTERVAL_FAST_DEFAULT,
    };
    let interval =
        report.duration_within(raw.interval.as_ref(), interval_default, INTERVAL_MIN..=INTERVAL_MAX);
    refuse_keys_of_the_other_mode(raw, *span, report);
    let mode = match mode {
        AutoscaleMode::Kubernetes => kubernetes(given, bounds, requested, report).map(|wanted| {
            Policy::try_from(wanted).map(Mode::Kubernetes).map_err(|faults| faults.to_string())
        }),
        AutoscaleMode::Fast => fast::wanted(given, bounds, report).map(|wanted| {
            phalanx_scale::fast::Policy::try_from(wanted).map(Mode::Fast).map_err(|faults| faults.to_string())
        }),
    };
    if report.found() > faults_before || report.has_losses(*span) {
        return None;
    }
    match mode? {
        Ok(mode) => Some(Autoscale { interval, mode }),
        Err(faults) => {
            report.fault(*span, faults, "compare it with the configuration reference");
            None
        }
    }
}

fn bounds(raw: &raw::Autoscale, span: Span, report: &mut Report) -> Bounds {
    let min = raw.min.as_ref().map_or(1, |given| given.value);
    if let Some(given) = raw.min.as_ref().filter(|given| given.value == 0)
        && raw.mode != Some(AutoscaleMode::Fast)
        && !report.has_losses(span)
    {
        let help = "add `mode = \"fast\"`, or write `min = 1`: by the rules of Kubernetes nothing is measured of a service without replicas, so nothing would bring it back";
        report.fault(given.span, "`min = 0` needs `mode = \"fast\"`", help);
    }
    let Some(max) = &raw.max else {
        let help = "add the most replicas that there may be: `max = 10`";
        report.missing(span, "this autoscaler has no `max`", help);
        return Bounds { min, max: u32::MAX };
    };
    if min > max.value && !report.has_losses(span) {
        let message = format!("`min`, which is {min}, is above `max`, which is {}", max.value);
        let place = raw.min.as_ref().map_or(max.span, |given| given.span);
        report.fault(place, message, "lower `min`, or raise `max`");
    }
    Bounds { min, max: max.value }
}

fn refuse_keys_of_the_other_mode(raw: &raw::Autoscale, span: Span, report: &mut Report) {
    // A `mode` that was lost may have been the one.
    if raw.mode.is_none() && report.has_losses(span) {
        return;
    }
    let place = |given: &Option<At<DurationText>>| given.as_ref().map(|given| given.span);
    let (keys, help) = match raw.mode {
        Some(AutoscaleMode::Fast) => (
            vec![
                (
                    raw.tolerance.as_ref().map(|key| key.span),
                    "`tolerance` has no effect with `mode = \"fast\"`",
                ),
                (
                    raw.scale_up.as_ref().map(|key| key.span),
                    "`scale_up` has no effect with `mode = \"fast\"`",
                ),
                (
                    raw.scale_down.as_ref().map(|key| key.span),
                    "`scale_down` has no effect with `mode = \"fast\"`",
                ),
            ],
            "remove it: windows take its place, `stable_window` and `panic_window`",
        ),
        Some(AutoscaleMode::Kubernetes) | None => (
            vec![
                (place(&raw.stable_window), "`stable_window` has no effect without `mode = \"fast\"`"),
                (place(&raw.panic_window), "`panic_window` has no effect without `mode = \"fast\"`"),
                (
                    raw.panic_threshold.as_ref().map(|key| key.span),
                    "`panic_threshold` has no effect without `mode = \"fast\"`",
                ),
                (
                    place(&raw.scale_to_zero_after),
                    "`scale_to_zero_after` has no effect without `mode = \"fast\"`",
                ),
            ],
            "remove it, or add `mode = \"fast\"`",
        ),
    };
    for (key, message) in keys {
        report.without_effect(key, message, help);
    }
}

/// What is wanted by the rules of Kubernetes.
fn kubernetes(
    given: &At<raw::Autoscale>,
    Bounds { min, max }: Bounds,
    requested: Requested,
    report: &mut Report,
) -> Option<Wanted> {
    let raw = &given.value;
    let tolerance = raw
        .tolerance
        .as_ref()
        .map_or_else(Tolerance::default, |given| Tolerance { down: given.value, up: given.value });
    let behavior = behavior(raw, report);
    let goals = metrics::goals(given, metrics::cpu_default(given.span), report)?;
    metrics::refuse_shares_of_nothing(&goals, raw.metrics.is_some(), requested, report);
    Some(Wanted {
        min,
        max,
        metrics: goals.iter().map(metric).collect(),
        tolerance,
        startup: Startup::default(),
        downscale_window: DOWNSCALE_WINDOW_DEFAULT,
        behavior,
    })
}

/// Without either there are no rules, and as soon as there is one the other has its defaults.
fn behavior(raw: &raw::Autoscale, report: &mut Report) -> Option<Behavior> {
    if raw.scale_up.is_none() && raw.scale_down.is_none() {
        return None;
    }
    let (up, down) = (Rules::up_default(), Rules::down_default(DOWNSCALE_WINDOW_DEFAULT));
    Some(Behavior {
        up: rules::rules(raw.scale_up.as_ref(), up, Direction::Up, report),
        down: rules::rules(raw.scale_down.as_ref(), down, Direction::Down, report),
    })
}

fn metric(goal: &Goal) -> Metric {
    match (goal.signal, goal.amount) {
        (Signal::Memory, Amount::Percent(percent)) => Metric::memory_percent(percent),
        (_, Amount::Percent(percent)) => Metric::cpu_percent(percent),
        (Signal::InFlight, Amount::Milli(milli)) => Metric::in_flight(milli),
        (_, Amount::Milli(milli)) => Metric::requests_per_second(milli),
    }
}

impl Report {
    /// A duration that must lie in a range.
    pub(super) fn duration_within(
        &mut self,
        given: Option<&At<DurationText>>,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        let faults_before = self.found();
        let duration = self.duration(given, default);
        if let Some(given) = given
            && !range.contains(&duration)
            && self.found() == faults_before
        {
            let message = format!("{} is out of range", self.source().quote(given.span));
            let help = format!("write a duration from {:?} to {:?}", range.start(), range.end());
            self.fault(given.span, message, help);
        }
        duration
    }
}
