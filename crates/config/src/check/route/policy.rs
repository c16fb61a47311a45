//! What a route says about forwarding.

use crate::{
    located::At,
    model::{ForwardPolicy, Retry, Shedding, Timeouts},
    raw,
    report::Report,
};

/// Checks the keys that go with `service`.
pub(super) fn forward(raw: &raw::Route, report: &mut Report) -> ForwardPolicy {
    let default = ForwardPolicy::default();
    ForwardPolicy {
        timeouts: timeouts(raw.timeouts.as_ref(), report),
        retry: retry(raw.retry.as_ref()),
        max_body: report.size(raw.max_body.as_ref(), default.max_body),
        min_body_rate: report.byte_rate(raw.min_body_rate.as_ref(), default.min_body_rate),
        shedding: match raw.shed {
            Some(At { value: false, .. }) => Shedding::Exempt,
            Some(At { value: true, .. }) | None => Shedding::Sheds,
        },
    }
}

/// Reports each of those keys, where the gateway answers by itself.
pub(super) fn refuse_all(raw: &raw::Route, report: &mut Report) {
    for (key, message) in [
        (raw.timeouts.as_ref().map(|key| key.span), "`timeouts` has no effect beside `respond`"),
        (raw.retry.as_ref().map(|key| key.span), "`retry` has no effect beside `respond`"),
        (raw.max_body.as_ref().map(|key| key.span), "`max_body` has no effect beside `respond`"),
        (raw.min_body_rate.as_ref().map(|key| key.span), "`min_body_rate` has no effect beside `respond`"),
        (raw.shed.as_ref().map(|key| key.span), "`shed` has no effect beside `respond`"),
    ] {
        report.without_effect(key, message, "remove it");
    }
}

fn timeouts(given: Option<&At<raw::Timeouts>>, report: &mut Report) -> Timeouts {
    let default = Timeouts::default();
    let Some(At { value: raw, .. }) = given else { return default };
    Timeouts {
        connect: report.duration_above_zero(raw.connect.as_ref(), default.connect),
        send: report.duration_above_zero(raw.send.as_ref(), default.send),
        read: report.duration_above_zero(raw.read.as_ref(), default.read),
        tunnel: report.duration_above_zero(raw.tunnel.as_ref(), default.tunnel),
    }
}

fn retry(given: Option<&At<raw::Retry>>) -> Retry {
    let default = Retry::default();
    let Some(At { value: raw, .. }) = given else { return default };
    Retry { attempts: raw.attempts.unwrap_or(default.attempts), budget: raw.budget.unwrap_or(default.budget) }
}
