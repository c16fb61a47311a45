//! `scale_up` and `scale_down` of an autoscaler.

use std::time::Duration;

use phalanx_scale::{
    behavior::{Amount, Direction, Rate, Rules, Select},
    policy::{PERIOD_MAX, WINDOW_MAX},
};

use crate::{located::At, raw, report::Report};

const PERIOD_MIN: Duration = Duration::from_secs(1);

/// The rules of one direction; what is not written has its default.
pub(super) fn rules(
    given: Option<&At<raw::ScaleRules>>,
    default: Rules,
    direction: Direction,
    report: &mut Report,
) -> Rules {
    let Some(At { value: raw, .. }) = given else { return default };
    let select = raw.select.map_or(default.select, |select| match select {
        raw::ScaleSelect::Max => Select::Max,
        raw::ScaleSelect::Min => Select::Min,
        raw::ScaleSelect::Disabled => Select::Disabled,
    });
    let window = Duration::ZERO..=WINDOW_MAX;
    Rules {
        window: report.duration_within(raw.stabilization.as_ref(), default.window, window),
        select,
        rates: match &raw.policies {
            Some(policies) => rates(policies, select, direction, report),
            None => default.rates,
        },
        tolerance: raw.tolerance,
    }
}

fn rates(
    given: &At<Vec<At<raw::ScalePolicy>>>,
    select: Select,
    direction: Direction,
    report: &mut Report,
) -> Vec<Rate> {
    if given.value.is_empty() && select != Select::Disabled {
        let message = format!("without a policy nothing scales {direction}");
        let help = "add one, as `{ replicas = 4, period = \"60s\" }`; or, if that is what is meant, `select = \"disabled\"`";
        report.missing(given.span, message, help);
    }
    given.value.iter().filter_map(|policy| rate(policy, report)).collect()
}

fn rate(At { value: raw, span }: &At<raw::ScalePolicy>, report: &mut Report) -> Option<Rate> {
    let amount = match (raw.percent, raw.replicas) {
        (Some(percent), None) => Some(Amount::Percent(percent)),
        (None, Some(replicas)) => Some(Amount::Replicas(replicas)),
        (None, None) => {
            report.missing(*span, "this policy allows nothing", "add `replicas = 4` or `percent = 50`");
            None
        }
        (Some(_), Some(_)) => {
            let help = "write a policy for each: `select` says which of them holds";
            report.fault(*span, "a policy has either `percent` or `replicas`", help);
            None
        }
    };
    if raw.period.is_none() {
        report.missing(*span, "this policy has no `period`", "add `period = \"60s\"`");
    }
    let period = report.duration_within(raw.period.as_ref(), PERIOD_MIN, PERIOD_MIN..=PERIOD_MAX);
    Some(Rate { amount: amount?, period })
}
