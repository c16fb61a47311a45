//! The file as it is written: one struct a table, read by serde and described by its JSON Schema.
//!
//! Everything known about a key without looking at another key stands here once: its name, its type, its range, its
//! default and what it means. The schema made of it (`schema`) lets `fit` find unknown keys and wrong types, and becomes
//! the reference page; a test proves that the defaults named here are those that `check` uses.
//! The doc comments are read by users: they tell of the file, not of the code.

mod auth;
mod autoscale;
mod probes;
mod resilience;
mod resources;
mod rollout;
mod route;
mod service;

use std::{collections::BTreeMap, num::NonZeroU32};

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

pub(crate) use self::{
    auth::{Auth, RouteAuth, StaleFeed, TokenTypes},
    autoscale::{Autoscale, AutoscaleMetric, AutoscaleMode, ScalePolicy, ScaleRules, ScaleSelect},
    probes::{BackOff, Probe, Probes},
    resilience::{AdaptiveConcurrency, CircuitBreaker, EndpointLimits, Hold, OutlierEjection, Queue},
    resources::Amounts,
    rollout::{OnStall, Rollout},
    route::{Respond, Retry, Route, Timeouts},
    service::{
        ActiveHealth, Balance, DatabaseConnections, Discover, Endpoint, PassiveHealth, Protocol, Service,
    },
};
use crate::located::{AddressText, At, DurationText, NetworkText};

/// `phalanx.toml`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) gateway: Option<Gateway>,
    pub(crate) route: Option<At<Vec<At<Route>>>>,
    #[schemars(with = "Option<BTreeMap<String, Service>>")]
    pub(crate) service: Option<At<BTreeMap<Spanned<String>, At<Service>>>>,
    pub(crate) auth: Option<At<Auth>>,
    pub(crate) admin: Option<Admin>,
    pub(crate) log: Option<Log>,
}

/// Where the gateway listens, with how many workers, and whom it believes.
///
/// ```toml
/// [gateway]
/// workers = 4
/// http = ["0.0.0.0:8080", "[::]:8080"]
/// drain_deadline = "1m"
/// trusted_proxies = ["10.0.0.0/8"]
/// max_connections = 10000
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
    /// Networks of proxies before this one, at most 256, whose `X-Forwarded-For` and the other fields of its kind are believed.
    /// An address is a network of one. Of anybody else these fields are replaced.
    #[schemars(extend("default" = [], "examples" = [["10.0.0.0/8", "::1"]]))]
    pub(crate) trusted_proxies: Option<At<Vec<At<NetworkText>>>>,
    /// Connections of clients at a time, those of all workers together. Without it: as many as the limit of open files leaves
    /// room for.
    #[schemars(range(min = 1, max = 10_000_000), extend("examples" = [10_000]))]
    pub(crate) max_connections: Option<NonZeroU32>,
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
