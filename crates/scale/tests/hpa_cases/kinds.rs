//! What the arithmetic answers to the inputs of each kind of case.

mod pods;

use std::time::Duration;

use phalanx_scale::{
    behavior::Direction,
    decide::{doubled_at_most, within_rates},
    events::Standing,
    rate,
    reasons::{Condition, Limiting, Status},
    rollout::{IntOrPercent, fenceposts},
    scenario::{
        self, NOW,
        entry::{self, BehaviorEntry, ChangeEntry, RecommendationEntry, RulesEntry},
    },
    stabilize::{self, Recommendation, Windows},
};
use serde::Deserialize;
use serde_json::{Value, json};

/// What is got for a case: an object that has every key that a case of this kind may expect.
pub(crate) fn answer(kind: &str, inputs: &Value) -> Result<Value, String> {
    match kind {
        "resource_utilization"
        | "pods_average_value"
        | "object_value"
        | "object_average_value"
        | "external_value"
        | "external_average_value" => Ok(pods::proposal(kind, &read(inputs)?)),
        "group_pods" => Ok(pods::groups(&read(inputs)?)),
        "pod_request" => Ok(pods::pod_request(&read(inputs)?)),
        "limit_without_behavior" => Ok(limit_without_behavior(&read(inputs)?)),
        "behavior_rate" => Ok(behavior_rate(&read(inputs)?)),
        "scale_limit" => Ok(scale_limit(read(inputs)?)),
        "scale_event_log" => Ok(event_log(read(inputs)?)),
        "stabilize_without_behavior" => Ok(stabilize_without_behavior(&read(inputs)?)),
        "stabilize_with_behavior" => Ok(stabilize_with_behavior(&read(inputs)?)),
        "reconcile" => reconcile(&read(inputs)?),
        "rollout_fenceposts" => rollout_fenceposts(&read(inputs)?),
        unknown => Err(format!("unknown kind `{unknown}`")),
    }
}

fn read<T: serde::de::DeserializeOwned>(inputs: &Value) -> Result<T, String> {
    serde_json::from_value(inputs.clone()).map_err(|error| error.to_string())
}

#[derive(Deserialize)]
struct LimitInputs {
    current_replicas: u32,
    desired_replicas: u32,
    min: u32,
    max: u32,
    scale_up: Option<RulesEntry>,
    scale_down: Option<RulesEntry>,
    #[serde(default)]
    scale_up_events: Vec<ChangeEntry>,
    #[serde(default)]
    scale_down_events: Vec<ChangeEntry>,
}

fn limit_without_behavior(inputs: &LimitInputs) -> Value {
    limited(inputs, doubled_at_most(inputs.current_replicas, inputs.desired_replicas, inputs.min, inputs.max))
}

fn behavior_rate(inputs: &LimitInputs) -> Value {
    let rules = BehaviorEntry { scale_up: inputs.scale_up.clone(), scale_down: inputs.scale_down.clone() };
    let limiting = within_rates(
        &rules.behavior_default_window(),
        &entry::changes(&inputs.scale_up_events, &inputs.scale_down_events),
        (inputs.min, inputs.max),
        inputs.current_replicas,
        inputs.desired_replicas,
        NOW,
    );
    limited(inputs, limiting)
}

fn limited(inputs: &LimitInputs, limiting: Limiting) -> Value {
    json!({ "replicas": limiting.apply(inputs.desired_replicas), "reason": limiting.name() })
}

