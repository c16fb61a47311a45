//! Asks DNS.
//!
//! Everything is asked anew: the resolver lives for one asking, so it has no cache of its own, and what `/etc/resolv.conf` and
//! `/etc/hosts` say at that moment holds.
//!
//! Elsewhere: what follows from the answers (`super::plan`).

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use hickory_resolver::{
    Resolver, TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig},
    lookup::Lookup,
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::ResponseCode,
        rr::{Name, RData, RecordType},
    },
};
use phalanx_config::{Discovery, DnsName};
use tokio::task::JoinSet;

use super::answer::{Addresses, Failure, HostAnswer, Observed, ServiceRecord, Target};

/// For one question, with all that is tried for it.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(5);
/// For one try of a question; three of them are made, which leaves a second server its chance.
const TRY_TIMEOUT: Duration = Duration::from_millis(1500);
const RETRIES_MAX: usize = 2;
/// Hosts whose addresses are asked for at a time.
const HOSTS_AT_A_TIME_MAX: usize = 16;

/// Asks for everything that `discovery` needs, and for the addresses of at most `hosts_max` hosts. Fails within the answer.
pub(super) async fn lookup(discovery: &Discovery, hosts_max: usize) -> Observed {
    let resolver = match resolver(discovery.resolver) {
        Ok(resolver) => resolver,
        Err(error) => return Observed { targets: Err(failure(&error)), hosts: BTreeMap::new(), ttl: None },
    };
    let mut ttls = Vec::new();
    let targets = match &discovery.name {
        DnsName::Host { host, port } => Ok(vec![Target::alone(host, *port)]),
        DnsName::Service(name) => {
            ask(&resolver, name, RecordType::SRV).await.and_then(|lookup| targets(&lookup, &mut ttls))
        }
    };
    let mut named = BTreeSet::new();
    // In the order of the targets: what is left out is not a primary as long as there are others.
    let names = targets.iter().flatten().map(|target| target.host.clone());
    let mut names = names.filter(|name| named.insert(name.clone())).take(hosts_max);
    let mut hosts = BTreeMap::new();
    let mut asking = JoinSet::new();
    loop {
        while asking.len() < HOSTS_AT_A_TIME_MAX
            && let Some(name) = names.next()
        {
            asking.spawn(addresses_of(resolver.clone(), name));
        }
        // A task that panicked is a host that was not asked for.
        let Some(answered) = asking.join_next().await else { break };
        if let Ok((name, answer, host_ttls)) = answered {
            hosts.insert(name, answer);
            ttls.extend(host_ttls);
        }
    }
    Observed { targets, hosts, ttl: ttls.into_iter().min() }
}

fn resolver(server: Option<SocketAddr>) -> Result<TokioResolver, NetError> {
    let mut builder = match server {
        None => Resolver::builder_tokio()?,
        Some(server) => {
            let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
            for connection in &mut connections {
                connection.port = server.port();
            }
            let server = NameServerConfig::new(server.ip(), true, connections);
            let config = ResolverConfig::from_name_servers(vec![server]);
            let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
            builder.options_mut().use_hosts_file = ResolveHosts::Never;
            builder
        }
    };
    let options = builder.options_mut();
    options.timeout = TRY_TIMEOUT;
    options.attempts = RETRIES_MAX;
    options.cache_size = 0;
    builder.build()
}

async fn addresses_of(resolver: TokioResolver, host: String) -> (String, HostAnswer, Vec<Duration>) {
    let (v4, v6) =
        tokio::join!(ask(&resolver, &host, RecordType::A), ask(&resolver, &host, RecordType::AAAA));
    let mut ttls = Vec::new();
    let answer = Addresses {
        v4: v4.and_then(|lookup| addresses(&lookup, &mut ttls)),
        v6: v6.and_then(|lookup| addresses(&lookup, &mut ttls)),
    };
    (host, answer, ttls)
}

async fn ask(resolver: &TokioResolver, name: &str, kind: RecordType) -> Result<Lookup, Failure> {
    // Not as text: that would be held to the rules for host names, which forbid `_`.
    let name = Name::from_ascii(name).map_err(|error| Failure::Unusable(error.to_string()))?;
    let asking = tokio::time::timeout(QUESTION_TIMEOUT, resolver.lookup(name, kind));
    match asking.await {
        Ok(answer) => answer.map_err(|error| failure(&error)),
        Err(_) => Err(Failure::Timeout),
    }
}

fn addresses(lookup: &Lookup, ttls: &mut Vec<Duration>) -> Result<Vec<IpAddr>, Failure> {
    records(lookup, ttls, |data| match data {
        RData::A(address) => Some(address.0.into()),
        RData::AAAA(address) => Some(address.0.into()),
        _ => None,
    })
}

fn targets(lookup: &Lookup, ttls: &mut Vec<Duration>) -> Result<Vec<Target>, Failure> {
    let records = records(lookup, ttls, |data| match data {
        // The root as target says that there is no such service.
        RData::SRV(record) if !record.target.is_root() => Some(ServiceRecord {
            priority: record.priority,
            weight: record.weight,
            port: record.port,
            host: record.target.to_ascii(),
        }),
        _ => None,
    });
    records.map(Target::of_service)
}

/// What `take` takes of the records, and when all that led there ends.
fn records<T>(
    lookup: &Lookup,
    ttls: &mut Vec<Duration>,
    take: impl Fn(&RData) -> Option<T>,
) -> Result<Vec<T>, Failure> {
    let taken: Vec<T> = lookup.answers().iter().filter_map(|record| take(&record.data)).collect();
    if taken.is_empty() {
        return Err(Failure::NoRecords);
    }
    ttls.extend(lookup.answers().iter().map(|record| Duration::from_secs(record.ttl.into())));
    Ok(taken)
}

fn failure(error: &NetError) -> Failure {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(nothing)) => match nothing.response_code {
            ResponseCode::NXDomain => Failure::NoSuchName,
            _ => Failure::NoRecords,
        },
        NetError::Dns(DnsError::ResponseCode(code)) => Failure::Refused(code.to_str()),
        NetError::Timeout => Failure::Timeout,
        NetError::Io(error) => Failure::Unreachable(error.to_string()),
        NetError::NoConnections => Failure::Unreachable("no connection".to_owned()),
        other => Failure::Unusable(other.to_string()),
    }
}
