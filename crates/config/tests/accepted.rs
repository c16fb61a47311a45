//! Files without a fault, and what is made of them.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, also in its helpers")]

use expect_test::expect;
use phalanx_config::{BUILTIN, Config, Service, Source, Span, schema};
use serde_json::Value;

/// Every table, with no key in it that may be left out.
const SPARSE: &str = r#"
[[route]]
path = "/"
service = "fixed"

[[route]]
path_exact = "/health"
respond = {}

[service.fixed]
endpoints = [{ address = "127.0.0.1:3000" }]
active_health = { path = "/ready" }

[service.run]
command = ["server"]
"#;

/// A file with every key, which is also where the fuzzer begins.
const EVERY_KEY: &str = include_str!("../../../fuzz/corpus/config/every_key.toml");

/// The tables that a sparse file does without, and that change nothing when they are empty.
const EMPTY_TABLES: &str = r#"
[gateway]
[admin]
[log]

[[route]]
path = "/"
service = "fixed"
timeouts = {}
retry = {}

[[route]]
path_exact = "/health"
respond = {}

[service.fixed]
endpoints = [{ address = "127.0.0.1:3000" }]
passive_health = {}
active_health = { path = "/ready" }
limits = {}

[service.run]
command = ["server"]
probes = { startup = {}, readiness = {} }
rollout = {}
"#;

/// The tables that switch something on, though they are empty.
const SWITCHES: &str = r#"
[[route]]
path = "/"
service = "fixed"
auth = {}

[auth]
secret = "a secret of at least 32 bytes, so"
revocation = "sqlite:state"

[service.fixed]
endpoints = [{ address = "127.0.0.1:3000" }]
active_health = {}
queue = {}
adaptive_concurrency = {}
circuit_breaker = {}
outlier_ejection = {}

[service.found]
discover = { dns = "api:80" }
passive_health = {}
active_health = {}

[service.scaled]
command = ["server"]
autoscale = { max = 3, metrics = [{ in_flight = 1 }], scale_up = {}, scale_down = {} }

[service.scaled_fast]
command = ["server"]
autoscale = { max = 3, mode = "fast" }
"#;

fn parse(source: &str) -> Config {
    Config::parse("phalanx.toml", source, &|_| None).unwrap_or_else(|faults| panic!("{faults:#?}\n{source}"))
}

/// All that does not tell where in the file it stands.
fn meaning(config: Config) -> String {
    let Config { gateway, routes, mut services, auth, admin, log, .. } = config;
    for Service { source, .. } in services.values_mut() {
        if let Source::Replicas(replicas) = source {
            replicas.command_span = Span::default();
        }
    }
    let routes: String = routes.iter().map(|route| format!("{route:?}\n")).collect();
    let services: String = services.iter().map(|(name, service)| format!("{name} {service:?}\n")).collect();
    format!("{gateway:?}\n{routes}{services}{auth:?}\n{admin:?}\n{log:?}\n")
}

#[test]
fn defaults_are_those_that_the_schema_names() {
    for (source, added_min) in [(EMPTY_TABLES, 30), (SWITCHES, 30)] {
        let mut written_out: toml::Table = toml::from_str(source).unwrap();
        let added = write_out_defaults(&mut written_out, &schema());
        assert!(added > added_min, "{written_out}");
        assert_eq!(meaning(parse(&written_out.to_string())), meaning(parse(source)));
    }
    assert_eq!(meaning(parse(EMPTY_TABLES)), meaning(parse(SPARSE)));
}

