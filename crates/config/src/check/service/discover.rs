//! `discover` of a service.

use std::net::SocketAddr;

use super::health;
use crate::{
    located::{AddressText, At, DnsNameText},
    model::{Discovery, DnsName, Source},
    raw,
    report::Report,
    text::{address, dns_name},
};

/// Checks the keys of a service whose endpoints DNS gives.
pub(super) fn source(given: At<raw::Discover>, raw: raw::Service, report: &mut Report) -> Option<Source> {
    super::refuse_keys_of_command(&raw, report);
    let passive_health = health::passive(raw.passive_health, report);
    let active_health = health::active(raw.active_health, report);
    Some(Source::Discovered { discovery: discovery(given, report)?, passive_health, active_health })
}

fn discovery(given: At<raw::Discover>, report: &mut Report) -> Option<Discovery> {
    let At { value: raw, span } = given;
    let resolver = raw.resolver.and_then(|text| resolver(&text, report));
    let Some(text) = raw.dns else {
        report.missing(span, "`discover` has no name", "add `dns = \"api.internal:3000\"`");
        return None;
    };
    Some(Discovery { name: name(&text, report)?, resolver })
}

fn name(given: &At<DnsNameText>, report: &mut Report) -> Option<DnsName> {
    dns_name::parse(&given.value.0).map_err(|refusal| report.refused(given.span, &refusal)).ok()
}

fn resolver(given: &At<AddressText>, report: &mut Report) -> Option<SocketAddr> {
    address::peer(&given.value.0).map_err(|refusal| report.refused(given.span, &refusal)).ok()
}
