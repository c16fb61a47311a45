//! `[service.NAME]`

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use super::{
    AdaptiveConcurrency, Amounts, Autoscale, BackOff, CircuitBreaker, EndpointLimits, Hold, OutlierEjection,
    Probes, Queue, Rollout,
};
use crate::located::{AddressText, At, DnsNameText, DurationText, PathText};

/// What answers: fixed `endpoints`, those that DNS gives (`discover`), or replicas of a `command` that Phalanx runs, each
/// with `PORT` and `PHALANX_INSTANCE` in its environment. The name is made of `a-z`, `0-9`, `-` and `_` and begins with a
/// letter.
///
/// ```toml
/// [service.api]
/// command = ["node", "server.js"]
/// replicas = 3
/// env = { NODE_ENV = "production" }
/// probes.readiness = { path = "/ready", initial_delay = "2s", period = "5s" }
///
/// [service.api.autoscale]
/// min = 2
/// max = 10
/// metrics = [{ requests_per_second = 100 }, { in_flight = 20 }]
/// scale_down = { stabilization = "300s", policies = [{ percent = 10, period = "60s" }] }
///
/// [service.legacy]
/// endpoints = [{ address = "10.0.1.10:3000", weight = 3 }, { address = "10.0.1.11:3000" }]
/// passive_health = { max_fails = 3, fail_timeout = "30s" }
/// active_health = { path = "/ready" }
///
/// [service.search]
/// discover = { dns = "search.internal:9200" }
/// protocol = "auto"
/// limits = { connections = 200 }
/// queue = { max = 500, timeout = "2s" }
/// circuit_breaker = { error_rate = 0.6 }
/// outlier_ejection = { latency_factor = 4 }
/// slow_start = "30s"
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
    /// What the endpoints speak. `h2c` is HTTP/2 without TLS, with prior knowledge; `auto` finds out, for each endpoint,
    /// whether it does, and speaks HTTP/1.1 with those that do not.
    #[schemars(extend("default" = "http1"))]
    pub(crate) protocol: Option<Protocol>,
    /// Idle connections kept to each endpoint, per worker.
    #[schemars(range(min = 0, max = 10_000), extend("default" = 64))]
    pub(crate) keepalive: Option<u16>,
    /// Fixed addresses.
    #[schemars(extend("examples" = [[{ "address": "10.0.1.10:3000" }]]))]
    pub(crate) endpoints: Option<At<Vec<At<Endpoint>>>>,
    /// Asks DNS where the endpoints are, and again whenever its answer expires. An empty or failed answer changes nothing.
    #[schemars(extend("examples" = [{ "dns": "api.internal:3000" }]))]
    pub(crate) discover: Option<At<Discover>>,
    /// With `endpoints` or `discover`: an endpoint that fails requests gets none for a while.
    #[schemars(extend("examples" = [{ "max_fails": 3 }]))]
    pub(crate) passive_health: Option<At<PassiveHealth>>,
    /// With `endpoints` or `discover`: each is checked regularly. Without it an endpoint is believed until it fails; without
    /// `path`, a TCP connection that is accepted is good.
    #[schemars(extend("examples" = [{ "path": "/ready" }]))]
    pub(crate) active_health: Option<At<ActiveHealth>>,
    /// With `active_health`: when more than this share of the endpoints that are no backups fail their checks, the checks are
    /// disbelieved and all get requests, since a part of them would drown in what is meant for all. 1 switches this off.
    #[schemars(range(min = 0.0, max = 1.0), extend("default" = 0.5))]
    pub(crate) panic_threshold: Option<At<f64>>,
    /// How long the share of requests of an endpoint grows after it begins to serve; `"0s"` switches this off.
    #[schemars(extend("default" = "0s"))]
    pub(crate) slow_start: Option<At<DurationText>>,
    /// What one endpoint works on at a time, for all workers together; and, with `command`, what one replica may use.
    #[schemars(extend("examples" = [{ "connections": 100 }]))]
    pub(crate) limits: Option<At<EndpointLimits>>,
    /// Where requests wait for which no endpoint has room; `{}` is one with the defaults. Without it they are answered 503 at
    /// once.
    #[schemars(extend("examples" = [{ "max": 100, "timeout": "1s" }]))]
    pub(crate) queue: Option<At<Queue>>,
    /// Where requests wait while no endpoint serves, as long as the only replica starts again or none was started yet; `{}` is
    /// with the defaults, which is also what `min = 0` of `autoscale` brings along. Otherwise they are answered 503 at once.
    #[schemars(extend("examples" = [{ "max": 100, "timeout": "10s" }]))]
    pub(crate) hold: Option<At<Hold>>,
    /// Finds out how many requests at a time the service answers without getting slower, and lets no more through; `{}` is
    /// with the defaults. Without it there is no such limit.
    #[schemars(extend("examples" = [{ "min": 8, "max": 1000 }]))]
    pub(crate) adaptive_concurrency: Option<At<AdaptiveConcurrency>>,
    /// A service that fails most requests gets none for a while: they are answered 503. `{}` is with the defaults; without it
    /// every request is tried.
    #[schemars(extend("examples" = [{ "error_rate": 0.5 }]))]
    pub(crate) circuit_breaker: Option<At<CircuitBreaker>>,
    /// An endpoint that does much worse than the others gets no requests for a while; `{}` is with the defaults. Without it
    /// endpoints are not compared.
    #[schemars(extend("examples" = [{ "error_rate": 0.5 }]))]
    pub(crate) outlier_ejection: Option<At<OutlierEjection>>,
    /// The program and its arguments; `phalanx` is this program itself. It runs in the folder in which Phalanx was started, and
    /// listens on 127.0.0.1 and the port in `PORT`.
    #[schemars(extend("examples" = [["node", "server.js"]]))]
    pub(crate) command: Option<At<Vec<At<String>>>>,
    /// With `command`: how many are run. 0 runs none until they are asked for.
    #[schemars(range(min = 0, max = 1000), extend("default" = 1))]
    pub(crate) replicas: Option<At<u16>>,
    /// With `command`: added to the environment that Phalanx has itself.
    #[schemars(
        with = "Option<BTreeMap<String, String>>",
        extend("default" = {}, "examples" = [{ "NODE_ENV": "production" }])
    )]
    pub(crate) env: Option<At<BTreeMap<Spanned<String>, At<String>>>>,
    /// With `command`: files of environment variables, `NAME=value` a line, with quotes, comments and `export` as in a `.env`. A
    /// relative path begins in the folder of this file. One that is missing is a fault, unless `?` stands at its end. Of the same
    /// variable, a later file wins over an earlier one, `env` over all files, and these over the environment that Phalanx has
    /// itself.
    #[schemars(extend("default" = [], "examples" = [[".env", ".env.local?"]]))]
    pub(crate) env_file: Option<At<Vec<At<String>>>>,
    /// With `command`: the connections that replicas open to a database server, which takes no more than it was set up for; a fleet
    /// that could ask for more is refused by `phalanx check`. Each replica finds its part in `DATABASE_CONNECTIONS`.
    #[schemars(extend("examples" = [{ "connections": 8, "max_connections": 200 }]))]
    pub(crate) database: Option<At<DatabaseConnections>>,
    /// With `command`: how a replica is asked whether it is ready, and whether it lives. Without it: whether it accepts TCP
    /// connections, which one that hangs still does. What follows from the answers: [fleet](fleet.md#probes).
    #[schemars(extend("examples" = [{ "readiness": { "path": "/ready" } }]))]
    pub(crate) probes: Option<At<Probes>>,
    /// With `command`: how long a replica that failed waits for its next start, see [fleet](fleet.md#restarts).
    #[schemars(extend("examples" = [{ "first": "1s", "longest": "60s" }]))]
    pub(crate) back_off: Option<At<BackOff>>,
    /// With `command`: what one replica is expected to use. The percentages of the autoscaler are of this.
    #[schemars(extend("examples" = [{ "cpu": "500m", "memory": "512MiB" }]))]
    pub(crate) resources: Option<At<Amounts>>,
    /// With `command`: decides how many replicas there are, between `min` and `max`. `replicas` then says how many there are at
    /// the start, which without it is `min`, and at least one.
    #[schemars(extend("examples" = [{ "max": 10 }]))]
    pub(crate) autoscale: Option<At<Autoscale>>,
    /// With `command`: time between TERM and KILL.
    #[schemars(extend("default" = "30s"))]
    pub(crate) shutdown_grace: Option<At<DurationText>>,
    /// With `command`: how replicas are replaced by others.
    #[schemars(extend("examples" = [{ "max_surge": 1, "min_ready": "5s" }]))]
    pub(crate) rollout: Option<At<Rollout>>,
    /// With `command`: services of this file with a command that must be complete, which is to have every replica ready, before the
    /// first replica of this one is started. They stop after it.
    #[schemars(extend("default" = [], "examples" = [["database"]]))]
    pub(crate) depends_on: Option<At<Vec<At<String>>>>,
}

