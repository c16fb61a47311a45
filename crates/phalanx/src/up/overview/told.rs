//! What the fleet says, in the words of the admin API.

use std::time::{Instant, UNIX_EPOCH};

use phalanx_admin::state::{Autoscale, AutoscaleMetric, Event, Revision, Rollout};
use phalanx_fleet::{FleetEvent, LimitsState, RevisionState, RolloutState, ServiceState};

pub(in crate::up) fn event(happened: &FleetEvent) -> Event {
    let since = happened.at.duration_since(UNIX_EPOCH).unwrap_or_default();
    Event {
        id: happened.id,
        at_unix_millis: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        service: happened.service.to_string(),
        instance: happened.instance.as_deref().map(str::to_owned),
        kind: happened.kind.as_str().to_owned(),
        reason: happened.reason.to_string(),
    }
}

pub(super) fn rollout(rollout: &RolloutState) -> Rollout {
    let RolloutState { revision, status, reason, updated, available, total, history, rolled_back, .. } =
        rollout;
    let reason = match rolled_back {
        Some(rolled_back) => {
            format!("{reason} (rolled back from revision {}: {})", rolled_back.from, rolled_back.why)
        }
        None => reason.clone(),
    };
    let history = history.iter().map(|revision| Revision {
        revision: revision.revision,
        change: change(revision),
        is_current: revision.is_current,
    });
    Rollout {
        revision: *revision,
        status: status.as_str().to_owned(),
        reason,
        updated: *updated,
        available: *available,
        total: *total,
        history: history.collect(),
    }
}

/// What a revision runs, and in what it differs from the one before.
fn change(revision: &RevisionState) -> String {
    let RevisionState { command, changed, .. } = revision;
    if changed.is_empty() { command.to_string() } else { format!("{command} ({changed})") }
}

pub(super) fn autoscale(service: &ServiceState, now: Instant) -> Option<Autoscale> {
    let decided = service.autoscale.as_ref()?;
    let metrics = decided.metrics.iter().map(|metric| AutoscaleMetric {
        name: metric.name.to_string(),
        value: metric.value,
        target: metric.target,
    });
    Some(Autoscale {
        desired: decided.desired,
        reason: decided.line.clone(),
        age_seconds: now.saturating_duration_since(decided.at).as_secs(),
        metrics: metrics.collect(),
    })
}

/// Whether the kernel holds replicas to their limits; `None` where there are none.
pub(super) fn limits(limits: &LimitsState) -> Option<bool> {
    match limits {
        LimitsState::None => None,
        LimitsState::Enforced => Some(true),
        LimitsState::NotEnforced { .. } => Some(false),
    }
}
