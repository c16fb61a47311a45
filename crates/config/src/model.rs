//! The checked configuration: what the rest of Phalanx works with.

mod auth;
mod autoscale;
mod probes;
mod replicas;
mod resilience;
mod resources;

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    num::{NonZeroU32, NonZeroUsize},
    ops::Range,
    sync::Arc,
    time::Duration,
};

pub use auth::{
    Auth, KeySource, Presence, Revocation, RevocationStore, RouteAuth, Secret, StaleFeed, TokenTypes,
};
pub use autoscale::Autoscale;
use ipnet::IpNet;
pub use probes::{BackOff, Check, Probe};
pub(crate) use replicas::REPLICAS_MAX;
pub use replicas::{Connections, EnvFile, Replicas, ReplicasLimit};
pub use resilience::{
    AdaptiveConcurrency, CircuitBreaker, EndpointLimits, Hold, OutlierEjection, Queue, Resilience, Retry,
    Shedding,
};
pub use resources::{Amounts, Resources};

use crate::source::SourceFile;

/// A whole, checked `phalanx.toml`.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `[gateway]`
    pub gateway: Gateway,
    /// `[[route]]`, in the order of the file.
    pub routes: Vec<Route>,
    /// `[service.NAME]`, by name.
    pub services: BTreeMap<ServiceName, Service>,
    /// `[auth]`; there where a route asks for it.
    pub auth: Option<Auth>,
    /// `[admin]`
    pub admin: Admin,
    /// `[log]`
    pub log: Log,
    /// What it was read from, for faults that show only in use.
    pub(crate) source: Arc<SourceFile>,
}

/// The name of a service: a metric label and a part of instance names, so 1 to 63 of `a-z`, `0-9`, `-`, `_`, beginning with
/// a letter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName(pub(crate) Arc<str>);

impl ServiceName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// `[gateway]`: where it listens and with how many workers.
#[derive(Clone, Debug, PartialEq)]
pub struct Gateway {
    /// Worker threads; `None`: one per core that this process may use.
    pub workers: Option<NonZeroUsize>,
    /// Plain HTTP listeners; at least one.
    pub http: Vec<SocketAddr>,
    /// How long open requests may go on after TERM or INT before their connections are cut.
    pub drain_deadline: Duration,
    /// Networks whose `X-Forwarded-*` fields are believed; default none.
    pub trusted_proxies: Vec<IpNet>,
    /// Client connections at a time, over all workers; `None`: as many as the limit of open files leaves room for.
    pub max_connections: Option<NonZeroU32>,
}

/// `[[route]]`: which requests, and what happens to them.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// `None`: every host.
    pub host: Option<HostPattern>,
    /// Which paths.
    pub path: PathPattern,
    /// Methods that are let through; `None`: those of RFC 9110 and PATCH.
    pub methods: Option<Vec<String>>,
    /// Percent-encoded characters that may stand in the path although they can hide a separator, as `%2F`; upper case.
    pub allow_encoded: Vec<String>,
    /// `auth`: who may come; `None`: everybody.
    pub auth: Option<RouteAuth>,
    /// What happens.
    pub action: Action,
}

/// The hosts of a route; always lower case, without a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// `api.example.com`
    Exact(String),
    /// `*.example.com`, held as `.example.com`: any name that ends so and has at least one more label.
    Suffix(String),
}

/// The paths of a route.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PathPattern {
    /// `path`: every path that begins so; `/api` and `/api/` both hold `/api/x`, neither holds `/apix`.
    Prefix(String),
    /// `path_exact`: this path alone.
    Exact(String),
}

/// What a route does with a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// `service`: forwards to an endpoint of this service, which exists in [`Config::services`].
    Forward {
        /// The service.
        service: ServiceName,
        /// How.
        policy: ForwardPolicy,
    },
    /// `respond`: answers by itself, as text/plain.
    Respond {
        /// 200 to 599.
        status: u16,
        /// The body, at most 64 KiB.
        body: String,
    },
}

/// What a route says about forwarding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ForwardPolicy {
    /// `timeouts`
    pub timeouts: Timeouts,
    /// `retry`
    pub retry: Retry,
    /// `max_body`: bytes of a request's body, of which more are answered 413; default 1 GiB.
    pub max_body: u64,
    /// `min_body_rate`: bytes per second that a client must send of a body over any ten seconds, else 408; zero switches
    /// it off. Default 16.
    pub min_body_rate: u32,
    /// `shed`
    pub shedding: Shedding,
}

impl Default for ForwardPolicy {
    fn default() -> Self {
        Self {
            timeouts: Timeouts::default(),
            retry: Retry::default(),
            max_body: 1 << 30,
            min_body_rate: 16,
            shedding: Shedding::default(),
        }
    }
}

/// `timeouts` of a route. `send` and `read` bound the time *between* two bytes, not the whole message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a connection to the endpoint stands; default 5 s.
    pub connect: Duration,
    /// While sending to the endpoint makes no progress; default 60 s.
    pub send: Duration,
    /// While the endpoint sends nothing; default 60 s.
    pub read: Duration,
    /// While neither side of an upgraded connection sends anything; default 1 h.
    pub tunnel: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let minute = Duration::from_mins(1);
        Self { connect: Duration::from_secs(5), send: minute, read: minute, tunnel: Duration::from_hours(1) }
    }
}

