//! What happens to a service as a whole goes into the events and into the log.
//!
//! Elsewhere: what happens to a single replica (`crate::notice` for the log, `told` for the events).

use std::sync::Arc;

use phalanx_config::ServiceName;
use tracing::{error, info};

use super::{EventKind, EventLog};

/// Tells it to everybody.
pub(crate) fn tell(events: &EventLog, service: &ServiceName, kind: EventKind, reason: impl Into<Arc<str>>) {
    let reason = reason.into();
    match kind {
        EventKind::RolloutStalled => {
            error!(%service, %reason, "rollout has stalled: see why the replicas do not become ready, or undo it");
        }
        EventKind::RolledBack => {
            error!(%service, %reason, "rollout has stalled, and is rolled back");
        }
        kind => info!(%service, event = kind.as_str(), %reason, "service changes"),
    }
    events.record(service, None, kind, reason);
}
