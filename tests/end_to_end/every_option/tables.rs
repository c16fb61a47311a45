//! The tables of which every key is toggled, with values under which each request is answered.
//!
//! Times are such that nothing runs out on a busy machine, and that nothing that is toggled waits for a minute.

use std::net::SocketAddr;

use super::toggled::Pair;
use crate::guarded::SECRET;

/// Where the endpoints of these tables are.
pub(crate) struct Place {
    pub(crate) endpoints: [SocketAddr; 2],
    pub(crate) resolver: SocketAddr,
    /// A shell script of one replica, and its arguments.
    pub(crate) command: String,
}

pub(crate) fn services(place: &Place) -> Vec<Pair> {
    let Place { endpoints: [first, second], resolver, command } = place;
    let command = format!("command = {command}\n");
    let fixed = format!("endpoints = [{{ address = '{first}' }}, {{ address = '{second}' }}]");
    let found = format!("discover = {{ dns = 'found.test:{}', resolver = '{resolver}' }}", first.port());
    let scaled = format!("{command}autoscale = {{ max = 2, metrics = [{{ in_flight = 100 }}] }}");
    let scaled_fast = format!("{command}autoscale = {{ max = 2, mode = 'fast' }}");
    vec![
        Pair::new("fixed", &format!("{}{FIXED}", endpoints(*first, *second)), &fixed),
        Pair::new("found", &found, &found),
        Pair::new("run", &format!("{command}{RUN}"), &command),
        Pair::new("scaled", &format!("{command}{SCALED}"), &scaled),
        Pair::new("scaled_fast", &format!("{command}{SCALED_FAST}"), &scaled_fast),
        Pair::new("tcp", &format!("{command}{}", probed_at(*first)), &command),
        Pair::new("exec", &format!("{command}{EXEC}"), &command),
        Pair::new("grpc", &format!("{command}{GRPC}"), &command),
    ]
}

fn endpoints(first: SocketAddr, second: SocketAddr) -> String {
    format!(
        "endpoints = [{{ address = '{first}', weight = 2 }}, {{ address = '{second}', weight = 3, backup = true }}]\n"
    )
}

/// Probes of a port that is not the replica's.
fn probed_at(address: SocketAddr) -> String {
    let probe = format!("{{ tcp = true, port = {} }}", address.port());
    format!("probes = {{ startup = {probe}, readiness = {probe}, liveness = {probe} }}")
}

const FIXED: &str = "
balance = 'consistent_hash'
hash_key = 'header:X-Tenant'
protocol = 'auto'
keepalive = 2
passive_health = { max_fails = 100, fail_timeout = '1s' }
active_health = { path = '/ready', interval = '30s', timeout = '4s', healthy = 1, unhealthy = 1000 }
limits = { connections = 4, pending = 4 }
queue = { max = 10, timeout = '30s' }
hold = { max = 10, timeout = '30s' }
adaptive_concurrency = { min = 4, max = 40, tolerance = 2.0 }
circuit_breaker = { error_rate = 0.9, volume = 1000, window = '1s', open = '1s' }
outlier_ejection = { error_rate = 0.9, latency_factor = 1000, volume = 1000, window = '1s', ejection = '1s', max_ejected = 0.4 }
slow_start = '1s'
panic_threshold = 0.3
";

const RUN: &str = "
replicas = 2
env = { TOGGLED = 'yes' }
env_file = ['toggled.env?']
database = { connections = 2, max_connections = 1000, reserve = 2 }
back_off = { first = '1s', longest = '2m', forgiven_after = '3m' }
resources = { cpu = 0.25, memory = '64MiB' }
limits = { cpu = 2, memory = '1GiB', connections = 4, pending = 4 }
shutdown_grace = '20s'
rollout = { max_surge = 2, max_unavailable = '50%', min_ready = '10ms', deadline = '2m', on_stall = 'roll_back' }
depends_on = ['store']
[probes.startup]
path = '/ready'
initial_delay = '10ms'
period = '20ms'
timeout = '30s'
success = 1
failure = 1000
[probes.readiness]
path = '/ready'
initial_delay = '10ms'
period = '50ms'
timeout = '30s'
success = 2
failure = 100
[probes.liveness]
path = '/ready'
initial_delay = '10ms'
period = '50ms'
timeout = '30s'
success = 1
failure = 100
";

