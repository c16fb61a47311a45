//! A gateway under test: configured as in the file, run as the binary runs it, ended with the test.

use std::net::SocketAddr;

use phalanx_auth::{RemoteKeysSettings, Revocations};
use phalanx_balance::{Weight, health::Standing};
use phalanx_config::{Config, Role, ServiceName};
use phalanx_gateway::{
    EndpointState, Gateway, GatewayState, Listeners, MemoryFiles, ServiceLoad, Started, Verification,
    Withdrawal, Workers,
};
use phalanx_telemetry::{
    connections,
    discovery::DiscoveryFamily,
    overload,
    registry::Registry,
    requests::RequestFamily,
    upstream::{EndpointTotals, UpstreamFamily},
};
use tokio::{net::TcpStream, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{Message, Peer, within};

/// How a gateway under test differs from the usual one: one worker, and `/` leads to the service `api`.
pub(crate) struct Setup {
    gateway: String,
    route: String,
    service: String,
    more: String,
    workers: usize,
    revocations: Option<Revocations>,
    keys: RemoteKeysSettings,
    memory: MemoryFiles,
}

impl Setup {
    /// In front of fixed endpoints.
    pub(crate) fn fronting(endpoints: &[SocketAddr]) -> Self {
        Self::fronting_weighted(&endpoints.iter().map(|address| (*address, 1)).collect::<Vec<_>>())
    }

    /// In front of fixed endpoints with their weights.
    pub(crate) fn fronting_weighted(endpoints: &[(SocketAddr, u16)]) -> Self {
        let endpoint =
            |(address, weight): &(_, _)| format!("{{ address = \"{address}\", weight = {weight} }}");
        let endpoints: Vec<_> = endpoints.iter().map(endpoint).collect();
        Self::with_service(format!("endpoints = [{}]", endpoints.join(", ")))
    }

    /// In front of replicas, of which the test admits each.
    pub(crate) fn of_replicas() -> Self {
        Self::with_service("command = [\"server\"]".to_owned())
    }

    /// In front of what this server tells of `name`.
    pub(crate) fn discovering(name: &str, resolver: SocketAddr) -> Self {
        Self::with_service(format!("discover = {{ dns = \"{name}\", resolver = \"{resolver}\" }}"))
    }

    /// In front of a service with this source.
    pub(crate) fn with_service(service: String) -> Self {
        Self {
            gateway: String::new(),
            route: String::new(),
            service,
            more: String::new(),
            workers: 1,
            revocations: None,
            keys: RemoteKeysSettings::default(),
            memory: MemoryFiles::default(),
        }
    }

    /// Adds a key of `[gateway]`.
    pub(crate) fn gateway(self, key: &str) -> Self {
        Self { gateway: format!("{}\n{key}", self.gateway), ..self }
    }

    /// Adds a key of the route.
    pub(crate) fn route(self, key: &str) -> Self {
        Self { route: format!("{}\n{key}", self.route), ..self }
    }

    /// Adds a key of the service.
    pub(crate) fn service(self, key: &str) -> Self {
        Self { service: format!("{}\n{key}", self.service), ..self }
    }

    /// Adds whole tables.
    pub(crate) fn tables(self, tables: &str) -> Self {
        Self { more: format!("{}\n{tables}", self.more), ..self }
    }

    /// With what is known of revocations.
    pub(crate) fn revocations(self, revocations: Revocations) -> Self {
        Self { revocations: Some(revocations), ..self }
    }

    /// With keys that are fetched so.
    pub(crate) fn keys(self, keys: RemoteKeysSettings) -> Self {
        Self { keys, ..self }
    }

    /// With the use of memory told in these files.
    pub(crate) fn memory(self, memory: MemoryFiles) -> Self {
        Self { memory, ..self }
    }

    pub(crate) fn workers(self, workers: usize) -> Self {
        Self { workers, ..self }
    }

    /// Starts it.
    pub(crate) fn start(self) -> TestGateway {
        let Self { gateway, route, service, more, workers, revocations, keys, memory: files } = self;
        let file = format!(
            "[gateway]{gateway}\n[[route]]\npath = \"/\"\nservice = \"api\"{route}\n[service.api]\n{service}\n{more}"
        );
        let config = Config::parse("phalanx.toml", &file, &|_| None);
        let config = config.unwrap_or_else(|faults| panic!("{faults:#?}\n{file}"));
        let listeners = Listeners::bind(&["127.0.0.1:0".parse().unwrap()], workers).expect("a free port");
        let address = listeners.addresses()[0];
        let (requests, upstreams) = (RequestFamily::new(), UpstreamFamily::new());
        let opened = config.auth.as_ref().map(|auth| {
            Verification::new(auth, keys, revocations).expect("a checked configuration can be used")
        });
        let (verification, upkeep) = opened.unzip();
        let started =
            Gateway::start(&config, verification.as_ref(), listeners, requests.clone(), upstreams.clone());
        let started = started.expect("threads");
        let Started { gateway, workers, health, discovery, memory } = started;
        let stop_judging = CancellationToken::new();
        let mut judging = JoinSet::new();
        let discoveries = discovery.family();
        judging.spawn(health.run(stop_judging.clone()));
        judging.spawn(discovery.run(stop_judging.clone()));
        judging.spawn(memory.reading(files).run(stop_judging.clone()));
        if let Some(upkeep) = upkeep {
            judging.spawn(upkeep.run(stop_judging.clone()));
        }
        let service =
            config.services.keys().find(|name| name.as_str() == "api").expect("it is there").clone();
        TestGateway {
            gateway,
            address,
            requests,
            upstreams,
            discoveries,
            verification,
            service,
            workers: Some(workers),
            stop_judging,
            judging,
        }
    }
}

/// A gateway that runs until it is dropped.
pub(crate) struct TestGateway {
    pub(crate) gateway: Gateway,
    pub(crate) address: SocketAddr,
    /// The service behind `/`.
    pub(crate) service: ServiceName,
    requests: RequestFamily,
    upstreams: UpstreamFamily,
    discoveries: DiscoveryFamily,
    verification: Option<Verification>,
    workers: Option<Workers>,
    stop_judging: CancellationToken,
    judging: JoinSet<()>,
}

impl TestGateway {
    pub(crate) async fn connect(&self) -> Peer {
        Peer::connect(self.address).await
    }

    /// Admits an endpoint of the service behind `/`, as the fleet does.
    pub(crate) async fn admit(&self, endpoint: SocketAddr) {
        let admitted = self.gateway.admit(&self.service, endpoint, Weight::ONE, Role::Primary);
        within("all workers to know", admitted).await;
    }

    /// Withdraws an endpoint that is to stop.
    pub(crate) async fn withdraw(&self, endpoint: SocketAddr) {
        self.withdraw_as(endpoint, Withdrawal::Stopping).await;
    }

    /// Withdraws an endpoint for this reason.
    pub(crate) async fn withdraw_as(&self, endpoint: SocketAddr, reason: Withdrawal) {
        within("all workers to know", self.gateway.withdraw(&self.service, endpoint, reason)).await;
    }

    /// Returns when a withdrawn endpoint has answered all it had.
    pub(crate) async fn drained(&self, endpoint: SocketAddr) {
        within("its last response", self.gateway.drained(&self.service, endpoint)).await;
    }

    /// What the service behind `/` has to do.
    pub(crate) fn load(&self) -> ServiceLoad {
        self.gateway.load(&self.service)
    }

    /// One request on a connection of its own.
    pub(crate) async fn exchange(&self, request: impl AsRef<[u8]>) -> Message {
        self.connect().await.exchange(request).await
    }

    /// Returns when the worker has taken in all that had arrived. Of one worker alone is that known: it answers this request,
    /// which goes nowhere, after what came before.
    pub(crate) async fn settled(&self) {
        let answer = self.exchange("OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        assert_eq!(answer.status(), 204);
    }

    pub(crate) fn state(&self) -> GatewayState {
        self.gateway.state()
    }

    /// What was counted of an endpoint that the gateway has.
    pub(crate) fn totals(&self, endpoint: SocketAddr) -> EndpointTotals {
        self.endpoint(endpoint).totals
    }

    /// How an endpoint stands that the gateway has.
    pub(crate) fn standing(&self, endpoint: SocketAddr) -> Standing {
        self.endpoint(endpoint).standing
    }

    fn endpoint(&self, address: SocketAddr) -> EndpointState {
        let endpoints = self.state().endpoints;
        endpoints.into_iter().find(|known| known.address == address).expect("it is an endpoint")
    }

    /// How often DNS did not tell all.
    pub(crate) fn discovery_failures(&self) -> u64 {
        self.discoveries.failures(self.service.as_str()).count()
    }

    /// The series as they are scraped, one a line.
    pub(crate) fn exposition(&self) -> String {
        let mut registry = Registry::new();
        registry.add(self.requests.collector());
        registry.add(self.upstreams.collector());
        let counting = self.gateway.clone();
        registry.add(connections::collector(move || counting.connections()));
        let watched = self.gateway.clone();
        registry.add(overload::memory_collector(move || watched.is_short_of_memory()));
        self.discoveries.register(&mut registry);
        if let Some(verification) = &self.verification {
            verification.register(&mut registry);
        }
        registry.encode()
    }

    /// The value of a series, by its name and labels as they are exposed.
    pub(crate) fn sample(&self, series: &str) -> u64 {
        let exposition = self.exposition();
        let named = |line: &str| line.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned);
        let value = exposition.lines().find_map(named).unwrap_or_else(|| panic!("{series} in {exposition}"));
        value.parse().expect("a number")
    }

    /// How many requests were turned away for this reason, or not tried again.
    pub(crate) fn shed(&self, reason: &str) -> u64 {
        self.sample(&format!("phalanx_upstream_shed_total{{service=\"api\",reason=\"{reason}\"}}"))
    }

    /// Begins the end, and returns when connections are refused.
    pub(crate) async fn stop_listening(&self) {
        self.gateway.stop();
        within("a refusal", async { while TcpStream::connect(self.address).await.is_ok() {} }).await;
    }

    /// Returns when all workers have ended, which somebody has asked for.
    pub(crate) async fn ended(&mut self) {
        let workers = self.workers.take().expect("it ends once");
        within("the end of the workers", workers.ended()).await.expect("they end in order");
        self.stop_judging.cancel();
        while let Some(ended) = within("the end of judging", self.judging.join_next()).await {
            ended.unwrap();
        }
    }

    /// Stops it, and returns when it has drained.
    pub(crate) async fn stop(mut self) {
        self.gateway.stop();
        self.ended().await;
    }
}

impl Drop for TestGateway {
    fn drop(&mut self) {
        self.gateway.stop();
    }
}
