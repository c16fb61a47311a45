//! An autoscaler with `mode = "fast"`.

use std::time::Duration;

use phalanx_scale::fast::{
    Aim, IDLE_BEYOND_WINDOW, PANIC_THRESHOLD_DEFAULT, PANIC_WINDOW_DEFAULT, PANIC_WINDOW_MIN,
    STABLE_WINDOW_DEFAULT, STABLE_WINDOW_MAX, STABLE_WINDOW_MIN, Wanted,
};

use crate::{
    check::autoscale::{
        Bounds,
        metrics::{self, Amount, Goal},
    },
    located::At,
    raw,
    report::Report,
};

/// The longest time without requests.
const IDLE_MAX: Duration = Duration::from_hours(24);

/// What is wanted of fast decisions.
pub(super) fn wanted(
    given: &At<raw::Autoscale>,
    Bounds { min, max }: Bounds,
    report: &mut Report,
) -> Option<Wanted> {
    let raw = &given.value;
    let stable = STABLE_WINDOW_MIN..=STABLE_WINDOW_MAX;
    let stable_window = report.duration_within(raw.stable_window.as_ref(), STABLE_WINDOW_DEFAULT, stable);
    let panic = PANIC_WINDOW_MIN..=stable_window.max(PANIC_WINDOW_MIN);
    let panic_default = PANIC_WINDOW_DEFAULT.min(stable_window);
    let panic_window = report.duration_within(raw.panic_window.as_ref(), panic_default, panic);
    let idle = idle(given, stable_window, report);
    Some(Wanted {
        min,
        max,
        aims: aims(given, report)?,
        stable_window,
        panic_window,
        panic_threshold_milli: threshold(raw.panic_threshold.as_ref()),
        idle,
    })
}

fn aims(given: &At<raw::Autoscale>, report: &mut Report) -> Option<Vec<Aim>> {
    let goals = metrics::goals(given, metrics::in_flight_default(given.span), report)?;
    let aim = |Goal { signal, amount, span }: &Goal| match *amount {
        Amount::Milli(milli) => Some(Aim { signal: *signal, milli }),
        Amount::Percent(_) => {
            let message = format!("`{}` needs `mode = \"kubernetes\"`", metrics::key(*signal));
            let help = "go by `in_flight` or `requests_per_second`: a share of what replicas request says nothing within seconds";
            report.fault(*span, message, help);
            None
        }
    };
    goals.iter().map(aim).collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range of the key keeps it small and positive"
)]
fn threshold(given: Option<&At<f64>>) -> u32 {
    given.map_or(PANIC_THRESHOLD_DEFAULT, |given| (given.value * 1_000.0).round() as u32)
}

fn idle(given: &At<raw::Autoscale>, stable_window: Duration, report: &mut Report) -> Duration {
    let raw = &given.value;
    let default = stable_window.saturating_add(IDLE_BEYOND_WINDOW);
    if raw.min.as_ref().is_none_or(|min| min.value > 0) && !report.has_losses(given.span) {
        let message = "`scale_to_zero_after` has no effect without `min = 0`";
        let place = raw.scale_to_zero_after.as_ref().map(|key| key.span);
        report.without_effect(place, message, "remove it, or write `min = 0`");
    }
    report.duration_within(raw.scale_to_zero_after.as_ref(), default, stable_window..=IDLE_MAX)
}
