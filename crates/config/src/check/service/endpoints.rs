//! `endpoints` of a service.

use std::{collections::HashMap, net::SocketAddr};

use super::health;
use crate::{
    located::At,
    model::{Endpoint, Role, Source, Span},
    raw,
    report::Report,
    text::address,
};

/// Checks the keys of a service whose endpoints are fixed.
pub(super) fn source(
    given: At<Vec<At<raw::Endpoint>>>,
    raw: raw::Service,
    report: &mut Report,
) -> Option<Source> {
    super::refuse_keys_of_command(&raw, report);
    if given.value.is_empty() {
        let help = "add one, as `endpoints = [{ address = \"127.0.0.1:3000\" }]`";
        report.missing(given.span, "this service has no endpoint", help);
    }
    if !given.value.is_empty() && given.value.iter().all(|endpoint| endpoint.value.backup == Some(true)) {
        let help = "remove `backup` from those that should serve while they can";
        report.missing(
            given.span,
            "every endpoint is a backup, and there is none that they stand in for",
            help,
        );
    }
    let mut first_spans = HashMap::new();
    let endpoints: Vec<_> =
        given.value.into_iter().map(|given| endpoint(given, &mut first_spans, report)).collect();
    let passive_health = health::passive(raw.passive_health, report);
    let active_health = health::active(raw.active_health, report);
    Some(Source::Endpoints {
        endpoints: endpoints.into_iter().collect::<Option<_>>()?,
        passive_health,
        active_health,
    })
}

fn endpoint(
    given: At<raw::Endpoint>,
    first_spans: &mut HashMap<SocketAddr, Span>,
    report: &mut Report,
) -> Option<Endpoint> {
    let Some(text) = given.value.address else {
        report.missing(given.span, "this endpoint has no address", "add `address = \"127.0.0.1:3000\"`");
        return None;
    };
    let address = match address::endpoint(&text.value.0) {
        Ok(address) => address,
        Err(refusal) => {
            report.refused(text.span, &refusal);
            return None;
        }
    };
    if let Some(first) = first_spans.insert(address, text.span) {
        let message = format!("{} is an endpoint twice", report.source().quote(text.span));
        report.duplicate(first, text.span, message, "remove one of the two, and give the other a `weight`");
    }
    let role = match given.value.backup {
        Some(true) => Role::Backup,
        Some(false) | None => Role::Primary,
    };
    Some(Endpoint { address, weight: given.value.weight.unwrap_or(1), role })
}
