//! `[service.NAME]`

mod endpoints;
mod replicas;

use std::{collections::BTreeMap, sync::Arc};

use toml::Spanned;

use crate::{
    located::At,
    model::{Balance, HashKey, Protocol, Resilience, Service, ServiceName, Source, Span},
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
    report: &mut Report,
) -> Option<Services> {
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
    let balance = balance(&raw, report);
    let keepalive = raw.keepalive.unwrap_or(KEEPALIVE_DEFAULT).into();
    let source = source(raw, span, report);
    Some(Service {
        balance: balance?,
        protocol: Protocol::default(),
        keepalive,
        resilience: Resilience::default(),
        source: source?,
    })
}

fn balance(raw: &raw::Service, report: &mut Report) -> Option<Balance> {
    if let Some(raw::Balance::ConsistentHash) = raw.balance {
        let Some(given) = &raw.hash_key else { return Some(Balance::ConsistentHash(HashKey::default())) };
        let key = hash_key::parse(&given.value).map_err(|refusal| report.refused(given.span, &refusal)).ok();
        return key.map(Balance::ConsistentHash);
    }
    let message = "`hash_key` has no effect without `balance = \"consistent_hash\"`";
    report.without_effect(raw.hash_key.as_ref().map(|key| key.span), message, "remove it, or set `balance`");
    Some(match raw.balance {
        Some(raw::Balance::RoundRobin | raw::Balance::ConsistentHash) | None => Balance::RoundRobin,
        Some(raw::Balance::LeastConnections) => Balance::LeastConnections,
        Some(raw::Balance::LeastResponseTime) => Balance::LeastResponseTime,
        Some(raw::Balance::PowerOfTwo) => Balance::PowerOfTwo,
        Some(raw::Balance::IpHash) => Balance::IpHash,
        Some(raw::Balance::Random) => Balance::Random,
    })
}

fn source(raw: raw::Service, service: Span, report: &mut Report) -> Option<Source> {
    match (&raw.endpoints, &raw.command) {
        (Some(_), None) => endpoints::source(raw, report),
        (None, Some(_)) => replicas::source(raw, report),
        (Some(endpoints), Some(command)) => {
            let help = "remove one: `endpoints` are servers that run already, `command` is run by Phalanx";
            report.duplicate(
                endpoints.span,
                command.span,
                "a service has either `endpoints` or a `command`",
                help,
            );
            None
        }
        (None, None) => {
            let help = "add `endpoints = [{ address = \"127.0.0.1:3000\" }]`, or `command = [\"node\", \"server.js\"]`";
            report.missing(service, "this service has neither `endpoints` nor a `command`", help);
            None
        }
    }
}
