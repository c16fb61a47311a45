//! What a service has against overload and bad endpoints.

use crate::{
    located::At,
    model::{
        AdaptiveConcurrency, CircuitBreaker, EndpointLimits, Hold, OutlierEjection, Queue, Resilience, Span,
    },
    raw,
    report::Report,
};

/// Checks the keys that go with every source of endpoints.
pub(super) fn resilience(raw: &raw::Service, service: Span, report: &mut Report) -> Resilience {
    let default = Resilience::default();
    Resilience {
        limits: limits(raw.limits.as_ref()),
        queue: raw.queue.as_ref().map(|given| queue(&given.value, report)),
        hold: raw.hold.as_ref().map(|given| hold(&given.value, report)),
        adaptive_concurrency: raw
            .adaptive_concurrency
            .as_ref()
            .map(|given| adaptive_concurrency(given, report)),
        circuit_breaker: raw.circuit_breaker.as_ref().map(|given| circuit_breaker(&given.value, report)),
        outlier_ejection: raw.outlier_ejection.as_ref().map(|given| outlier_ejection(&given.value, report)),
        slow_start: report.duration(raw.slow_start.as_ref(), default.slow_start),
        panic_threshold: panic_threshold(raw, service, report).unwrap_or(default.panic_threshold),
    }
}

fn limits(given: Option<&At<raw::EndpointLimits>>) -> EndpointLimits {
    let Some(At { value: raw, .. }) = given else { return EndpointLimits::default() };
    EndpointLimits { connections: raw.connections, pending: raw.pending }
}

fn queue(raw: &raw::Queue, report: &mut Report) -> Queue {
    let default = Queue::default();
    Queue {
        max: raw.max.unwrap_or(default.max),
        timeout: report.duration_above_zero(raw.timeout.as_ref(), default.timeout),
    }
}

fn hold(raw: &raw::Hold, report: &mut Report) -> Hold {
    let default = Hold::default();
    Hold {
        max: raw.max.unwrap_or(default.max),
        timeout: report.duration_above_zero(raw.timeout.as_ref(), default.timeout),
    }
}

fn adaptive_concurrency(given: &At<raw::AdaptiveConcurrency>, report: &mut Report) -> AdaptiveConcurrency {
    let At { value: raw, span } = given;
    let default = AdaptiveConcurrency::default();
    let min = raw.min.as_ref().map_or(default.min, |given| given.value);
    let max = raw.max.as_ref().map_or(default.max, |given| given.value);
    // One that was lost may have been right beside the other.
    let is_contradiction = min > max && !report.has_losses(*span);
    if let Some(given) = raw.min.as_ref().or(raw.max.as_ref()).filter(|_| is_contradiction) {
        let message = format!("`min`, which is {min}, is above `max`, which is {max}");
        report.fault(given.span, message, "lower `min`, or raise `max`");
    }
    AdaptiveConcurrency { min, max, tolerance: raw.tolerance.unwrap_or(default.tolerance) }
}

fn circuit_breaker(raw: &raw::CircuitBreaker, report: &mut Report) -> CircuitBreaker {
    let default = CircuitBreaker::default();
    CircuitBreaker {
        error_rate: raw.error_rate.unwrap_or(default.error_rate),
        volume: raw.volume.unwrap_or(default.volume),
        window: report.duration_above_zero(raw.window.as_ref(), default.window),
        open: report.duration_above_zero(raw.open.as_ref(), default.open),
    }
}

fn outlier_ejection(raw: &raw::OutlierEjection, report: &mut Report) -> OutlierEjection {
    let default = OutlierEjection::default();
    OutlierEjection {
        error_rate: raw.error_rate.unwrap_or(default.error_rate),
        latency_factor: raw.latency_factor.unwrap_or(default.latency_factor),
        volume: raw.volume.unwrap_or(default.volume),
        window: report.duration_above_zero(raw.window.as_ref(), default.window),
        ejection: report.duration_above_zero(raw.ejection.as_ref(), default.ejection),
        max_ejected: raw.max_ejected.unwrap_or(default.max_ejected),
    }
}

fn panic_threshold(raw: &raw::Service, service: Span, report: &mut Report) -> Option<f64> {
    let given = raw.panic_threshold.as_ref()?;
    let message = "`panic_threshold` has no effect without `active_health`";
    if raw.command.is_some() {
        report.fault(given.span, message, "remove it: what `probes` say of a replica is always believed");
    } else if raw.active_health.is_none() && !report.has_losses(service) {
        report.fault(given.span, message, "remove it, or add `active_health = { path = \"/ready\" }`");
    }
    Some(given.value)
}
