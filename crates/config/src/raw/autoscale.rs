//! `autoscale` of a service; also the whole of a file for `phalanx autoscale simulate`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::located::{At, DurationText};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Autoscale {
    /// Never fewer. 0 needs `mode = "fast"`: requests are then held until a replica is there (see `hold`).
    #[schemars(range(min = 0, max = 1000), extend("default" = 1))]
    pub(crate) min: Option<At<u32>>,
    /// Never more; needed. What the machine has no room for is not started either.
    #[schemars(range(min = 1, max = 1000), extend("examples" = [10]))]
    pub(crate) max: Option<At<u32>>,
    /// By which rules: `kubernetes` decides exactly as a `HorizontalPodAutoscaler` does; `fast` within seconds, as Knative does, and
    /// can let an idle service end.
    #[schemars(extend("default" = "kubernetes"))]
    pub(crate) mode: Option<AutoscaleMode>,
    /// Time between two decisions, 1s to 1h. Without it: `"15s"`, and with `mode = "fast"` `"2s"`.
    #[schemars(extend("examples" = ["15s"]))]
    pub(crate) interval: Option<At<DurationText>>,
    /// What is looked at; of several the one that asks for most replicas wins. Each item has one key. Without it:
    /// `[{ cpu_percent = 80 }]`, and with `mode = "fast"` `[{ in_flight = 100 }]`.
    #[schemars(extend("examples" = [[{ "cpu_percent": 70 }, { "requests_per_second": 100 }]]))]
    pub(crate) metrics: Option<At<Vec<At<AutoscaleMetric>>>>,
    /// How far from its target a metric is still on it, as a share of the target.
    #[schemars(range(min = 0.0, max = 10.0), extend("default" = 0.1))]
    pub(crate) tolerance: Option<At<f64>>,
    /// How fast the number may grow. Without both this and `scale_down`: at most to twice as many at once.
    #[schemars(extend("examples" = [{ "policies": [{ "percent": 50, "period": "60s" }] }]))]
    pub(crate) scale_up: Option<At<ScaleRules>>,
    /// How fast the number may shrink, and how long it is held before. Without both this and `scale_up`: after 300s, at once.
    #[schemars(extend("examples" = [{ "stabilization": "300s", "policies": [{ "percent": 10, "period": "60s" }] }]))]
    pub(crate) scale_down: Option<At<ScaleRules>>,
    /// With `mode = "fast"`: the time over which a load is averaged, 6s to 1h. Nothing goes down sooner.
    #[schemars(extend("default" = "60s"))]
    pub(crate) stable_window: Option<At<DurationText>>,
    /// With `mode = "fast"`: the time over which a burst is averaged, from 1s to `stable_window`.
    #[schemars(extend("default" = "6s"))]
    pub(crate) panic_window: Option<At<DurationText>>,
    /// With `mode = "fast"`: a burst that asks for so many times the ready replicas is a panic, in which nothing goes down.
    #[schemars(range(min = 1.1, max = 10.0), extend("default" = 2.0))]
    pub(crate) panic_threshold: Option<At<f64>>,
    /// With `min = 0`: how long there must be no request before the last replica ends, from `stable_window` to 24h. Without it:
    /// 30s more than `stable_window`.
    #[schemars(extend("examples" = ["5m"]))]
    pub(crate) scale_to_zero_after: Option<At<DurationText>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AutoscaleMode {
    Kubernetes,
    Fast,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AutoscaleMetric {
    /// Processor time of a replica, as a percentage of `cpu` of `resources`.
    #[schemars(range(min = 1, max = 10_000), extend("examples" = [70]))]
    pub(crate) cpu_percent: Option<u32>,
    /// Memory of a replica, as a percentage of `memory` of `resources`.
    #[schemars(range(min = 1, max = 10_000), extend("examples" = [80]))]
    pub(crate) memory_percent: Option<u32>,
    /// Requests a second of a replica.
    #[schemars(range(min = 0.001, max = 1_000_000_000.0), extend("examples" = [100]))]
    pub(crate) requests_per_second: Option<f64>,
    /// Requests that a replica works on at a time; those that wait for one or are held count too.
    #[schemars(range(min = 0.001, max = 1_000_000_000.0), extend("examples" = [50]))]
    pub(crate) in_flight: Option<f64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScaleRules {
    /// The number follows the most careful proposal of so long, at most 1h. Without it: `"0s"` in `scale_up`, `"300s"` in
    /// `scale_down`.
    #[schemars(extend("examples" = ["300s"]))]
    pub(crate) stabilization: Option<At<DurationText>>,
    /// How much the number may change within a time. Without it: in `scale_up` by 4 or by 100 % within 15s, whichever is more, in
    /// `scale_down` by 100 % within 15s.
    #[schemars(extend("examples" = [[{ "replicas": 4, "period": "60s" }, { "percent": 50, "period": "60s" }]]))]
    pub(crate) policies: Option<At<Vec<At<ScalePolicy>>>>,
    /// Which of several policies holds: the one that allows most, the one that allows least; or none, and the number does not
    /// change in this direction.
    #[schemars(extend("default" = "max"))]
    pub(crate) select: Option<ScaleSelect>,
    /// How far from its target a metric is still on it in this direction. Without it: `tolerance` of `autoscale`.
    #[schemars(range(min = 0.0, max = 10.0), extend("examples" = [0.05]))]
    pub(crate) tolerance: Option<f64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScalePolicy {
    /// By a share of what there was when the period began; or `replicas`.
    #[schemars(range(min = 1, max = 100_000), extend("examples" = [50]))]
    pub(crate) percent: Option<u32>,
    /// By so many; or `percent`.
    #[schemars(range(min = 1, max = 1000), extend("examples" = [4]))]
    pub(crate) replicas: Option<u32>,
    /// Within so long, from 1s to 30m; needed.
    #[schemars(extend("examples" = ["60s"]))]
    pub(crate) period: Option<At<DurationText>>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ScaleSelect {
    Max,
    Min,
    Disabled,
}
