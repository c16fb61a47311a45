//! Every key of the file once on and once off, under requests (O07): a switch that nobody has thrown yet is a way through the
//! program that nobody has gone yet.
//!
//! Each key is taken away from a table that has all, and added to one that has none; a request to every such service and by every
//! such route has to be answered. Which keys there are is what the schema says.

mod resolver;
mod tables;
mod toggled;

use std::{collections::BTreeSet, sync::Arc};

use phalanx_auth::{Algorithm, KeyRing, generate};
use phalanx_config::{Config, schema};
use serde_json::Value;
use toml::{Table, Value as Toml};

use self::{
    resolver::Resolver,
    tables::Place,
    toggled::{Pair, Toggled, known},
};
use crate::{
    guarded::{SECRET, bearer, bearer_of},
    support::{
        edge::{self, Endpoint},
        home::Home,
        http::{Connection, getting_with},
        phalanx::{PROBES, Phalanx, example},
        until,
    },
};

/// Services in one file: as many replicas as a machine that is busy starts soon.
const SERVICES_AT_A_TIME: usize = 30;

#[test]
fn every_service_is_served_with_each_key_and_without() {
    let home = Arc::new(Home::new());
    let resolver = Resolver::start();
    let endpoints = ["one", "two"].map(|name| counter(&home, name));
    let place = Place {
        endpoints: [endpoints[0].address, endpoints[1].address],
        resolver: resolver.address,
        command: command(),
    };
    let mut toggled = Toggling::of("/properties/service/additionalProperties");
    let services = tables::services(&place);
    let mut services = toggled.sound(&services, |service| file_of_services(&[service]));
    services.retain(|service| service.name != ASKS_THE_MACHINE);
    toggled.assert_complete(&SERVICE_KEYS_BOUND);
    for services in services.chunks(SERVICES_AT_A_TIME) {
        let tables: Vec<&Table> = services.iter().map(|service| &service.table).collect();
        let phalanx = Phalanx::up(&file_of_services(&tables).to_string());
        for (index, service) in services.iter().enumerate() {
            if service.table.contains_key("discover") {
                let get = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", host(index));
                until("DNS has answered", || phalanx.exchange(get.as_bytes()).status == 200);
            }
            assert_answered(&phalanx, &host(index), &service.name, &token());
        }
        phalanx.stop();
    }
}

#[test]
fn every_route_leads_somewhere_with_each_key_and_without() {
    let mut toggled = Toggling::of("/properties/route/items");
    let routes = toggled.sound(&tables::routes(), |route| file_of_routes(&[route]));
    toggled.assert_complete(&ROUTE_KEYS_BOUND);
    let (of_a_host, of_every_host): (Vec<_>, Vec<_>) =
        routes.into_iter().partition(|route| route.table.contains_key("host"));
    // Two that differ by nothing but what was toggled cannot stand in one file without a host.
    for routes in [of_a_host].into_iter().chain(of_every_host.into_iter().map(|route| vec![route])) {
        let tables: Vec<&Table> = routes.iter().map(|route| &route.table).collect();
        let phalanx = Phalanx::up(&file_of_routes(&tables).to_string());
        for (index, route) in routes.iter().enumerate() {
            assert_answered(&phalanx, &host(index), &route.name, &token());
        }
        phalanx.stop();
    }
}

#[test]
fn every_gateway_serves_with_each_key_and_without() {
    let home = Arc::new(Home::new());
    let endpoint = counter(&home, "one");
    let ring = KeyRing::of(vec![generate(Algorithm::ES256)]).unwrap();
    let publisher = publisher(&home, &ring);
    let (schema, mut tried, mut bound) = (schema(), BTreeSet::new(), BTreeSet::new());
    for (section, pair) in tables::globals(publisher.gateway) {
        let mut toggled = Toggling::of(&format!("/properties/{section}"));
        let by_keys = pair.name == "auth_by_keys";
        let token = if by_keys { bearer_of(&ring, "login-1") } else { token() };
        let file = |table: &Table| file_of_section(section, table, &endpoint);
        for variant in toggled.sound(&[pair], file) {
            let phalanx = edge::gateway_of(&home, &file(&variant.table).to_string());
            // Keys and revocations are fetched by one that serves already.
            until("tokens are told apart", || phalanx.exchange(&getting_with("/", &token)).status == 200);
            assert_answered(&phalanx, &host(0), &variant.name, &token);
            edge::stop(phalanx);
        }
        tried.extend(toggled.tried.iter().map(|key| format!("{section}.{key}")));
        bound.extend(toggled.bound);
    }
    edge::stop(publisher);
    let keys = ["auth", "gateway", "log"].into_iter().flat_map(|section| {
        let keys = known(schema.pointer(&format!("/properties/{section}")).unwrap());
        keys.into_iter().map(move |key| format!("{section}.{key}"))
    });
    assert_eq!(tried, keys.collect());
    assert_eq!(bound, GLOBAL_KEYS_BOUND.map(str::to_owned).into());
}

