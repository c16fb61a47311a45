//! From raw structs to the checked configuration: forms of texts, and rules between keys and tables.
//!
//! Invariant: wherever a function here cannot build what it is asked for, it has reported why. Functions that have a
//! default go on with it after a fault: the configuration they help to build is never handed out then.
//! Elsewhere: unknown keys, types, ranges and choices (`fit`).

mod amounts;
mod auth;
pub(crate) mod autoscale;
mod gateway;
mod route;
mod service;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use crate::{
    located::{At, ByteRateText, DurationText, PathText, SizeText},
    model::{Config, ServiceName, Span},
    raw,
    report::Report,
    source::SourceFile,
    suggest, text,
};

/// Where the parser places the top of the file.
pub(crate) const TOP: Span = Span { start: 0, end: 0 };

const SMALLEST_FILE: &str = "the smallest useful file is

[[route]]
path = \"/\"
service = \"api\"

[service.api]
endpoints = [{ address = \"127.0.0.1:3000\" }]";

/// Checks a whole file.
pub(crate) fn config(file: raw::File, source: Arc<SourceFile>, report: &mut Report) -> Option<Config> {
    require_route(&file, report);
    amounts::check(&file, report);
    let known = Known { services: known_services(&file, report), verification: verification(&file, report) };
    let (gateway, admin) =
        gateway::listeners(file.gateway.unwrap_or_default(), file.admin.unwrap_or_default(), report);
    let log = gateway::log(&file.log.unwrap_or_default());
    let routes = route::routes(file.route.map(|routes| routes.value).unwrap_or_default(), &known, report);
    let services = file.service.map(|services| services.value).unwrap_or_default();
    let services = service::services(services, &known.services, report);
    // Without a configuration after a fault: nobody asks then whether there was an `[auth]`.
    let auth = file.auth.and_then(|auth| auth::auth(auth, report));
    Some(Config { gateway, routes: routes?, services: services?, auth, admin, log, source })
}

/// What routes refer to.
struct Known {
    services: KnownServices,
    verification: Verification,
}

/// Whether `[auth]` says how tokens are verified.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verification {
    /// It does, or may have before a fault.
    Configured,
    /// There is none.
    Absent,
}

fn verification(file: &raw::File, report: &Report) -> Verification {
    // What was dropped may have been it.
    match file.auth.is_some() || report.has_losses(TOP) {
        true => Verification::Configured,
        false => Verification::Absent,
    }
}

/// The services that a route may name.
struct KnownServices {
    names: BTreeSet<String>,
    /// Whether others stand in the file, but were dropped with a fault of their own.
    is_incomplete: bool,
}

impl KnownServices {
    /// The service that a key names.
    fn find(&self, given: &At<String>, report: &mut Report) -> Option<ServiceName> {
        if self.names.contains(&given.value) {
            return Some(ServiceName(Arc::from(given.value.as_str())));
        }
        if self.is_incomplete {
            return None;
        }
        let names = self.names.iter().map(String::as_str);
        let help = match suggest::nearest(&given.value, names.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if self.names.is_empty() => {
                "add a `[service.NAME]` with `endpoints`, `discover` or a `command`".to_owned()
            }
            None => format!("services of this file: {}", suggest::list(names)),
        };
        report.fault(given.span, format!("there is no service {}", report.source().quote(given.span)), help);
        None
    }
}

fn known_services(file: &raw::File, report: &Report) -> KnownServices {
    let names =
        file.service.iter().flat_map(|services| services.value.keys()).map(|name| name.get_ref().clone());
    let table = file.service.as_ref().map_or(TOP, |services| services.span);
    KnownServices { names: names.collect(), is_incomplete: report.has_losses(table) }
}

fn require_route(file: &raw::File, report: &mut Report) {
    let has_routes =
        file.route.as_ref().is_some_and(|routes| !routes.value.is_empty() || report.has_losses(routes.span));
    if has_routes || report.has_losses(TOP) {
        return;
    }
    match file.service.as_ref().and_then(|services| services.value.iter().next()) {
        Some((name, service)) => {
            let help = format!("add\n\n[[route]]\npath = \"/\"\nservice = \"{name}\"");
            report.fault(service.span, format!("there is no route, so no request gets to `{name}`"), help);
        }
        None => report.fault(TOP, "there is no route, so every request would be answered 404", SMALLEST_FILE),
    }
}

impl Report {
    fn duration(&mut self, given: Option<&At<DurationText>>, default: Duration) -> Duration {
        let Some(At { value: DurationText(text), span }) = given else { return default };
        text::duration::parse(text).unwrap_or_else(|refusal| {
            self.refused(*span, &refusal);
            default
        })
    }

    /// A time in which something must happen.
    fn duration_above_zero(&mut self, given: Option<&At<DurationText>>, default: Duration) -> Duration {
        let duration = self.duration(given, default);
        if let (Some(given), Duration::ZERO) = (given, duration) {
            let message = format!("{} leaves no time at all", self.source().quote(given.span));
            self.fault(given.span, message, "write a duration above zero");
        }
        duration
    }

    fn size(&mut self, given: Option<&At<SizeText>>, default: u64) -> u64 {
        let Some(At { value: SizeText(text), span }) = given else { return default };
        text::size::parse(text).unwrap_or_else(|refusal| {
            self.refused(*span, &refusal);
            default
        })
    }

    /// Bytes per second.
    fn byte_rate(&mut self, given: Option<&At<ByteRateText>>, default: u32) -> u32 {
        let Some(At { value: ByteRateText(text), span }) = given else { return default };
        text::size::rate(text).unwrap_or_else(|refusal| {
            self.refused(*span, &refusal);
            default
        })
    }

    fn path(&mut self, given: &At<PathText>) -> Option<String> {
        let PathText(text) = &given.value;
        match text::path::parse(text) {
            Ok(path) => Some(path.to_owned()),
            Err(refusal) => {
                self.refused(given.span, &refusal);
                None
            }
        }
    }

    /// A key that says nothing because another one is not there, or is.
    fn without_effect(&mut self, key: Option<Span>, message: &'static str, help: &'static str) {
        if let Some(span) = key {
            self.fault(span, message, help);
        }
    }
}
