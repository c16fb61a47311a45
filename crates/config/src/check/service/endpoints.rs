//! `endpoints` of a service, and how their health is judged.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use crate::{
    located::At,
    model::{ActiveHealth, Endpoint, PassiveHealth, Role, Source, Span},
    raw,
    report::Report,
    text::address,
};

/// Checks the keys of a service whose endpoints are fixed.
pub(super) fn source(raw: raw::Service, report: &mut Report) -> Option<Source> {
    for (key, message) in [
        (raw.replicas.map(|key| key.span), "`replicas` has no effect without `command`"),
        (raw.env.map(|key| key.span), "`env` has no effect without `command`"),
        (raw.probes.map(|key| key.span), "`probes` has no effect without `command`"),
        (raw.shutdown_grace.map(|key| key.span), "`shutdown_grace` has no effect without `command`"),
    ] {
        report.without_effect(key, message, "remove it: Phalanx does not run these endpoints");
    }
    let given = raw.endpoints?;
    if given.value.is_empty() {
        let help = "add one, as `endpoints = [{ address = \"127.0.0.1:3000\" }]`";
        report.missing(given.span, "this service has no endpoint", help);
    }
    let mut first_spans = HashMap::new();
    let endpoints: Vec<_> =
        given.value.into_iter().map(|given| endpoint(given, &mut first_spans, report)).collect();
    let passive_health = passive_health(raw.passive_health, report);
    let active_health = match raw.active_health {
        Some(given) => Some(active_health(given, report)?),
        None => None,
    };
    Some(Source::Endpoints {
        endpoints: endpoints.into_iter().collect::<Option<_>>()?,
        passive_health,
        active_health,
    })
}

fn endpoint(
    given: At<raw::Endpoint>,
    first_spans: &mut HashMap<SocketAddr, Span>,
    report: &mut Report,
) -> Option<Endpoint> {
    let Some(text) = given.value.address else {
        report.missing(given.span, "this endpoint has no address", "add `address = \"127.0.0.1:3000\"`");
        return None;
    };
    let address = match address::endpoint(&text.value.0) {
        Ok(address) => address,
        Err(refusal) => {
            report.refused(text.span, &refusal);
            return None;
        }
    };
    if let Some(first) = first_spans.insert(address, text.span) {
        let message = format!("{} is an endpoint twice", report.source().quote(text.span));
        report.duplicate(first, text.span, message, "remove one of the two, and give the other a `weight`");
    }
    Some(Endpoint { address, weight: given.value.weight.unwrap_or(1), role: Role::default() })
}

fn passive_health(given: Option<At<raw::PassiveHealth>>, report: &mut Report) -> PassiveHealth {
    let default = PassiveHealth::default();
    let Some(At { value: raw, .. }) = given else { return default };
    PassiveHealth {
        max_fails: raw.max_fails.unwrap_or(default.max_fails),
        fail_timeout: report.duration_above_zero(raw.fail_timeout.as_ref(), default.fail_timeout),
    }
}

fn active_health(given: At<raw::ActiveHealth>, report: &mut Report) -> Option<ActiveHealth> {
    let At { value: raw, span } = given;
    let interval = report.duration_above_zero(raw.interval.as_ref(), Duration::from_secs(5));
    let timeout = report.duration_above_zero(raw.timeout.as_ref(), Duration::from_secs(3).min(interval));
    if let Some(given) = raw.timeout.filter(|_| timeout > interval) {
        let message = format!("{} is longer than the interval", report.source().quote(given.span));
        report.fault(given.span, message, "a check must end before the next one begins: lower `timeout`");
    }
    let Some(path) = raw.path else {
        report.missing(span, "`active_health` has no path", "add `path = \"/ready\"`");
        return None;
    };
    Some(ActiveHealth {
        path: Some(report.path(&path)?),
        interval,
        timeout,
        healthy: raw.healthy.unwrap_or(1),
        unhealthy: raw.unhealthy.unwrap_or(3),
    })
}
