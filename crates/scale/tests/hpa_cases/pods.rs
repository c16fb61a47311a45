//! What single metrics propose, how pods are sorted, and what they request.

use phalanx_scale::{
    group::{Scrutiny, group},
    metric::{Goal, MetricError, Reading, Resource, Scope, Target},
    proposal::{Proposal, Situation},
    request::{self, ContainerRequest, ContainerRole, Whose},
    scenario::{
        NOW,
        entry::{self, PodEntry, ToleranceEntry},
    },
};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
pub(super) struct ProposalInputs {
    #[serde(default)]
    resource: String,
    container: Option<String>,
    current_replicas: u32,
    status_replicas: Option<u32>,
    #[serde(default)]
    target_utilization_percent: u32,
    #[serde(default)]
    target_average_milli: i64,
    #[serde(default)]
    target_value_milli: i64,
    tolerance: Option<ToleranceEntry>,
    cpu_initialization_period_s: Option<u64>,
    initial_readiness_delay_s: Option<u64>,
    #[serde(default)]
    values_milli: Vec<i64>,
    #[serde(default)]
    pods: Vec<PodEntry>,
    #[serde(default)]
    samples_of_unknown_pods_milli: Vec<i64>,
}

pub(super) fn proposal(kind: &str, inputs: &ProposalInputs) -> Value {
    let (pods, samples, requests) = entry::pods(&inputs.pods, &inputs.samples_of_unknown_pods_milli);
    let (average, value) = (inputs.target_average_milli, inputs.target_value_milli);
    let scope = if inputs.container.is_some() { Scope::Container } else { Scope::Pod };
    let (target, reading) = match kind {
        "resource_utilization" => {
            let (resource, percent) = (Resource::from(&*inputs.resource), inputs.target_utilization_percent);
            (Target::Utilization { resource, scope, percent }, Reading::Resource { samples, requests })
        }
        "pods_average_value" => (Target::PodsAverage { milli: average }, Reading::Pods(samples)),
        _ => {
            let goal = if kind.ends_with("average_value") {
                Goal::AverageValue(average)
            } else {
                Goal::Value(value)
            };
            let target =
                if kind.starts_with("object") { Target::Object(goal) } else { Target::External(goal) };
            (target, Reading::Values(inputs.values_milli.clone()))
        }
    };
    let situation = Situation {
        replicas: inputs.current_replicas,
        replicas_existing: inputs.status_replicas.unwrap_or(inputs.current_replicas),
        pods: &pods,
        tolerance: inputs.tolerance.map(Into::into).unwrap_or_default(),
        startup: entry::startup(inputs.cpu_initialization_period_s, inputs.initial_readiness_delay_s),
        now: NOW,
    };
    outcome(situation.propose(&target, &reading))
}

fn outcome(outcome: Result<Proposal, MetricError>) -> Value {
    match outcome {
        Ok(Proposal { replicas, measured }) => json!({
            "replicas": replicas,
            "utilization_percent": measured.percent(),
            "average_value_milli": measured.milli(),
        }),
        Err(error) => json!({ "error": error.to_string() }),
    }
}

#[derive(Deserialize)]
pub(super) struct GroupInputs {
    resource: Option<String>,
    cpu_initialization_period_s: Option<u64>,
    initial_readiness_delay_s: Option<u64>,
    pods: Vec<PodEntry>,
}

pub(super) fn groups(inputs: &GroupInputs) -> Value {
    let (pods, samples, _) = entry::pods(&inputs.pods, &[]);
    let startup = entry::startup(inputs.cpu_initialization_period_s, inputs.initial_readiness_delay_s);
    let scrutiny = match inputs.resource.as_deref() {
        Some("cpu") => Scrutiny::Startup(startup),
        _ => Scrutiny::None,
    };
    let groups = group(&pods, &samples, scrutiny, NOW);
    json!({
        "ready_count": groups.ready,
        "unready": groups.unready,
        "missing": groups.missing,
        "ignored": groups.ignored,
    })
}

#[derive(Deserialize)]
pub(super) struct RequestInputs {
    containers: Vec<ContainerInputs>,
    pod_level_milli: Option<i64>,
    #[serde(default)]
    pod_level_enabled: bool,
    container: Option<String>,
}

#[derive(Deserialize)]
struct ContainerInputs {
    name: String,
    milli: Option<i64>,
    restartable_init: Option<bool>,
}

pub(super) fn pod_request(inputs: &RequestInputs) -> Value {
    let role = |restartable| match restartable {
        None => ContainerRole::Main,
        Some(true) => ContainerRole::RestartableInit,
        Some(false) => ContainerRole::Init,
    };
    let container = |inputs: &ContainerInputs| ContainerRequest {
        name: inputs.name.clone(),
        milli: inputs.milli,
        role: role(inputs.restartable_init),
    };
    let containers: Vec<_> = inputs.containers.iter().map(container).collect();
    let whose = match &inputs.container {
        Some(name) => Whose::Container(name),
        None => Whose::Pod { milli: inputs.pod_level_milli.filter(|_| inputs.pod_level_enabled) },
    };
    match request::request(&containers, whose) {
        Ok(milli) => json!({ "request_milli": milli }),
        Err(error) => json!({ "error": error.to_string() }),
    }
}
