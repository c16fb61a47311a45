//! The file as it is written: one struct a table, read by serde and described by its JSON Schema.
//!
//! Everything known about a key without looking at another key stands here once: its name, its type, its range, its
//! default and what it means. The schema made of it (`schema`) lets `fit` find unknown keys and wrong types, and becomes
//! the reference page; a test proves that the defaults named here are those that `check` uses.
//! The doc comments are read by users: they tell of the file, not of the code.

mod probes;
mod route;
mod service;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

pub(crate) use self::{
    probes::{Probe, Probes},
    route::{Respond, Route, Timeouts},
    service::{ActiveHealth, Balance, Endpoint, PassiveHealth, Service},
};
use crate::located::{AddressText, At, DurationText};

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