#[derive(Deserialize)]
struct ScaleLimitInputs {
    direction: DirectionEntry,
    current_replicas: u32,
    rules: Option<RulesEntry>,
    #[serde(default)]
    scale_up_events: Vec<ChangeEntry>,
    #[serde(default)]
    scale_down_events: Vec<ChangeEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum DirectionEntry {
    Up,
    Down,
}

fn scale_limit(inputs: ScaleLimitInputs) -> Value {
    let behavior =
        BehaviorEntry { scale_up: inputs.rules.clone(), scale_down: inputs.rules }.behavior_default_window();
    let (rules, direction) = match inputs.direction {
        DirectionEntry::Up => (&behavior.up, Direction::Up),
        DirectionEntry::Down => (&behavior.down, Direction::Down),
    };
    let changes = entry::changes(&inputs.scale_up_events, &inputs.scale_down_events);
    json!({ "limit": rate::limit(rules, direction, inputs.current_replicas, &changes, NOW).replicas })
}

#[derive(Deserialize)]
struct EventLogInputs {
    replica_change: i64,
    events: Vec<ChangeEntry>,
    rules: Option<RulesEntry>,
    query_period_s: u64,
}

fn event_log(inputs: EventLogInputs) -> Value {
    let period = Duration::from_secs(inputs.query_period_s);
    let mut log = entry::changes(&inputs.events, &[]).up;
    let before = log.change_within(period, NOW);
    if let Some(rules) = inputs.rules {
        let rules = BehaviorEntry { scale_up: Some(rules), scale_down: None }.behavior_default_window().up;
        let change = u32::try_from(inputs.replica_change.unsigned_abs()).unwrap();
        log.store(change, rules.period_longest(), NOW);
    }
    let after: Vec<_> = log
        .events()
        .iter()
        .map(|event| json!({ "change": event.change, "outdated": event.standing == Standing::Outdated }))
        .collect();
    json!({ "change_in_period_before": before, "events_after": after })
}

#[derive(Deserialize)]
struct StabilizeInputs {
    #[serde(default)]
    current_replicas: u32,
    desired_replicas: u32,
    #[serde(default)]
    downscale_window_s: u64,
    #[serde(default)]
    scale_up_window_s: u64,
    #[serde(default)]
    scale_down_window_s: u64,
    recommendations: Vec<RecommendationEntry>,
}

impl StabilizeInputs {
    fn log(&self) -> Vec<Recommendation> {
        self.recommendations.iter().copied().map(Into::into).collect()
    }
}

fn stabilize_without_behavior(inputs: &StabilizeInputs) -> Value {
    let mut log = inputs.log();
    let window = Duration::from_secs(inputs.downscale_window_s);
    let stabilized = stabilize::down_only(&mut log, window, inputs.desired_replicas, NOW);
    stabilized_with(stabilized.replicas, &log)
}

fn stabilize_with_behavior(inputs: &StabilizeInputs) -> Value {
    let mut log = inputs.log();
    let windows = Windows {
        up: Duration::from_secs(inputs.scale_up_window_s),
        down: Duration::from_secs(inputs.scale_down_window_s),
    };
    let stabilized =
        stabilize::both_ways(&mut log, windows, inputs.current_replicas, inputs.desired_replicas, NOW);
    stabilized_with(stabilized.replicas, &log)
}

fn stabilized_with(replicas: u32, log: &[Recommendation]) -> Value {
    let log_replicas: Vec<_> = log.iter().map(|recommendation| recommendation.replicas).collect();
    json!({ "replicas": replicas, "log_length": log.len(), "log_replicas": log_replicas })
}

fn reconcile(case: &scenario::Case) -> Result<Value, String> {
    let decision = case.decide().map_err(|error| error.to_string())?;
    let conditions = decision.reasons.conditions();
    let condition = |kind| {
        let condition: &Condition = conditions.iter().find(|condition| condition.kind == kind)?;
        Some(json!({ "status": condition.status == Status::True, "reason": condition.reason }))
    };
    let reason = |kind| condition(kind).map(|condition| condition["reason"].clone());
    Ok(json!({
        "replicas": decision.replicas,
        "able_to_scale": condition("AbleToScale"),
        "able_to_scale_reason": reason("AbleToScale"),
        "scaling_active": condition("ScalingActive"),
        "scaling_active_reason": reason("ScalingActive"),
        "scaling_limited": condition("ScalingLimited"),
        "scaling_limited_reason": reason("ScalingLimited"),
        "error": decision.reasons.first_failure().map(|(_, error)| error.to_string()),
    }))
}

#[derive(Deserialize)]
struct FencepostInputs {
    desired: u32,
    max_surge: Value,
    max_unavailable: Value,
}

fn rollout_fenceposts(inputs: &FencepostInputs) -> Result<Value, String> {
    let amount = |value: &Value| -> Result<IntOrPercent, String> {
        let text = match value {
            Value::Null => "0".to_owned(),
            Value::String(text) => text.clone(),
            number => number.to_string(),
        };
        text.parse().map_err(|error| format!("{error}"))
    };
    let posts = fenceposts(inputs.desired, amount(&inputs.max_surge)?, amount(&inputs.max_unavailable)?);
    Ok(json!({
        "surge": posts.surge,
        "unavailable": posts.unavailable,
        "max_total": posts.max_total,
        "min_available": posts.min_available,
    }))
}
