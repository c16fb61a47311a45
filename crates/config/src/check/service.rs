//! `[service.NAME]`

mod autoscale;
mod database;
mod dependencies;
mod discover;
mod endpoints;
mod health;
mod probes;
mod replicas;
mod resilience;
mod resources;
mod rollout;

use std::{collections::BTreeMap, sync::Arc};

use toml::Spanned;

use super::KnownServices;
use crate::{
    located::At,
    model::{Balance, HashKey, Protocol, Service, ServiceName, Source, Span},
    raw,
    report::Report,
    source::clipped,
    text::hash_key,
};

/// A label of DNS and of metrics is no longer.
const NAME_BYTES_MAX: usize = 63;
const KEEPALIVE_DEFAULT: u16 = 64;

type Services = BTreeMap<ServiceName, Service>;

/// Checks all services.
pub(super) fn services(
    raw: BTreeMap<Spanned<String>, At<raw::Service>>,
    known: &KnownServices,
    report: &mut Report,
) -> Option<Services> {
    dependencies::check(&raw, known, report);
    // All are checked before the first missing one counts, so that each can report its faults.
    let services: Vec<_> =
        raw.into_iter().map(|(name, raw)| (self::name(&name, report), service(raw, report))).collect();
    services.into_iter().map(|(name, service)| name.zip(service)).collect()
}

fn name(given: &Spanned<String>, report: &mut Report) -> Option<ServiceName> {
    let name = given.get_ref();
    let is_name = (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
    if !is_name {
        let message = format!("`{}` cannot be the name of a service", clipped(name));
        let help = "write at most 63 of a-z, 0-9, `-` and `_`, beginning with a letter";
        report.fault(given.span().into(), message, help);
        return None;
    }
    Some(ServiceName(Arc::from(name.as_str())))
}

fn service(raw: At<raw::Service>, report: &mut Report) -> Option<Service> {
    let At { value: raw, span } = raw;
    let balance = balance(&raw, span, report);
    let protocol = protocol(raw.protocol.as_ref());
    let keepalive = raw.keepalive.unwrap_or(KEEPALIVE_DEFAULT).into();
    let mut resilience = resilience::resilience(&raw, span, report);
    let source = source(raw, span, report)?;
    if source.may_have_no_replica() {
        // Nothing would ask for a first replica if requests were turned away where there is none.
        resilience.hold.get_or_insert_default();
    }
    Some(Service { balance: balance?, protocol, keepalive, resilience, source })
}

fn protocol(given: Option<&raw::Protocol>) -> Protocol {
    match given {
        Some(raw::Protocol::Auto) => Protocol::Auto,
        Some(raw::Protocol::Http1) | None => Protocol::Http1,
        Some(raw::Protocol::H2c) => Protocol::H2c,
    }
}

fn balance(raw: &raw::Service, service: Span, report: &mut Report) -> Option<Balance> {
    if let Some(raw::Balance::ConsistentHash) = raw.balance {
        let Some(given) = &raw.hash_key else { return Some(Balance::ConsistentHash(HashKey::default())) };
        let key = hash_key::parse(&given.value).map_err(|refusal| report.refused(given.span, &refusal)).ok();
        return key.map(Balance::ConsistentHash);
    }
    // A `balance` that was lost may have been the one that takes a key.
    let hash_key = raw.hash_key.as_ref().filter(|_| raw.balance.is_some() || !report.has_losses(service));
    let message = "`hash_key` has no effect without `balance = \"consistent_hash\"`";
    report.without_effect(hash_key.map(|key| key.span), message, "remove it, or set `balance`");
    Some(match raw.balance {
        Some(raw::Balance::RoundRobin | raw::Balance::ConsistentHash) | None => Balance::RoundRobin,
        Some(raw::Balance::LeastConnections) => Balance::LeastConnections,
        Some(raw::Balance::LeastResponseTime) => Balance::LeastResponseTime,
        Some(raw::Balance::PowerOfTwo) => Balance::PowerOfTwo,
        Some(raw::Balance::IpHash) => Balance::IpHash,
        Some(raw::Balance::Random) => Balance::Random,
    })
}

fn source(mut raw: raw::Service, service: Span, report: &mut Report) -> Option<Source> {
    match (raw.endpoints.take(), raw.discover.take(), raw.command.take()) {
        (Some(given), None, None) => endpoints::source(given, raw, report),
        (None, Some(given), None) => discover::source(given, raw, report),
        (None, None, Some(given)) => replicas::source(given, raw, service, report),
        (None, None, None) => {
            let help = "add `endpoints = [{ address = \"127.0.0.1:3000\" }]`, `discover = { dns = \"api.internal:3000\" }` or `command = [\"node\", \"server.js\"]`";
            report.missing(service, "this service has neither `endpoints`, `discover` nor a `command`", help);
            None
        }
        (endpoints, discover, command) => {
            let spans =
                [endpoints.map(|key| key.span), discover.map(|key| key.span), command.map(|key| key.span)];
            refuse_several(spans.into_iter().flatten().collect(), report);
            None
        }
    }
}

/// Reports every source of endpoints but the first.
fn refuse_several(mut sources: Vec<Span>, report: &mut Report) {
    sources.sort_by_key(|span| span.start);
    let (first, others) =
        sources.split_first().expect("only a service with several sources is refused for it");
    for other in others {
        let message = "a service has either `endpoints`, `discover` or a `command`";
        let help = "keep one: `endpoints` are servers that run already, `discover` asks DNS for them, `command` is run by Phalanx";
        report.duplicate(*first, *other, message, help);
    }
}

/// Reports the keys that go with `command`, where there is none.
fn refuse_keys_of_command(raw: &raw::Service, report: &mut Report) {
    for (key, message) in [
        (raw.replicas.as_ref().map(|key| key.span), "`replicas` has no effect without `command`"),
        (raw.env.as_ref().map(|key| key.span), "`env` has no effect without `command`"),
        (raw.env_file.as_ref().map(|key| key.span), "`env_file` has no effect without `command`"),
        (raw.database.as_ref().map(|key| key.span), "`database` has no effect without `command`"),
        (raw.probes.as_ref().map(|key| key.span), "`probes` has no effect without `command`"),
        (raw.autoscale.as_ref().map(|key| key.span), "`autoscale` has no effect without `command`"),
        (raw.back_off.as_ref().map(|key| key.span), "`back_off` has no effect without `command`"),
        (raw.resources.as_ref().map(|key| key.span), "`resources` has no effect without `command`"),
        (raw.shutdown_grace.as_ref().map(|key| key.span), "`shutdown_grace` has no effect without `command`"),
        (raw.rollout.as_ref().map(|key| key.span), "`rollout` has no effect without `command`"),
        (raw.depends_on.as_ref().map(|key| key.span), "`depends_on` has no effect without `command`"),
    ] {
        report.without_effect(key, message, "remove it: Phalanx does not run these endpoints");
    }
    resources::refuse_limits_of_command(raw, report);
}
