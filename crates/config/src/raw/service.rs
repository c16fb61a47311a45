//! `[service.NAME]`

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use super::Probes;
use crate::located::{AddressText, At, DurationText, PathText};

/// What answers: either fixed `endpoints`, or replicas of a `command` that Phalanx runs, each with `PORT` and
/// `PHALANX_INSTANCE` in its environment. The name is made of `a-z`, `0-9`, `-` and `_` and begins with a letter.
///
/// ```toml
/// [service.api]
/// command = ["node", "server.js"]
/// replicas = 3
/// env = { NODE_ENV = "production" }
/// probes.readiness = { path = "/ready", initial_delay = "2s", period = "5s" }
///
/// [service.legacy]
/// endpoints = [{ address = "10.0.1.10:3000", weight = 3 }, { address = "10.0.1.11:3000" }]
/// passive_health = { max_fails = 3, fail_timeout = "30s" }
/// active_health = { path = "/ready" }
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Service {
    /// How an endpoint is chosen for a request; weights count in all of them. See below.
    #[schemars(extend("default" = "round_robin"))]
    pub(crate) balance: Option<Balance>,
    /// With `balance = "consistent_hash"`: what of a request is the key: `path`, which is what it is without this, or
    /// `header:NAME` or `cookie:NAME`. A request that does not have it is known by its client's address.
    #[schemars(extend("examples" = ["header:X-Tenant"]))]
    pub(crate) hash_key: Option<At<String>>,
    /// Idle connections kept to each endpoint, per worker.
    #[schemars(range(min = 0, max = 10_000), extend("default" = 64))]
    pub(crate) keepalive: Option<u16>,
    /// Fixed addresses.
    #[schemars(extend("examples" = [[{ "address": "10.0.1.10:3000" }]]))]
    pub(crate) endpoints: Option<At<Vec<At<Endpoint>>>>,
    /// With `endpoints`: an endpoint that fails requests gets none for a while.
    #[schemars(extend("examples" = [{ "max_fails": 3 }]))]
    pub(crate) passive_health: Option<At<PassiveHealth>>,
    /// With `endpoints`: each is asked regularly and must answer 2xx. Without it an endpoint is believed until it fails.
    #[schemars(extend("examples" = [{ "path": "/ready" }]))]
    pub(crate) active_health: Option<At<ActiveHealth>>,
    /// The program and its arguments; `phalanx` is this program itself. It runs in the folder in which Phalanx was started, and
    /// listens on 127.0.0.1 and the port in `PORT`.
    #[schemars(extend("examples" = [["node", "server.js"]]))]
    pub(crate) command: Option<At<Vec<At<String>>>>,
    /// With `command`: how many are run.
    #[schemars(range(min = 1, max = 1000), extend("default" = 1))]
    pub(crate) replicas: Option<At<u16>>,
    /// With `command`: added to the environment that Phalanx has itself.
    #[schemars(
        with = "Option<BTreeMap<String, String>>",
        extend("default" = {}, "examples" = [{ "NODE_ENV": "production" }])
    )]
    pub(crate) env: Option<At<BTreeMap<Spanned<String>, At<String>>>>,
    /// With `command`: how a replica is asked whether it is ready. Without it: whether it accepts TCP connections, which one
    /// that hangs still does.
    #[schemars(extend("examples" = [{ "readiness": { "path": "/ready" } }]))]
    pub(crate) probes: Option<At<Probes>>,
    /// With `command`: time between TERM and KILL.
    #[schemars(extend("default" = "30s"))]
    pub(crate) shutdown_grace: Option<At<DurationText>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Balance {
    RoundRobin,
    LeastConnections,
    LeastResponseTime,
    PowerOfTwo,
    IpHash,
    ConsistentHash,
    Random,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Endpoint {
    /// An IP address, or `localhost`, and a port.
    #[schemars(extend("examples" = ["10.0.1.10:3000"]))]
    pub(crate) address: Option<At<AddressText>>,
    /// Its share of the requests.
    #[schemars(range(min = 1, max = 1000), extend("default" = 1))]
    pub(crate) weight: Option<u16>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PassiveHealth {
    /// Failed attempts until the endpoint gets no requests; 0 switches this off.
    #[schemars(range(min = 0, max = 1_000_000), extend("default" = 1))]
    pub(crate) max_fails: Option<u32>,
    /// The time in which they are counted, and for which the endpoint is out.
    #[schemars(extend("default" = "10s"))]
    pub(crate) fail_timeout: Option<At<DurationText>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActiveHealth {
    /// What is asked for, with GET.
    #[schemars(extend("examples" = ["/ready"]))]
    pub(crate) path: Option<At<PathText>>,
    /// Time between two checks of an endpoint.
    #[schemars(extend("default" = "5s"))]
    pub(crate) interval: Option<At<DurationText>>,
    /// Time for one check, at most `interval`.
    #[schemars(extend("default" = "3s"))]
    pub(crate) timeout: Option<At<DurationText>>,
    /// Good checks in a row until an endpoint that checks have taken out serves again.
    #[schemars(range(min = 1, max = 1000), extend("default" = 1))]
    pub(crate) healthy: Option<u32>,
    /// Bad checks in a row until it is taken out.
    #[schemars(range(min = 1, max = 1000), extend("default" = 3))]
    pub(crate) unhealthy: Option<u32>,
}