const SCALED: &str = "
resources = { cpu = 0.25, memory = '64MiB' }
[autoscale]
min = 1
max = 2
mode = 'kubernetes'
interval = '1s'
tolerance = 0.2
metrics = [{ cpu_percent = 1000 }, { memory_percent = 1000 }, { requests_per_second = 1000 }, { in_flight = 100 }]
[autoscale.scale_up]
stabilization = '30s'
policies = [{ percent = 50, period = '60s' }, { replicas = 4, period = '30m' }]
select = 'min'
tolerance = 0.05
[autoscale.scale_down]
stabilization = '1m'
policies = [{ percent = 5, period = '15s' }, { replicas = 1, period = '15s' }]
select = 'disabled'
tolerance = 0.3
";

const SCALED_FAST: &str = "
[autoscale]
min = 0
max = 2
mode = 'fast'
interval = '1s'
metrics = [{ in_flight = 100 }]
stable_window = '50s'
panic_window = '5s'
panic_threshold = 1.5
scale_to_zero_after = '2m'
";

const EXEC: &str = "
probes.startup = { exec = ['true'] }
probes.readiness = { exec = ['true'] }
probes.liveness = { exec = ['true'] }
";

const GRPC: &str = "
probes.startup = { grpc = 's' }
probes.readiness = { grpc = '' }
probes.liveness = { grpc = 'l' }
";

pub(crate) fn routes() -> Vec<Pair> {
    vec![
        Pair::new("forward", FORWARD, "host = 'x'\npath = '/'\nservice = 'store'"),
        Pair::new(
            "exact",
            "host = 'x'\npath_exact = '/'\nservice = 'store'",
            "host = 'x'\npath_exact = '/'\nservice = 'store'",
        ),
        Pair::new(
            "respond",
            "host = 'x'\npath = '/'\nrespond = { status = 200, body = 'told' }",
            "host = 'x'\npath = '/'\nrespond = {}",
        ),
    ]
}

const FORWARD: &str = "
host = 'x'
path = '/'
methods = ['GET', 'POST']
allow_encoded = ['%2F']
service = 'store'
timeouts = { connect = '30s', send = '30s', read = '30s', tunnel = '30s' }
retry = { attempts = 2, budget = 0.6 }
max_body = '1MiB'
min_body_rate = '8B/s'
shed = false
auth = { required = true, roles = ['user'] }
";

/// The tables of which a file has one, with the keys that the test cannot do without.
pub(crate) fn globals(jwks: SocketAddr) -> Vec<(&'static str, Pair)> {
    let listener = "http = ['127.0.0.1:0']";
    let secret = format!("secret = '{SECRET}'\n");
    let auth_by_keys = format!("{AUTH}jwks = 'http://{jwks}/keys'\n");
    vec![
        ("gateway", Pair::new("gateway", &format!("{listener}\n{GATEWAY}"), listener)),
        ("log", Pair::new("log", "format = 'json'\nlevel = 'trace'", "")),
        ("auth", Pair::new("auth", &format!("{AUTH}{secret}"), &secret)),
        ("auth", Pair::new("auth_by_keys", &auth_by_keys, &format!("jwks = 'http://{jwks}/keys'"))),
    ]
}

const GATEWAY: &str = "
workers = 2
drain_deadline = '20s'
trusted_proxies = ['127.0.0.1']
max_connections = 100
";

const AUTH: &str = "
issuer = 'test'
audience = 'api'
types = 'any_jwt'
revocation = 'sqlite:state'
revocation_lag = '20s'
stale = 'refuse'
";
