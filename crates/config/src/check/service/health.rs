//! How the health of endpoints that Phalanx does not run is judged.

use std::time::Duration;

use crate::{
    located::At,
    model::{ActiveHealth, PassiveHealth},
    raw,
    report::Report,
};

/// Checks `passive_health`.
pub(super) fn passive(given: Option<At<raw::PassiveHealth>>, report: &mut Report) -> PassiveHealth {
    let default = PassiveHealth::default();
    let Some(At { value: raw, .. }) = given else { return default };
    PassiveHealth {
        max_fails: raw.max_fails.unwrap_or(default.max_fails),
        fail_timeout: report.duration_above_zero(raw.fail_timeout.as_ref(), default.fail_timeout),
    }
}

/// Checks `active_health`.
pub(super) fn active(given: Option<At<raw::ActiveHealth>>, report: &mut Report) -> Option<ActiveHealth> {
    let At { value: raw, .. } = given?;
    let interval = report.duration_above_zero(raw.interval.as_ref(), Duration::from_secs(5));
    let timeout = report.duration_above_zero(raw.timeout.as_ref(), Duration::from_secs(3).min(interval));
    if let Some(given) = raw.timeout.filter(|_| timeout > interval) {
        let message = format!("{} is longer than the interval", report.source().quote(given.span));
        report.fault(given.span, message, "a check must end before the next one begins: lower `timeout`");
    }
    Some(ActiveHealth {
        path: raw.path.and_then(|path| report.path(&path)),
        interval,
        timeout,
        healthy: raw.healthy.unwrap_or(1),
        unhealthy: raw.unhealthy.unwrap_or(3),
    })
}