/// `replicas`, with those that `rollout.max_surge` lets come on top, × `connections` must fit into `max_connections` without
/// `reserve`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DatabaseConnections {
    /// What one replica opens to one server, at most.
    #[schemars(range(min = 2, max = 10_000), extend("default" = 8))]
    pub(crate) connections: Option<At<u32>>,
    /// `max_connections` of the server.
    #[schemars(range(min = 1, max = 262_143), extend("default" = 100))]
    pub(crate) max_connections: Option<At<u32>>,
    /// What is left to others: superusers, replication, migrations, people.
    #[schemars(range(min = 0, max = 262_143), extend("default" = 10))]
    pub(crate) reserve: Option<At<u32>>,
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
#[serde(rename_all = "snake_case")]
pub(crate) enum Protocol {
    Auto,
    Http1,
    H2c,
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
    /// Whether it gets requests only while none of the others serves.
    #[schemars(extend("default" = false))]
    pub(crate) backup: Option<bool>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Discover {
    /// A name and a port, of which every address (A and AAAA) is an endpoint; or, without a port, the name of an SRV record,
    /// as `_http._tcp.api.internal`, which has the ports itself.
    #[schemars(extend("examples" = ["api.internal:3000"]))]
    pub(crate) dns: Option<At<DnsNameText>>,
    /// The DNS server that is asked. Without it: those of `/etc/resolv.conf`.
    #[schemars(extend("examples" = ["127.0.0.1:53"]))]
    pub(crate) resolver: Option<At<AddressText>>,
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
    /// What is asked for, with GET; 2xx is good. Without it: a TCP connection that is accepted.
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