/// The tables that were made of a part of the schema.
struct Toggling {
    schema: Value,
    /// The keys that were on in one of them.
    tried: BTreeSet<String>,
    /// Those that are a fault, because the key stands and falls with another.
    bound: BTreeSet<String>,
}

impl Toggling {
    fn of(place: &str) -> Self {
        let schema = schema().pointer(place).expect("the schema has this table").clone();
        Self { schema, tried: BTreeSet::new(), bound: BTreeSet::new() }
    }

    /// Those of all tables whose file is sound.
    fn sound(&mut self, pairs: &[Pair], file: impl Fn(&Table) -> Table) -> Vec<Toggled> {
        let is_sound =
            |table: &Table| Config::parse("phalanx.toml", &file(table).to_string(), &|_| None).is_ok();
        let mut sound = Vec::new();
        for pair in pairs {
            for table in [&pair.full, &pair.sparse] {
                let file = file(table).to_string();
                let checked = Config::parse("phalanx.toml", &file, &|_| None);
                assert!(checked.is_ok(), "{}: {:#?}\n{file}", pair.name, checked.err());
            }
            self.tried.extend(toggled::written(&pair.full, &self.schema));
            for toggled in pair.toggled(&self.schema) {
                if is_sound(&toggled.table) {
                    sound.push(toggled);
                } else {
                    self.bound.insert(toggled.name);
                }
            }
        }
        sound
    }

    /// Fails where a key was never on, or where others are bound than these.
    fn assert_complete(&self, bound: &[&str]) {
        let never_on: Vec<_> = known(&self.schema).difference(&self.tried).cloned().collect();
        assert!(never_on.is_empty(), "no table has {never_on:?}");
        assert_eq!(self.bound, bound.iter().copied().map(str::to_owned).collect());
    }
}

/// Whatever DNS the machine has is asked then, and it does not know our names.
const ASKS_THE_MACHINE: &str = "found without discover.resolver";

/// What cannot be toggled alone: it is required, is worth nothing without another key, or another is worth nothing without it.
const SERVICE_KEYS_BOUND: [&str; 41] = [
    "exec without command",
    "fixed with hash_key",
    "fixed with panic_threshold",
    "fixed without active_health",
    "fixed without balance",
    "fixed without endpoints",
    "fixed without endpoints.address",
    "found without discover",
    "found without discover.dns",
    "grpc without command",
    "run without command",
    "scaled with autoscale.metrics.cpu_percent",
    "scaled with autoscale.metrics.memory_percent",
    "scaled with autoscale.scale_down.policies.percent",
    "scaled with autoscale.scale_down.policies.period",
    "scaled with autoscale.scale_down.policies.replicas",
    "scaled with autoscale.scale_up.policies.percent",
    "scaled with autoscale.scale_up.policies.period",
    "scaled with autoscale.scale_up.policies.replicas",
    "scaled without autoscale.max",
    "scaled without autoscale.metrics.cpu_percent",
    "scaled without autoscale.metrics.in_flight",
    "scaled without autoscale.metrics.memory_percent",
    "scaled without autoscale.metrics.requests_per_second",
    "scaled without autoscale.scale_down.policies.percent",
    "scaled without autoscale.scale_down.policies.period",
    "scaled without autoscale.scale_down.policies.replicas",
    "scaled without autoscale.scale_up.policies.percent",
    "scaled without autoscale.scale_up.policies.period",
    "scaled without autoscale.scale_up.policies.replicas",
    "scaled without command",
    "scaled without resources",
    "scaled without resources.cpu",
    "scaled without resources.memory",
    "scaled_fast with autoscale.scale_to_zero_after",
    "scaled_fast without autoscale.max",
    "scaled_fast without autoscale.metrics.in_flight",
    "scaled_fast without autoscale.min",
    "scaled_fast without autoscale.mode",
    "scaled_fast without command",
    "tcp without command",
];
const ROUTE_KEYS_BOUND: [&str; 6] = [
    "exact without path_exact",
    "exact without service",
    "forward without path",
    "forward without service",
    "respond without path",
    "respond without respond",
];
const GLOBAL_KEYS_BOUND: [&str; 8] = [
    "auth with revocation_lag",
    "auth with stale",
    "auth without revocation",
    "auth without secret",
    "auth_by_keys with revocation_lag",
    "auth_by_keys with stale",
    "auth_by_keys without jwks",
    "auth_by_keys without revocation",
];

