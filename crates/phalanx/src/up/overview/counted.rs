//! What of the fleet is counted in `/metrics`.

use phalanx_admin::state::EndpointState;
use phalanx_fleet::{FleetHandle, LostLines, ServiceState};
use phalanx_telemetry::{
    autoscale::AutoscaleReading,
    replica_use::{ReplicaUse, Uses},
    replicas::ReplicaCount,
};

use super::endpoints::state_of;

pub(super) fn replica_counts(service: &ServiceState) -> Vec<ReplicaCount> {
    EndpointState::ALL
        .iter()
        .map(|state| ReplicaCount {
            service: service.service.to_string(),
            state: state.as_str(),
            count: service.replicas.iter().filter(|replica| state_of(replica.standing) == *state).count()
                as u64,
        })
        .collect()
}

/// What the autoscaler of a service has decided last, if there is one.
pub(super) fn reading(state: &ServiceState) -> Option<AutoscaleReading> {
    let decided = state.autoscale.as_ref()?;
    let metrics = decided.metrics.iter();
    Some(AutoscaleReading {
        service: state.service.to_string(),
        desired: decided.desired,
        metrics: metrics.filter_map(|metric| Some((metric.name.to_string(), metric.value?))).collect(),
    })
}

pub(super) fn uses(fleet: &FleetHandle, lost: &LostLines) -> Uses {
    let state = fleet.state();
    let replicas = state.iter().flat_map(|service| {
        service.replicas.iter().map(|replica| {
            let measured = fleet.measured(&replica.instance);
            ReplicaUse {
                service: service.service.to_string(),
                instance: replica.instance.to_string(),
                cpu_seconds: measured.map(|measured| measured.usage.cpu.as_secs_f64()),
                cpu_cores: measured.and_then(|measured| Some(measured.cpu_milli? as f64 / 1000.0)),
                memory_bytes: measured.map(|measured| measured.usage.memory_bytes),
                dropped_lines: fleet.dropped_lines(&replica.instance),
            }
        })
    });
    Uses { replicas: replicas.collect(), lost_lines: lost.count() }
}
