//! What a service has against overload and bad endpoints.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::located::{At, CoresText, DurationText, SizeText};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndpointLimits {
    /// Requests that an endpoint works on at a time; over HTTP/1.1 each has a connection. Without it: no limit.
    #[schemars(range(min = 1, max = 1_000_000), extend("examples" = [100]))]
    pub(crate) connections: Option<NonZeroU32>,
    /// Requests that wait at a time for a connection to an endpoint to stand. Without it: no limit.
    #[schemars(range(min = 1, max = 1_000_000), extend("examples" = [20]))]
    pub(crate) pending: Option<NonZeroU32>,
    /// With `command`: CPU time that a replica may use, cores as `1` or `0.5` or thousandths of one; it is slowed down there. At
    /// least that of `resources`; where the kernel cannot see to it, the log says so. Without it: no limit.
    #[schemars(extend("examples" = ["1500m"]))]
    pub(crate) cpu: Option<At<CoresText>>,
    /// With `command`: memory that a replica may use; it is killed beyond. At least that of `resources`; where the kernel
    /// cannot see to it, the log says so. Without it: no limit.
    #[schemars(extend("examples" = ["1GiB"]))]
    pub(crate) memory: Option<At<SizeText>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Queue {
    /// Requests that wait, those of all workers together; one more is answered 503.
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = 100))]
    pub(crate) max: Option<NonZeroU32>,
    /// How long one waits; then it is answered 503.
    #[schemars(extend("default" = "1s"))]
    pub(crate) timeout: Option<At<DurationText>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hold {
    /// Requests that are held, those of all workers together; one more is answered 503.
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = 1000))]
    pub(crate) max: Option<NonZeroU32>,
    /// How long one is held; then it is answered 503.
    #[schemars(extend("default" = "30s"))]
    pub(crate) timeout: Option<At<DurationText>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdaptiveConcurrency {
    /// Never fewer requests at a time than this, those of all workers together; at most `max`.
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = 8))]
    pub(crate) min: Option<At<NonZeroU32>>,
    /// Never more requests at a time than this, those of all workers together.
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = 1000))]
    pub(crate) max: Option<At<NonZeroU32>>,
    /// How many times its usual response time the service may take before it gets fewer requests at a time.
    #[schemars(range(min = 1.0, max = 10.0), extend("default" = 1.5))]
    pub(crate) tolerance: Option<f64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CircuitBreaker {
    /// The share of failures, failed attempts and answers of 500 and above, at which no more requests get through.
    #[schemars(range(max = 1.0), extend("exclusiveMinimum" = 0.0, "default" = 0.5))]
    pub(crate) error_rate: Option<f64>,
    /// Requests within the window below which nothing happens.
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = 20))]
    pub(crate) volume: Option<NonZeroU32>,
    /// The time over which is counted.
    #[schemars(extend("default" = "10s"))]
    pub(crate) window: Option<At<DurationText>>,
    /// How long requests are answered 503 before some are let through on trial.
    #[schemars(extend("default" = "5s"))]
    pub(crate) open: Option<At<DurationText>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OutlierEjection {
    /// The share of failures, failed attempts and answers of 500 and above, from which an endpoint is out if the others fail
    /// less than half as often.
    #[schemars(range(max = 1.0), extend("exclusiveMinimum" = 0.0, "default" = 0.5))]
    pub(crate) error_rate: Option<f64>,
    /// How many times the median response time of the others puts an endpoint out.
    #[schemars(range(max = 1000.0), extend("exclusiveMinimum" = 1.0, "default" = 5.0))]
    pub(crate) latency_factor: Option<f64>,
    /// Requests within the window below which an endpoint is not judged.
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = 20))]
    pub(crate) volume: Option<NonZeroU32>,
    /// The time over which is counted.
    #[schemars(extend("default" = "10s"))]
    pub(crate) window: Option<At<DurationText>>,
    /// How long an endpoint is out; each time in a row longer, up to ten times.
    #[schemars(extend("default" = "30s"))]
    pub(crate) ejection: Option<At<DurationText>>,
    /// The share of the endpoints that may be out for this.
    #[schemars(range(min = 0.0, max = 1.0), extend("default" = 0.5))]
    pub(crate) max_ejected: Option<f64>,
}