/// `[service.NAME]`
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// How an endpoint is chosen.
    pub balance: Balance,
    /// What its endpoints speak.
    pub protocol: Protocol,
    /// Idle connections kept to each endpoint, per worker; default 64.
    pub keepalive: usize,
    /// Limits, queue, breaker, ejection of outliers.
    pub resilience: Resilience,
    /// Where its endpoints come from.
    pub source: Source,
}

/// `protocol`: what the gateway speaks to the endpoints of a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/2 without TLS to those that speak it, HTTP/1.1 to the others; found out for each.
    Auto,
    /// HTTP/1.1
    #[default]
    Http1,
    /// HTTP/2 without TLS, with prior knowledge.
    H2c,
}

/// `balance`, with `hash_key` where it needs one. Weights count in all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// Everyone in turn.
    #[default]
    RoundRobin,
    /// The fewest requests in flight.
    LeastConnections,
    /// More to the faster, and never nothing to the slow.
    LeastResponseTime,
    /// Of two at random the one with fewer requests in flight.
    PowerOfTwo,
    /// The same client to the same endpoint.
    IpHash,
    /// The same key to the same endpoint, unless that has too much to do.
    ConsistentHash(HashKey),
    /// Anyone.
    Random,
}

/// `hash_key`: what of a request is the key. A request without it is known by its client's address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum HashKey {
    /// `path`: the path, without the query.
    #[default]
    Path,
    /// `header:NAME`: the first field of this name.
    Header(String),
    /// `cookie:NAME`: the first cookie of this name.
    Cookie(String),
}

/// Where the endpoints of a service come from.
#[expect(clippy::large_enum_variant, reason = "there is one for each service, and it stays where it is")]
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// `endpoints`: fixed addresses, at least one, none twice.
    Endpoints {
        /// The addresses.
        endpoints: Vec<Endpoint>,
        /// `passive_health`; has a default.
        passive_health: PassiveHealth,
        /// `active_health`; without it an endpoint is believed until it fails.
        active_health: Option<ActiveHealth>,
    },
    /// `discover`: addresses that DNS gives.
    Discovered {
        /// Where to look.
        discovery: Discovery,
        /// `passive_health`; has a default.
        passive_health: PassiveHealth,
        /// `active_health`; without it an endpoint is believed until it fails.
        active_health: Option<ActiveHealth>,
    },
    /// `command`: processes that Phalanx runs.
    Replicas(Replicas),
}

impl Source {
    /// Whether an autoscaler may let the last replica end.
    pub(crate) fn may_have_no_replica(&self) -> bool {
        match self {
            Self::Replicas(replicas) => {
                replicas.autoscale.as_ref().is_some_and(|autoscale| autoscale.mode.min() == 0)
            }
            Self::Endpoints { .. } | Self::Discovered { .. } => false,
        }
    }
}

/// `discover`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// `dns`: what is asked for.
    pub name: DnsName,
    /// `resolver`: the DNS server that is asked; `None`: those of `/etc/resolv.conf`.
    pub resolver: Option<SocketAddr>,
}

/// What is asked of DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsName {
    /// `HOST:PORT`: the addresses (A and AAAA) of a host, each with this port.
    Host {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// `_SERVICE._PROTOCOL.NAME`: the targets and ports of an SRV record (RFC 2782).
    Service(String),
}

impl fmt::Display for DnsName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host { host, port } => write!(formatter, "{host}:{port}"),
            Self::Service(name) => formatter.write_str(name),
        }
    }
}

/// Whether an endpoint gets requests as long as another does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Role {
    /// It does.
    #[default]
    Primary,
    /// Only when no primary serves.
    Backup,
}

/// One fixed endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its share of the traffic, 1 to 1000; default 1.
    pub weight: u16,
    /// `backup`
    pub role: Role,
}

/// `passive_health`: after `max_fails` failed attempts within `fail_timeout` an endpoint gets no requests for
/// `fail_timeout`; `max_fails = 0` switches it off. Default 1 and 10 s, as nginx has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassiveHealth {
    /// Failed attempts until the endpoint is taken out.
    pub max_fails: u32,
    /// The window in which they are counted, and the time the endpoint is out.
    pub fail_timeout: Duration,
}

impl Default for PassiveHealth {
    fn default() -> Self {
        Self { max_fails: 1, fail_timeout: Duration::from_secs(10) }
    }
}

/// `active_health`: a `GET` that must answer 2xx, or a TCP connection that must be accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveHealth {
    /// The path that is asked for; `None`: a connection is enough.
    pub path: Option<String>,
    /// Time between two checks of an endpoint; default 5 s.
    pub interval: Duration,
    /// Time for one check; default 3 s, at most `interval`.
    pub timeout: Duration,
    /// Good checks in a row until the endpoint serves again; default 1.
    pub healthy: u32,
    /// Bad checks in a row until it is taken out; default 3.
    pub unhealthy: u32,
}

/// `[admin]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// A loopback address; default `127.0.0.1:9900`.
    pub listen: SocketAddr,
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Default: text.
    pub format: LogFormat,
    /// Default: info.
    pub level: LogLevel,
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// The least severe level that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Faults that need a person.
    Error,
    /// What may become one.
    Warn,
    /// What happens in the life of a fleet.
    Info,
    /// For finding a fault.
    Debug,
    /// Everything.
    Trace,
}

/// A byte range in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Self {
        Self { start: range.start, end: range.end }
    }
}
