//! `rollout` of a service.

use std::time::Duration;

use phalanx_scale::rollout::{Ceiling, IntOrPercent, OnStall, Pace, PaceError, Patience, Policy};

use crate::{
    located::{Amount, At, DeadlineText},
    raw,
    report::Report,
    text::{self, Refusal},
};

const SURGE_DEFAULT: IntOrPercent = IntOrPercent::Percent(25);
/// Kubernetes' own is 25%: replicas of one machine are few, and one that is missing is missed.
const UNAVAILABLE_DEFAULT: IntOrPercent = IntOrPercent::Int(0);
const DEADLINE_DEFAULT: Duration = Duration::from_secs(600);

const NO_AMOUNT: Refusal = Refusal {
    problem: "is neither a number of replicas nor a share of them",
    help: r#"write a number, as 1, or a whole percentage, as "25%""#,
};

/// How replicas are replaced.
pub(super) fn policy(given: Option<At<raw::Rollout>>, report: &mut Report) -> Policy {
    let given = given.unwrap_or(At { value: raw::Rollout::default(), span: super::super::TOP });
    Policy {
        pace: pace(&given, report),
        patience: patience(&given, report),
        // On one machine those that drain hold memory that nobody else has.
        ceiling: Ceiling::LiveAndDraining,
        on_stall: match given.value.on_stall {
            Some(raw::OnStall::Hold) | None => OnStall::Hold,
            Some(raw::OnStall::RollBack) => OnStall::RollBack,
        },
    }
}

fn pace(At { value: raw, span }: &At<raw::Rollout>, report: &mut Report) -> Pace {
    let surge = amount(raw.max_surge.as_ref(), SURGE_DEFAULT, report);
    let unavailable = amount(raw.max_unavailable.as_ref(), UNAVAILABLE_DEFAULT, report);
    let (Some(surge), Some(unavailable)) = (surge, unavailable) else { return Pace::default() };
    let error = match Pace::new(surge, unavailable) {
        Ok(pace) => return pace,
        Err(error) => error,
    };
    let (place, help) = match error {
        PaceError::Standstill => (
            raw.max_surge.as_ref(),
            "raise one of both: with `max_surge` replicas come before others go, with `max_unavailable` others go first",
        ),
        PaceError::MoreThanAll { .. } => (raw.max_unavailable.as_ref(), r#"write at most "100%""#),
    };
    // A key that was lost may have been right beside the other.
    if !report.has_losses(*span) {
        report.fault(place.map_or(*span, |given| given.span), error.to_string(), help);
    }
    Pace::default()
}

/// `None` after a fault.
fn amount(given: Option<&At<Amount>>, default: IntOrPercent, report: &mut Report) -> Option<IntOrPercent> {
    let Some(At { value, span }) = given else { return Some(default) };
    match value {
        Amount::Number(count) => Some(IntOrPercent::Int(*count)),
        Amount::Text(text) => text.parse().map_err(|_| report.refused(*span, &NO_AMOUNT)).ok(),
    }
}

fn patience(At { value: raw, span }: &At<raw::Rollout>, report: &mut Report) -> Patience {
    let min_ready = report.duration(raw.min_ready.as_ref(), Duration::ZERO);
    let deadline = deadline(raw.deadline.as_ref(), report);
    Patience::new(min_ready, deadline).unwrap_or_else(|_| {
        let place = raw.deadline.as_ref().map(|given| given.span).or(raw.min_ready.as_ref().map(|given| given.span));
        if !report.has_losses(*span) {
            let message = "`deadline` is not longer than `min_ready`: every rollout would stall before its first replica counts";
            report.fault(place.unwrap_or(*span), message, r#"raise `deadline`, or write "never""#);
        }
        Patience::default()
    })
}

fn deadline(given: Option<&At<DeadlineText>>, report: &mut Report) -> Option<Duration> {
    let Some(At { value: DeadlineText(text), span }) = given else { return Some(DEADLINE_DEFAULT) };
    if text == "never" {
        return None;
    }
    text::duration::parse(text).map_err(|refusal| report.refused(*span, &refusal)).ok()
}