fn token() -> String {
    bearer("login-1")
}

fn host(index: usize) -> String {
    format!("s{index}.test")
}

/// A counting endpoint that no Phalanx runs.
fn counter(home: &Arc<Home>, name: &str) -> Endpoint {
    Endpoint::of(home, example("counter"), name, &[("COUNTED", "./counted")])
}

/// The `command` of a counting replica. What it needs does not come by `env`, which is toggled.
fn command() -> String {
    format!("['sh', '-c', 'COUNTED=./counted exec \"$$0\"', '{}']", example("counter").display())
}

/// What every file has: listeners, and a service that answers.
fn frame() -> Table {
    let auth = format!("issuer = 'test'\naudience = 'api'\nsecret = '{SECRET}'");
    let file = format!(
        "[gateway]\nhttp = ['127.0.0.1:0']\n[admin]\nlisten = '127.0.0.1:0'\n[auth]\n{auth}\n[service.store]\ncommand = {}\n{PROBES}",
        command()
    );
    file.parse().unwrap()
}

/// A file in which each of these services has a host.
fn file_of_services(tables: &[&Table]) -> Table {
    let mut file = frame();
    let services = file["service"].as_table_mut().expect("the frame has a service");
    let mut routes = Vec::new();
    for (index, table) in tables.iter().enumerate() {
        let name = format!("s{index}");
        let route = format!("host = '{}'\npath = '/'\nservice = '{name}'", host(index));
        routes.push(Toml::Table(route.parse().unwrap()));
        services.insert(name, Toml::Table((*table).clone()));
    }
    file.insert("route".to_owned(), Toml::Array(routes));
    file
}

/// A file with these routes, each of a host of its own where it has one.
fn file_of_routes(tables: &[&Table]) -> Table {
    let mut file = frame();
    let mut routes = Vec::new();
    for (index, table) in tables.iter().enumerate() {
        let mut route = (*table).clone();
        if let Some(host_of) = route.get_mut("host") {
            *host_of = Toml::String(host(index));
        }
        routes.push(Toml::Table(route));
    }
    file.insert("route".to_owned(), Toml::Array(routes));
    file
}

/// A file with this table, whose route asks for a token.
fn file_of_section(section: &str, table: &Table, endpoint: &Endpoint) -> Table {
    let mut file = frame();
    let service = format!("store.endpoints = [{{ address = '{}' }}]", endpoint.address);
    file.insert("service".to_owned(), Toml::Table(service.parse().unwrap()));
    let route = "path = '/'\nservice = 'store'\nauth = { roles = ['user'] }";
    file.insert("route".to_owned(), Toml::Array(vec![Toml::Table(route.parse().unwrap())]));
    file.insert(section.to_owned(), Toml::Table(table.clone()));
    file
}

/// A gateway that publishes the public keys of a ring.
fn publisher(home: &Arc<Home>, ring: &KeyRing) -> Phalanx {
    let mut file = frame();
    file.remove("service");
    file.remove("auth");
    let mut route: Table = "path_exact = '/keys'\nrespond = { status = 200 }".parse().unwrap();
    route["respond"]
        .as_table_mut()
        .expect("it responds")
        .insert("body".to_owned(), Toml::String(ring.key_set().to_public_jwks()));
    file.insert("route".to_owned(), Toml::Array(vec![Toml::Table(route)]));
    edge::gateway_of(home, &file.to_string())
}

/// Requests with a token are answered 200, those without one by no fault of the server.
fn assert_answered(phalanx: &Phalanx, host: &str, name: &str, token: &str) {
    let mut client = Connection::open(phalanx.gateway).unwrap();
    let mut ask = |method: &str, fields: &str, body: &str| {
        let length = body.len();
        let head =
            format!("{method} / HTTP/1.1\r\nHost: {host}\r\nX-Tenant: a\r\nContent-Length: {length}\r\n");
        let answer = client.exchange(format!("{head}{fields}\r\n{body}").as_bytes());
        answer.unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    for (method, body) in [("GET", ""), ("POST", "counted\n"), ("GET", "")] {
        let answer = ask(method, token, body);
        assert_eq!(answer.status, 200, "{method} {name}: {answer:?}");
    }
    let answer = ask("GET", "", "");
    assert!(answer.status < 500, "{name}: {answer:?}");
}
