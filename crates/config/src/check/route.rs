//! `[[route]]`

mod auth;
mod policy;

use std::collections::{HashMap, hash_map::Entry};

use super::{Known, KnownServices};
use crate::{
    located::At,
    model::{Action, HostPattern, PathPattern, Route, Span},
    raw,
    report::Report,
    source::clipped,
    text::{Refusal, host, path},
};

/// A longer answer is a file, and files are served by a service.
const RESPOND_BYTES_MAX: usize = 64 << 10;

/// Those that a person may write in lower case, although methods are case-sensitive (RFC 9110, section 9.1).
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// Checks all routes.
pub(super) fn routes(raw: Vec<At<raw::Route>>, known: &Known, report: &mut Report) -> Option<Vec<Route>> {
    let mut taken = HashMap::new();
    // All are checked before the first missing one counts, so that each can report its faults.
    let routes: Vec<Option<Route>> =
        raw.into_iter().map(|raw| route(raw, known, &mut taken, report)).collect();
    routes.into_iter().collect()
}

/// Where each host and path got its route.
type Taken = HashMap<(Option<HostPattern>, PathPattern), Span>;

fn route(raw: At<raw::Route>, known: &Known, taken: &mut Taken, report: &mut Report) -> Option<Route> {
    let At { value: raw, span } = raw;
    let path_span = raw.path.as_ref().or(raw.path_exact.as_ref()).map_or(span, |path| path.span);
    let host = host(raw.host.as_ref(), report);
    let path = path_pattern(&raw, span, report);
    let methods = raw.methods.as_ref().map(|given| methods(given, report));
    let allow_encoded = raw.allow_encoded.as_ref().map(|given| allow_encoded(given, report));
    let auth = auth::auth(raw.auth.as_ref(), known.verification, report);
    let action = action(raw, span, &known.services, report);

    let (host, path) = (host?, path?);
    match taken.entry((host.clone(), path.clone())) {
        Entry::Vacant(free) => {
            free.insert(path_span);
        }
        Entry::Occupied(first) => {
            let help = "remove one of the two, or tell them apart by host or path";
            report.duplicate(*first.get(), path_span, "another route has this host and path", help);
        }
    }
    let allow_encoded = allow_encoded.unwrap_or_default();
    Some(Route { host, path, methods, allow_encoded, auth, action: action? })
}

/// `Some(None)`: every host. `None`: a fault.
fn host(given: Option<&At<String>>, report: &mut Report) -> Option<Option<HostPattern>> {
    let Some(given) = given else { return Some(None) };
    match host::parse(&given.value) {
        Ok(pattern) => Some(Some(pattern)),
        Err(refusal) => {
            report.refused(given.span, &refusal);
            None
        }
    }
}

fn path_pattern(raw: &raw::Route, route: Span, report: &mut Report) -> Option<PathPattern> {
    match (&raw.path, &raw.path_exact) {
        (Some(prefix), None) => report.path(prefix).map(PathPattern::Prefix),
        (None, Some(exact)) => report.path(exact).map(PathPattern::Exact),
        (Some(prefix), Some(exact)) => {
            let help =
                "remove one: `path` is for every path that begins so, `path_exact` for this path alone";
            report.duplicate(prefix.span, exact.span, "a route has either `path` or `path_exact`", help);
            None
        }
        (None, None) => {
            report.missing(route, "this route has no path", "add `path = \"/\"` for every path");
            None
        }
    }
}

fn methods(given: &At<Vec<At<String>>>, report: &mut Report) -> Vec<String> {
    if given.value.is_empty() {
        report.missing(given.span, "no request could pass", "name a method, or leave `methods` out");
    }
    let mut seen: HashMap<&str, Span> = HashMap::new();
    for method in &given.value {
        if let Some(refusal) = refused_method(&method.value) {
            report.refused(method.span, &refusal);
        } else if let Some(first) = seen.insert(&method.value, method.span) {
            report.duplicate(first, method.span, "this method stands here twice", "remove one of the two");
        }
    }
    given.value.iter().map(|method| method.value.clone()).collect()
}

fn refused_method(method: &str) -> Option<Refusal> {
    if method.is_empty() || !method.bytes().all(is_token_byte) {
        return Some(Refusal { problem: "is not a method", help: "a method is a word, as \"GET\"" });
    }
    let is_lower_case =
        !METHODS.contains(&method) && METHODS.iter().any(|known| known.eq_ignore_ascii_case(method));
    is_lower_case.then_some(Refusal {
        problem: "is not in upper case",
        help: "methods are case-sensitive: write it as \"GET\"",
    })
}

/// RFC 9110, section 5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn allow_encoded(given: &At<Vec<At<String>>>, report: &mut Report) -> Vec<String> {
    let mut allowed = Vec::with_capacity(given.value.len());
    for encoded in &given.value {
        let upper = encoded.value.to_ascii_uppercase();
        if upper.len() == 3 && path::decoded(upper.as_bytes()).is_some() {
            allowed.push(upper);
        } else {
            let refusal =
                Refusal { problem: "is not a percent-encoded character", help: "write it as \"%2F\"" };
            report.refused(encoded.span, &refusal);
        }
    }
    allowed
}

fn action(mut raw: raw::Route, route: Span, services: &KnownServices, report: &mut Report) -> Option<Action> {
    match (raw.service.take(), raw.respond.take()) {
        (Some(service), None) => {
            let policy = policy::forward(&raw, report);
            Some(Action::Forward { service: services.find(&service, report)?, policy })
        }
        (None, Some(respond)) => {
            policy::refuse_all(&raw, report);
            self::respond(respond, report)
        }
        (Some(service), Some(respond)) => {
            let help = "remove one: `service` forwards the request, `respond` answers it";
            report.duplicate(service.span, respond.span, "a route has either `service` or `respond`", help);
            None
        }
        (None, None) => {
            let name = services.names.first().map_or("api", String::as_str);
            report.missing(
                route,
                "this route leads nowhere",
                format!("add `service = \"{}\"`", clipped(name)),
            );
            None
        }
    }
}

fn respond(given: At<raw::Respond>, report: &mut Report) -> Option<Action> {
    let status = given.value.status.unwrap_or(200);
    let Some(body) = given.value.body else { return Some(Action::Respond { status, body: String::new() }) };
    if body.value.len() > RESPOND_BYTES_MAX {
        let message = format!("the body is longer than {RESPOND_BYTES_MAX} bytes");
        report.fault(body.span, message, "let a service answer with it");
        return None;
    }
    // RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5.
    if matches!(status, 204 | 205 | 304) && !body.value.is_empty() {
        report.fault(body.span, format!("an answer with status {status} has no body"), "remove `body`");
        return None;
    }
    Some(Action::Respond { status, body: body.value })
}
