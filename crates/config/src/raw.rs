//! The file as it is written: one struct a table, read by serde and described by its JSON Schema.
//!
//! Everything known about a key without looking at another key stands here once: its name, its type, its range, its
//! default and what it means. The schema made of it (`schema`) lets `fit` find unknown keys and wrong types, and becomes
//! the reference page; a test proves that the defaults named here are those that `check` uses.
//! The doc comments are read by users: they tell of the file, not of the code.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::{Value, json};
use toml::Spanned;

use crate::located::{AddressText, At, DurationText, PathText};

/// `phalanx.toml`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) gateway: Option<Gateway>,
    pub(crate) route: Option<At<Vec<At<Route>>>>,
    #[schemars(with = "Option<BTreeMap<String, Service>>")]
    pub(crate) service: Option<At<BTreeMap<Spanned<String>, At<Service>>>>,
    pub(crate) admin: Option<Admin>,
    pub(crate) log: Option<Log>,
}

/// Where the gateway listens and with how many workers.
///
/// ```toml
/// [gateway]
/// workers = 4
/// http = ["0.0.0.0:8080", "[::]:8080"]
/// drain_deadline = "1m"
/// ```
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Gateway {
    /// Worker threads; 0 is one per core that the process may use.
    #[schemars(range(min = 0, max = 1024), extend("default" = 0))]
    pub(crate) workers: Option<u16>,
    /// Addresses for plain HTTP, at most 64. Port 0 lets the system choose one.
    #[schemars(extend("default" = ["0.0.0.0:8080"]))]
    pub(crate) http: Option<At<Vec<At<AddressText>>>>,
    /// How long open requests may go on after TERM or INT before their connections are cut.
    #[schemars(extend("default" = "30s"))]
    pub(crate) drain_deadline: Option<At<DurationText>>,
}

/// Which requests go where. The longest path wins, then the more exact host; a request without a route is answered 404.
///
/// ```toml
/// [[route]]
/// host = "api.example.com"
/// path = "/"
/// methods = ["GET", "POST"]
/// service = "api"
/// timeouts = { connect = "2s", read = "30s" }
///
/// [[route]]
/// path_exact = "/health"
/// respond = { status = 200, body = "healthy\n" }
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Route {
    /// The host asked for, without a port. `*.example.com` stands for every name below example.com. Without it: every
    /// host.
    #[schemars(extend("examples" = ["api.example.com"]))]
    pub(crate) host: Option<At<String>>,
    /// Every path that begins so, at the border of a segment: `/api` holds `/api/x`, not `/apix`.
    #[schemars(extend("examples" = ["/api/"]))]
    pub(crate) path: Option<At<PathText>>,
    /// This path alone. A route has either `path` or `path_exact`.
    #[schemars(extend("examples" = ["/health"]))]
    pub(crate) path_exact: Option<At<PathText>>,
    /// Methods that are let through. Without it: those of RFC 9110, and PATCH.
    #[schemars(extend("examples" = [["GET", "POST"]]))]
    pub(crate) methods: Option<At<Vec<At<String>>>>,
    /// Percent-encoded characters that may stand in the path although they can hide a separator.
    #[schemars(extend("default" = [], "examples" = [["%2F"]]))]
    pub(crate) allow_encoded: Option<At<Vec<At<String>>>>,
    /// The `[service.NAME]` that answers.
    #[schemars(extend("examples" = ["api"]))]
    pub(crate) service: Option<At<String>>,
    /// The gateway answers by itself. A route has either `service` or `respond`.
    #[schemars(extend("examples" = [{ "status": 200, "body": "healthy\n" }]))]
    pub(crate) respond: Option<At<Respond>>,
    /// How long the gateway waits for the service.
    #[schemars(extend("examples" = [{ "connect": "2s" }]))]
    pub(crate) timeouts: Option<At<Timeouts>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Respond {
    /// The status.
    #[schemars(range(min = 200, max = 599), extend("default" = 200))]
    pub(crate) status: Option<u16>,
    /// The body, as text/plain; at most 64 KiB.
    #[schemars(extend("default" = ""))]
    pub(crate) body: Option<At<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Timeouts {
    /// Until a connection to an endpoint stands.
    #[schemars(extend("default" = "5s"))]
    pub(crate) connect: Option<At<DurationText>>,
    /// While sending makes no progress.
    #[schemars(extend("default" = "60s"))]
    pub(crate) send: Option<At<DurationText>>,
    /// While the endpoint sends nothing.
    #[schemars(extend("default" = "60s"))]
    pub(crate) read: Option<At<DurationText>>,
}

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

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Probes {
    /// Asked until it succeeds once; only then the readiness probe begins. When it fails, the replica is stopped and started
    /// again.
    #[schemars(transform = startup_defaults, extend("examples" = [{ "path": "/started", "failure": 120 }]))]
    pub(crate) startup: Option<Probe>,
    /// Decides whether the replica gets requests. When it fails, it gets none until it succeeds again.
    #[schemars(extend("examples" = [{ "path": "/ready" }]))]
    pub(crate) readiness: Option<Probe>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Probe {
    /// What is asked for, with GET; 200 to 399 is good. Without it: a TCP connection that is accepted.
    #[schemars(extend("examples" = ["/ready"]))]
    pub(crate) path: Option<At<PathText>>,
    /// Time before the first probe.
    #[schemars(extend("default" = "0s"))]
    pub(crate) initial_delay: Option<At<DurationText>>,
    /// Time between two probes.
    #[schemars(extend("default" = "1s"))]
    pub(crate) period: Option<At<DurationText>>,
    /// Time for one probe.
    #[schemars(extend("default" = "1s"))]
    pub(crate) timeout: Option<At<DurationText>>,
    /// Good probes in a row until it counts as good.
    #[schemars(range(min = 1, max = 1000), extend("default" = 1))]
    pub(crate) success: Option<u32>,
    /// Bad probes in a row until it counts as bad.
    #[schemars(range(min = 1, max = 1000), extend("default" = 3))]
    pub(crate) failure: Option<u32>,
}

/// The address of metrics and state, for this machine only.
///
/// ```toml
/// [admin]
/// listen = "127.0.0.1:9900"
/// ```
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Admin {
    /// A loopback address and a port.
    #[schemars(extend("default" = "127.0.0.1:9900"))]
    pub(crate) listen: Option<At<AddressText>>,
}

/// What Phalanx writes about itself.
///
/// ```toml
/// [log]
/// format = "json"
/// level = "warn"
/// ```
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    /// `json` is one object a line, `text` is for people.
    #[schemars(extend("default" = "text"))]
    pub(crate) format: Option<LogFormat>,
    /// The least severe level that is written.
    #[schemars(extend("default" = "info"))]
    pub(crate) level: Option<LogLevel>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    Json,
    Text,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// A startup probe has the keys of a readiness probe, and other defaults.
fn startup_defaults(schema: &mut Schema) {
    let set = |schema: &mut Schema, pointer: &str, value: Value| {
        *schema.pointer_mut(pointer).expect("a probe has the keys of its struct") = value;
    };
    set(schema, "/properties/failure/default", json!(60));
    for (inherited, about) in [
        ("path", "What is asked for, with GET; 200 to 399 is good. Without it: what `readiness` asks for."),
        ("initial_delay", "Time before the first probe. Without it: that of `readiness`."),
        ("timeout", "Time for one probe. Without it: that of `readiness`."),
    ] {
        set(schema, &format!("/properties/{inherited}/description"), json!(about));
        if let Some(Value::Object(key)) = schema.pointer_mut(&format!("/properties/{inherited}")) {
            key.remove("default");
        }
    }
}