#[test]
fn empty_tables_switch_on_what_they_name() {
    expect![[r#"
        Gateway { workers: None, http: [0.0.0.0:8080], drain_deadline: 30s, trusted_proxies: [], max_connections: None }
        Route { host: None, path: Prefix("/"), methods: None, allow_encoded: [], auth: Some(RouteAuth { presence: Required, roles: [] }), action: Forward { service: ServiceName("fixed"), policy: ForwardPolicy { timeouts: Timeouts { connect: 5s, send: 60s, read: 60s, tunnel: 3600s }, retry: Retry { attempts: 3, budget: 0.2 }, max_body: 1073741824, min_body_rate: 16, shedding: Sheds } } }
        fixed Service { balance: RoundRobin, protocol: Http1, keepalive: 64, resilience: Resilience { limits: EndpointLimits { connections: None, pending: None }, queue: Some(Queue { max: 100, timeout: 1s }), hold: None, adaptive_concurrency: Some(AdaptiveConcurrency { min: 8, max: 1000, tolerance: 1.5 }), circuit_breaker: Some(CircuitBreaker { error_rate: 0.5, volume: 20, window: 10s, open: 5s }), outlier_ejection: Some(OutlierEjection { error_rate: 0.5, latency_factor: 5.0, volume: 20, window: 10s, ejection: 30s, max_ejected: 0.5 }), slow_start: 0ns, panic_threshold: 0.5 }, source: Endpoints { endpoints: [Endpoint { address: 127.0.0.1:3000, weight: 1, role: Primary }], passive_health: PassiveHealth { max_fails: 1, fail_timeout: 10s }, active_health: Some(ActiveHealth { path: None, interval: 5s, timeout: 3s, healthy: 1, unhealthy: 3 }) } }
        found Service { balance: RoundRobin, protocol: Http1, keepalive: 64, resilience: Resilience { limits: EndpointLimits { connections: None, pending: None }, queue: None, hold: None, adaptive_concurrency: None, circuit_breaker: None, outlier_ejection: None, slow_start: 0ns, panic_threshold: 0.5 }, source: Discovered { discovery: Discovery { name: Host { host: "api", port: 80 }, resolver: None }, passive_health: PassiveHealth { max_fails: 1, fail_timeout: 10s }, active_health: Some(ActiveHealth { path: None, interval: 5s, timeout: 3s, healthy: 1, unhealthy: 3 }) } }
        scaled Service { balance: RoundRobin, protocol: Http1, keepalive: 64, resilience: Resilience { limits: EndpointLimits { connections: None, pending: None }, queue: None, hold: None, adaptive_concurrency: None, circuit_breaker: None, outlier_ejection: None, slow_start: 0ns, panic_threshold: 0.5 }, source: Replicas(Replicas { command: ["server"], command_span: Span { start: 0, end: 0 }, replicas: 1, limit: Machine, env: {}, env_files: [], startup: Probe { check: Connect { port: None }, initial_delay: 0ns, period: 1s, timeout: 1s, success: 1, failure: 60 }, readiness: Probe { check: Connect { port: None }, initial_delay: 0ns, period: 1s, timeout: 1s, success: 1, failure: 3 }, liveness: None, back_off: BackOff { first: 10s, longest: 300s, forgiven_after: 600s }, shutdown_grace: 30s, resources: Resources { requests: Amounts { cpu_milli: None, memory_bytes: None }, limits: Amounts { cpu_milli: None, memory_bytes: None } }, rollout: Policy { pace: Pace { max_surge: Percent(25), max_unavailable: Int(0) }, patience: Patience { min_ready: 0ns, deadline: Some(600s) }, ceiling: LiveAndDraining, on_stall: Hold }, depends_on: [], autoscale: Some(Autoscale { interval: 15s, mode: Kubernetes(Policy { wanted: Wanted { min: 1, max: 3, metrics: [Metric { name: "in_flight", target: PodsAverage { milli: 1000 } }], tolerance: Tolerance { down: 0.1, up: 0.1 }, startup: Startup { cpu_initialization: 300s, initial_readiness_delay: 30s }, downscale_window: 300s, behavior: Some(Behavior { up: Rules { window: 0ns, select: Max, rates: [Rate { amount: Replicas(4), period: 15s }, Rate { amount: Percent(100), period: 15s }], tolerance: None }, down: Rules { window: 300s, select: Max, rates: [Rate { amount: Percent(100), period: 15s }], tolerance: None } }) }, host_limit: None }) }) }) }
        scaled_fast Service { balance: RoundRobin, protocol: Http1, keepalive: 64, resilience: Resilience { limits: EndpointLimits { connections: None, pending: None }, queue: None, hold: None, adaptive_concurrency: None, circuit_breaker: None, outlier_ejection: None, slow_start: 0ns, panic_threshold: 0.5 }, source: Replicas(Replicas { command: ["server"], command_span: Span { start: 0, end: 0 }, replicas: 1, limit: Machine, env: {}, env_files: [], startup: Probe { check: Connect { port: None }, initial_delay: 0ns, period: 1s, timeout: 1s, success: 1, failure: 60 }, readiness: Probe { check: Connect { port: None }, initial_delay: 0ns, period: 1s, timeout: 1s, success: 1, failure: 3 }, liveness: None, back_off: BackOff { first: 10s, longest: 300s, forgiven_after: 600s }, shutdown_grace: 30s, resources: Resources { requests: Amounts { cpu_milli: None, memory_bytes: None }, limits: Amounts { cpu_milli: None, memory_bytes: None } }, rollout: Policy { pace: Pace { max_surge: Percent(25), max_unavailable: Int(0) }, patience: Patience { min_ready: 0ns, deadline: Some(600s) }, ceiling: LiveAndDraining, on_stall: Hold }, depends_on: [], autoscale: Some(Autoscale { interval: 2s, mode: Fast(Policy { wanted: Wanted { min: 1, max: 3, aims: [Aim { signal: InFlight, milli: 100000 }], stable_window: 60s, panic_window: 6s, panic_threshold_milli: 2000, idle: 90s }, host_limit: None }) }) }) }
        Some(Auth { issuer: None, audience: None, keys: Secret(Secret(…)), types: AccessToken, revocation: Some(Revocation { store: Sqlite("state"), lag: 5s, stale: Ask }) })
        Admin { listen: 127.0.0.1:9900 }
        Log { format: Text, level: Info }
    "#]].assert_eq(&meaning(parse(SWITCHES)));
}

/// Adds to each table the defaults of the keys that it has not; how many these are.
fn write_out_defaults(table: &mut toml::Table, schema: &Value) -> usize {
    // These would be refused as being without effect.
    let without_effect: &[&str] = if table.contains_key("endpoints") || table.contains_key("discover") {
        &["replicas", "env", "env_file", "shutdown_grace", "depends_on"]
    } else if table.contains_key("command") {
        &["panic_threshold"]
    } else if table.get("mode").is_some_and(|mode| mode.as_str() == Some("fast")) {
        &["tolerance"]
    } else if table.contains_key("max") && table.contains_key("metrics") {
        &["stable_window", "panic_window", "panic_threshold"]
    } else if table.contains_key("respond") {
        &["max_body", "min_body_rate", "shed"]
    } else {
        &[]
    };
    let Some(keys) = schema["properties"].as_object() else {
        let inside = table.iter_mut().filter_map(|(_, value)| value.as_table_mut());
        return inside.map(|table| write_out_defaults(table, &schema["additionalProperties"])).sum();
    };
    let mut added = 0;
    for (name, schema) in keys.iter().filter(|(name, _)| !without_effect.contains(&name.as_str())) {
        match (table.get_mut(name), schema.get("default")) {
            (Some(toml::Value::Table(table)), _) => added += write_out_defaults(table, schema),
            (Some(toml::Value::Array(items)), _) => {
                let items = items.iter_mut().filter_map(toml::Value::as_table_mut);
                added += items.map(|item| write_out_defaults(item, &schema["items"])).sum::<usize>();
            }
            (None, Some(default)) => {
                table.insert(name.clone(), toml::Value::try_from(default).unwrap());
                added += 1;
            }
            _ => {}
        }
    }
    added
}

#[test]
fn the_builtin_topology_is_a_gateway_before_three_replicas() {
    let config = Config::builtin("/usr/bin/phalanx").unwrap();
    expect![[r#"
        Gateway { workers: None, http: [0.0.0.0:8080], drain_deadline: 30s, trusted_proxies: [], max_connections: None }
        Route { host: None, path: Prefix("/"), methods: None, allow_encoded: [], auth: None, action: Forward { service: ServiceName("api"), policy: ForwardPolicy { timeouts: Timeouts { connect: 5s, send: 60s, read: 60s, tunnel: 3600s }, retry: Retry { attempts: 3, budget: 0.2 }, max_body: 1073741824, min_body_rate: 16, shedding: Sheds } } }
        api Service { balance: RoundRobin, protocol: Auto, keepalive: 64, resilience: Resilience { limits: EndpointLimits { connections: None, pending: None }, queue: None, hold: None, adaptive_concurrency: None, circuit_breaker: None, outlier_ejection: None, slow_start: 0ns, panic_threshold: 0.5 }, source: Replicas(Replicas { command: ["/usr/bin/phalanx", "api"], command_span: Span { start: 0, end: 0 }, replicas: 3, limit: Machine, env: {"DATA_DIR": "./.phalanx"}, env_files: [], startup: Probe { check: Http { path: "/ready", port: None }, initial_delay: 0ns, period: 100ms, timeout: 1s, success: 1, failure: 600 }, readiness: Probe { check: Http { path: "/ready", port: None }, initial_delay: 0ns, period: 1s, timeout: 1s, success: 1, failure: 3 }, liveness: None, back_off: BackOff { first: 10s, longest: 300s, forgiven_after: 600s }, shutdown_grace: 30s, resources: Resources { requests: Amounts { cpu_milli: None, memory_bytes: None }, limits: Amounts { cpu_milli: None, memory_bytes: None } }, rollout: Policy { pace: Pace { max_surge: Percent(25), max_unavailable: Int(0) }, patience: Patience { min_ready: 0ns, deadline: Some(600s) }, ceiling: LiveAndDraining, on_stall: Hold }, depends_on: [], autoscale: None }) }
        None
        Admin { listen: 127.0.0.1:9900 }
        Log { format: Text, level: Info }
    "#]]
    .assert_eq(&meaning(config));
}

#[test]
fn the_builtin_file_runs_the_phalanx_of_the_path_where_it_is_copied_to() {
    let config = parse(BUILTIN);
    let Source::Replicas(replicas) = &config.services.values().next().unwrap().source else {
        panic!("a command makes replicas")
    };
    assert_eq!(replicas.command, ["phalanx", "api"]);
}

#[test]
fn an_impossible_program_is_a_fault_of_the_builtin_topology() {
    assert_eq!(Config::builtin("phalanx\0").unwrap_err().len(), 1);
}

#[test]
fn every_key_has_its_meaning() {
    let mut never_written = Vec::new();
    collect_never_written(&mut never_written, "", &schema(), &[&toml::from_str(EVERY_KEY).unwrap()]);
    // A file has either `jwks` or `secret`.
    assert_eq!(never_written, [".auth.secret"]);
    expect![[r#"
        Gateway { workers: Some(4), http: [127.0.0.1:8080, [::1]:0], drain_deadline: 90s, trusted_proxies: [10.0.0.0/8, ::1/128], max_connections: Some(10000) }
        Route { host: Some(Exact("api.example.com")), path: Prefix("/api/"), methods: Some(["GET", "PURGE"]), allow_encoded: ["%2F"], auth: Some(RouteAuth { presence: Required, roles: ["admin", "editor"] }), action: Forward { service: ServiceName("api_1"), policy: ForwardPolicy { timeouts: Timeouts { connect: 1s, send: 2s, read: 3s, tunnel: 4s }, retry: Retry { attempts: 5, budget: 0.6 }, max_body: 7340032, min_body_rate: 8192, shedding: Exempt } } }
        Route { host: Some(Suffix(".example.com")), path: Exact("/gone"), methods: None, allow_encoded: [], auth: None, action: Respond { status: 410, body: "gone\n" } }
        api_1 Service { balance: ConsistentHash(Header("X-Tenant")), protocol: Auto, keepalive: 0, resilience: Resilience { limits: EndpointLimits { connections: Some(1), pending: Some(2) }, queue: Some(Queue { max: 3, timeout: 4s }), hold: Some(Hold { max: 4, timeout: 5s }), adaptive_concurrency: Some(AdaptiveConcurrency { min: 5, max: 6, tolerance: 7.0 }), circuit_breaker: Some(CircuitBreaker { error_rate: 0.8, volume: 9, window: 10s, open: 11s }), outlier_ejection: Some(OutlierEjection { error_rate: 0.12, latency_factor: 13.0, volume: 14, window: 15s, ejection: 16s, max_ejected: 0.17 }), slow_start: 18s, panic_threshold: 0.19 }, source: Endpoints { endpoints: [Endpoint { address: 10.0.0.1:80, weight: 3, role: Primary }, Endpoint { address: [::1]:81, weight: 1, role: Backup }], passive_health: PassiveHealth { max_fails: 0, fail_timeout: 3600s }, active_health: Some(ActiveHealth { path: Some("/h"), interval: 10s, timeout: 10s, healthy: 2, unhealthy: 5 }) } }
        elastic Service { balance: RoundRobin, protocol: Http1, keepalive: 64, resilience: Resilience { limits: EndpointLimits { connections: None, pending: None }, queue: None, hold: Some(Hold { max: 1000, timeout: 30s }), adaptive_concurrency: None, circuit_breaker: None, outlier_ejection: None, slow_start: 0ns, panic_threshold: 0.5 }, source: Replicas(Replicas { command: ["server"], command_span: Span { start: 0, end: 0 }, replicas: 1, limit: Machine, env: {}, env_files: [], startup: Probe { check: Connect { port: None }, initial_delay: 0ns, period: 1s, timeout: 1s, success: 1, failure: 60 }, readiness: Probe { check: Connect { port: None }, initial_delay: 0ns, period: 1s, timeout: 1s, success: 1, failure: 3 }, liveness: None, back_off: BackOff { first: 10s, longest: 300s, forgiven_after: 600s }, shutdown_grace: 30s, resources: Resources { requests: Amounts { cpu_milli: None, memory_bytes: None }, limits: Amounts { cpu_milli: None, memory_bytes: None } }, rollout: Policy { pace: Pace { max_surge: Percent(25), max_unavailable: Int(0) }, patience: Patience { min_ready: 0ns, deadline: Some(600s) }, ceiling: LiveAndDraining, on_stall: Hold }, depends_on: [], autoscale: Some(Autoscale { interval: 2s, mode: Fast(Policy { wanted: Wanted { min: 0, max: 9, aims: [Aim { signal: InFlight, milli: 500 }], stable_window: 50s, panic_window: 5s, panic_threshold_milli: 1500, idle: 120s }, host_limit: None }) }) }) }
        found Service { balance: RoundRobin, protocol: H2c, keepalive: 64, resilience: Resilience { limits: EndpointLimits { connections: None, pending: None }, queue: None, hold: None, adaptive_concurrency: None, circuit_breaker: None, outlier_ejection: None, slow_start: 0ns, panic_threshold: 0.5 }, source: Discovered { discovery: Discovery { name: Host { host: "api.internal", port: 3000 }, resolver: Some(127.0.0.1:53) }, passive_health: PassiveHealth { max_fails: 1, fail_timeout: 10s }, active_health: Some(ActiveHealth { path: None, interval: 5s, timeout: 3s, healthy: 1, unhealthy: 3 }) } }
        found_by_service Service { balance: RoundRobin, protocol: Http1, keepalive: 64, resilience: Resilience { limits: EndpointLimits { connections: None, pending: None }, queue: None, hold: None, adaptive_concurrency: None, circuit_breaker: None, outlier_ejection: None, slow_start: 0ns, panic_threshold: 0.5 }, source: Discovered { discovery: Discovery { name: Service("_http._tcp.api.internal."), resolver: None }, passive_health: PassiveHealth { max_fails: 2, fail_timeout: 10s }, active_health: None } }
        run Service { balance: RoundRobin, protocol: Http1, keepalive: 64, resilience: Resilience { limits: EndpointLimits { connections: None, pending: None }, queue: None, hold: None, adaptive_concurrency: None, circuit_breaker: None, outlier_ejection: None, slow_start: 0ns, panic_threshold: 0.5 }, source: Replicas(Replicas { command: ["node", "server.js", ""], command_span: Span { start: 0, end: 0 }, replicas: 5, limit: Connections(Connections { each: 2, room: 16, replicas_max: 6 }), env: {"DATABASE_CONNECTIONS": "2", "NODE_ENV": "production"}, env_files: [EnvFile { path: ".env", may_be_missing: false, span: Span { start: 1844, end: 1850 } }, EnvFile { path: "local.env", may_be_missing: true, span: Span { start: 1852, end: 1864 } }], startup: Probe { check: Http { path: "/s", port: Some(81) }, initial_delay: 1s, period: 2s, timeout: 3s, success: 1, failure: 5 }, readiness: Probe { check: Http { path: "/r", port: Some(82) }, initial_delay: 4s, period: 5s, timeout: 6s, success: 7, failure: 8 }, liveness: Some(Probe { check: Http { path: "/l", port: Some(83) }, initial_delay: 9s, period: 10s, timeout: 11s, success: 1, failure: 12 }), back_off: BackOff { first: 1s, longest: 120s, forgiven_after: 180s }, shutdown_grace: 0ns, resources: Resources { requests: Amounts { cpu_milli: Some(250), memory_bytes: Some(67108864) }, limits: Amounts { cpu_milli: Some(1500), memory_bytes: Some(1073741824) } }, rollout: Policy { pace: Pace { max_surge: Int(2), max_unavailable: Percent(50) }, patience: Patience { min_ready: 1s, deadline: Some(120s) }, ceiling: LiveAndDraining, on_stall: RollBack }, depends_on: [ServiceName("store")], autoscale: Some(Autoscale { interval: 20s, mode: Kubernetes(Policy { wanted: Wanted { min: 2, max: 6, metrics: [Metric { name: "cpu", target: Utilization { resource: Cpu, scope: Pod, percent: 70 } }, Metric { name: "memory", target: Utilization { resource: Other("memory"), scope: Pod, percent: 90 } }, Metric { name: "requests", target: PodsAverage { milli: 12500 } }, Metric { name: "in_flight", target: PodsAverage { milli: 3000 } }], tolerance: Tolerance { down: 0.2, up: 0.2 }, startup: Startup { cpu_initialization: 300s, initial_readiness_delay: 30s }, downscale_window: 300s, behavior: Some(Behavior { up: Rules { window: 30s, select: Min, rates: [Rate { amount: Percent(50), period: 60s }, Rate { amount: Replicas(4), period: 1800s }], tolerance: Some(0.05) }, down: Rules { window: 60s, select: Disabled, rates: [Rate { amount: Percent(5), period: 15s }, Rate { amount: Replicas(1), period: 15s }], tolerance: Some(0.3) } }) }, host_limit: None }) }) }) }
        run_and_call Service { balance: RoundRobin, protocol: Http1, keepalive: 64, resilience: Resilience { limits: EndpointLimits { connections: None, pending: None }, queue: None, hold: None, adaptive_concurrency: None, circuit_breaker: None, outlier_ejection: None, slow_start: 0ns, panic_threshold: 0.5 }, source: Replicas(Replicas { command: ["node"], command_span: Span { start: 0, end: 0 }, replicas: 1, limit: Machine, env: {}, env_files: [], startup: Probe { check: Grpc { service: "s", port: None }, initial_delay: 0ns, period: 1s, timeout: 1s, success: 1, failure: 60 }, readiness: Probe { check: Grpc { service: "", port: Some(85) }, initial_delay: 0ns, period: 1s, timeout: 1s, success: 1, failure: 3 }, liveness: Some(Probe { check: Grpc { service: "l", port: None }, initial_delay: 0ns, period: 10s, timeout: 1s, success: 1, failure: 3 }), back_off: BackOff { first: 10s, longest: 300s, forgiven_after: 600s }, shutdown_grace: 30s, resources: Resources { requests: Amounts { cpu_milli: None, memory_bytes: None }, limits: Amounts { cpu_milli: None, memory_bytes: None } }, rollout: Policy { pace: Pace { max_surge: Percent(25), max_unavailable: Int(0) }, patience: Patience { min_ready: 0ns, deadline: Some(600s) }, ceiling: LiveAndDraining, on_stall: Hold }, depends_on: [], autoscale: None }) }
        run_and_connect Service { balance: RoundRobin, protocol: Http1, keepalive: 64, resilience: Resilience { limits: EndpointLimits { connections: None, pending: None }, queue: None, hold: None, adaptive_concurrency: None, circuit_breaker: None, outlier_ejection: None, slow_start: 0ns, panic_threshold: 0.5 }, source: Replicas(Replicas { command: ["node"], command_span: Span { start: 0, end: 0 }, replicas: 1, limit: Machine, env: {}, env_files: [], startup: Probe { check: Connect { port: None }, initial_delay: 0ns, period: 1s, timeout: 1s, success: 1, failure: 60 }, readiness: Probe { check: Connect { port: Some(84) }, initial_delay: 0ns, period: 1s, timeout: 1s, success: 1, failure: 3 }, liveness: Some(Probe { check: Connect { port: None }, initial_delay: 0ns, period: 10s, timeout: 1s, success: 1, failure: 3 }), back_off: BackOff { first: 10s, longest: 300s, forgiven_after: 600s }, shutdown_grace: 30s, resources: Resources { requests: Amounts { cpu_milli: None, memory_bytes: None }, limits: Amounts { cpu_milli: None, memory_bytes: None } }, rollout: Policy { pace: Pace { max_surge: Percent(25), max_unavailable: Int(0) }, patience: Patience { min_ready: 0ns, deadline: Some(600s) }, ceiling: LiveAndDraining, on_stall: Hold }, depends_on: [], autoscale: None }) }
        run_and_execute Service { balance: RoundRobin, protocol: Http1, keepalive: 64, resilience: Resilience { limits: EndpointLimits { connections: None, pending: None }, queue: None, hold: None, adaptive_concurrency: None, circuit_breaker: None, outlier_ejection: None, slow_start: 0ns, panic_threshold: 0.5 }, source: Replicas(Replicas { command: ["node"], command_span: Span { start: 0, end: 0 }, replicas: 1, limit: Machine, env: {}, env_files: [], startup: Probe { check: Exec { command: ["s"] }, initial_delay: 0ns, period: 1s, timeout: 1s, success: 1, failure: 60 }, readiness: Probe { check: Exec { command: ["r", "-r"] }, initial_delay: 0ns, period: 1s, timeout: 1s, success: 1, failure: 3 }, liveness: Some(Probe { check: Exec { command: ["l"] }, initial_delay: 0ns, period: 10s, timeout: 1s, success: 1, failure: 3 }), back_off: BackOff { first: 10s, longest: 300s, forgiven_after: 600s }, shutdown_grace: 30s, resources: Resources { requests: Amounts { cpu_milli: None, memory_bytes: None }, limits: Amounts { cpu_milli: None, memory_bytes: None } }, rollout: Policy { pace: Pace { max_surge: Percent(25), max_unavailable: Int(0) }, patience: Patience { min_ready: 0ns, deadline: Some(600s) }, ceiling: LiveAndDraining, on_stall: Hold }, depends_on: [], autoscale: None }) }
        store Service { balance: RoundRobin, protocol: Http1, keepalive: 64, resilience: Resilience { limits: EndpointLimits { connections: None, pending: None }, queue: None, hold: None, adaptive_concurrency: None, circuit_breaker: None, outlier_ejection: None, slow_start: 0ns, panic_threshold: 0.5 }, source: Replicas(Replicas { command: ["store"], command_span: Span { start: 0, end: 0 }, replicas: 0, limit: Machine, env: {}, env_files: [], startup: Probe { check: Connect { port: None }, initial_delay: 0ns, period: 1s, timeout: 1s, success: 1, failure: 60 }, readiness: Probe { check: Connect { port: None }, initial_delay: 0ns, period: 1s, timeout: 1s, success: 1, failure: 3 }, liveness: None, back_off: BackOff { first: 10s, longest: 300s, forgiven_after: 600s }, shutdown_grace: 30s, resources: Resources { requests: Amounts { cpu_milli: None, memory_bytes: None }, limits: Amounts { cpu_milli: None, memory_bytes: None } }, rollout: Policy { pace: Pace { max_surge: Percent(25), max_unavailable: Int(0) }, patience: Patience { min_ready: 0ns, deadline: Some(600s) }, ceiling: LiveAndDraining, on_stall: Hold }, depends_on: [], autoscale: None }) }
        Some(Auth { issuer: Some("https://id.example.com"), audience: Some("api"), keys: Jwks("https://id.example.com/.well-known/jwks.json"), types: AnyJwt, revocation: Some(Revocation { store: Redis(Secret(…)), lag: 9s, stale: Refuse }) })
        Admin { listen: [::1]:9901 }
        Log { format: Json, level: Trace }
    "#]].assert_eq(&meaning(parse(EVERY_KEY)));
}

/// The keys of the schema, at `path` and below, that stand in none of `tables`.
fn collect_never_written(
    never_written: &mut Vec<String>,
    path: &str,
    schema: &Value,
    tables: &[&toml::Value],
) {
    let Some(keys) = schema["properties"].as_object() else {
        let inside: Vec<_> = match schema.get("additionalProperties") {
            Some(_) => {
                tables.iter().filter_map(|table| table.as_table()).flat_map(toml::Table::values).collect()
            }
            None => tables.iter().filter_map(|list| list.as_array()).flatten().collect(),
        };
        for schema in [&schema["additionalProperties"], &schema["items"]] {
            if schema.is_object() {
                collect_never_written(never_written, path, schema, &inside);
            }
        }
        return;
    };
    for (name, schema) in keys {
        let path = format!("{path}.{name}");
        let written: Vec<_> = tables.iter().filter_map(|table| table.get(name)).collect();
        if written.is_empty() {
            never_written.push(path);
        } else {
            collect_never_written(never_written, &path, schema, &written);
        }
    }
}

#[test]
fn a_startup_probe_asks_what_the_readiness_probe_asks() {
    let config = parse(
        r#"
        [[route]]
        path = "/"
        service = "run"
        [service.run]
        command = ["run"]
        [service.run.probes]
        startup = { failure = 9 }
        readiness = { path = "/r", initial_delay = "4s", period = "5s", timeout = "6s", success = 7, failure = 8 }
        "#,
    );
    let Source::Replicas(replicas) = &config.services.values().next().unwrap().source else {
        panic!("a command makes replicas")
    };
    expect![[r#"Probe { check: Http { path: "/r", port: None }, initial_delay: 4s, period: 1s, timeout: 6s, success: 1, failure: 9 }"#]]
    .assert_eq(&format!("{:?}", replicas.startup));
}

#[test]
fn variables_stand_in_texts() {
    let environment = |name: &str| (name == "KEY").then(|| "a \"b\"\n[admin]".to_owned());
    let source = r#"
        [[route]]
        path = "/${SUB:-x}"
        service = "run"
        [service.run]
        command = ["run", "--key=${KEY}", "$${KEY}", "$KEY"]
        env = { "${KEY}" = "${KEY}" }
    "#;
    let config = Config::parse("phalanx.toml", source, &environment).unwrap();
    let Some(Source::Replicas(replicas)) = config.services.values().next().map(|service| &service.source)
    else {
        panic!("a command makes replicas")
    };
    assert_eq!(replicas.command, ["run", "--key=a \"b\"\n[admin]", "${KEY}", "$KEY"]);
    assert_eq!(replicas.env["${KEY}"], "a \"b\"\n[admin]");
    assert_eq!(config.routes[0].path, phalanx_config::PathPattern::Prefix("/x".to_owned()));
}

#[test]
fn files_from_other_editors_are_read() {
    assert_eq!(meaning(parse(&format!("\u{feff}{}", SPARSE.replace('\n', "\r\n")))), meaning(parse(SPARSE)));
}
