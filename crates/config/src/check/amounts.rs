//! How much may stand in one file: a list that a program wrote ten times too long is a fault, not a gateway that gives in under it.
//!
//! Every route and endpoint costs each worker memory and each change a copy of the table, so the file's bytes alone do not
//! bound them well enough.
//! Elsewhere: the bytes of the file and those of its variables (`FILE_BYTES_MAX`, `fit`); lists within one table, beside the
//! checks of that table.

use crate::{model::Span, raw, report::Report};

/// Each has its own connections, checks and metrics.
const SERVICES_MAX: usize = 1000;
const ROUTES_MAX: usize = 5000;
/// Those of all services together that stand in `endpoints`.
const ENDPOINTS_MAX: usize = 5000;

/// Reports each kind of which there are too many, at the first that is.
pub(super) fn check(file: &raw::File, report: &mut Report) {
    let routes = file.route.iter().flat_map(|routes| &routes.value).map(|route| route.span);
    refuse_excess(routes.collect(), ROUTES_MAX, "routes", report);
    let Some(services) = &file.service else { return };
    let names = services.value.keys().map(|name| name.span().into());
    refuse_excess(names.collect(), SERVICES_MAX, "services", report);
    let endpoints = services.value.values().filter_map(|service| service.value.endpoints.as_ref());
    let endpoints = endpoints.flat_map(|endpoints| &endpoints.value).map(|endpoint| endpoint.span);
    refuse_excess(endpoints.collect(), ENDPOINTS_MAX, "endpoints", report);
}

fn refuse_excess(mut spans: Vec<Span>, allowed: usize, kind: &str, report: &mut Report) {
    // Services come by name, but the first that is too many is so by its place.
    spans.sort_unstable_by_key(|span| span.start);
    if let Some(first) = spans.get(allowed) {
        let message = format!("{} {kind} are too many", spans.len());
        report.fault(*first, message, format!("write at most {allowed} in one file"));
    }
}
