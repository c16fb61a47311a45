//! Which route a request takes: the longest path wins, then the more exact host.

use std::{collections::HashMap, sync::Arc};

use phalanx_config::{self as config, ForwardPolicy, HostPattern, PathPattern, ServiceName};
use phalanx_http1::{EncodedSet, Path};

use super::Access;

/// Methods that pass where a route names none.
pub(crate) const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];

/// All routes, the most specific first.
pub(crate) struct Routes {
    routes: Vec<Route>,
    /// Whether any route asks for a host; without one the host of a request need not be looked at.
    by_host: bool,
}

/// One route.
pub(crate) struct Route {
    /// What stands in metrics: host and path as configured.
    pub(crate) label: String,
    host: Option<HostPattern>,
    path: PathPattern,
    methods: Option<Vec<String>>,
    /// Encoded separators that may pass.
    encoded: EncodedSet,
    /// Who may come; `None`: everybody.
    pub(crate) access: Option<Arc<Access>>,
    pub(crate) action: Action,
}

/// What a route does.
pub(crate) enum Action {
    /// Forwards to the service with this index.
    Forward { service: usize, policy: ForwardPolicy },
    /// Answers by itself.
    Respond { status: u16, body: Arc<str> },
}

/// Why a route does not take a request that has come to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// 405 with this `Allow`.
    MethodNotAllowed { allow: String },
    /// 501: no route was told of this method.
    MethodUnknown,
    /// 400: the path hides a separator, which the endpoint could read as another path.
    HiddenSeparator,
}

impl Routes {
    /// The routes of a checked configuration; `services` gives the index of every service.
    pub(crate) fn new(routes: &[config::Route], services: &HashMap<ServiceName, usize>) -> Self {
        let borders = match routes.iter().any(|route| route.auth.is_some()) {
            true => Borders::Guarded,
            false => Borders::Open,
        };
        let mut routes: Vec<Route> =
            routes.iter().map(|route| Route::new(route, borders, services)).collect();
        routes.sort_by_key(|route| std::cmp::Reverse(route.specificity()));
        let by_host = routes.iter().any(|route| route.host.is_some());
        Self { routes, by_host }
    }

    /// All routes, by the index that [`Routes::find`] returns.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter()
    }

    /// The route of a request and its index; `None` where none takes its path and host.
    pub(crate) fn find(&self, authority: Option<&[u8]>, path: &[u8]) -> Option<(usize, &Route)> {
        let host = authority.filter(|_| self.by_host).and_then(phalanx_http1::host_of);
        // A dot at the end names the same host (RFC 3986, section 3.2.2), and would lead past the route that is for it.
        let host = host.map(|host| host.strip_suffix(b".").unwrap_or(host));
        self.routes.iter().enumerate().find(|(_, route)| route.holds(path) && route.serves(host))
    }
}

/// Whether it matters to which route a path belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Borders {
    /// Everybody may come to every route.
    Open,
    /// A route asks for a token: what an endpoint could read as a path of that route must not come in by another.
    Guarded,
}

impl Route {
    fn new(route: &config::Route, borders: Borders, services: &HashMap<ServiceName, usize>) -> Self {
        let path = match &route.path {
            PathPattern::Prefix(path) | PathPattern::Exact(path) => path.as_str(),
        };
        let host = match &route.host {
            None => String::new(),
            Some(HostPattern::Exact(host)) => host.clone(),
            Some(HostPattern::Suffix(suffix)) => format!("*{suffix}"),
        };
        let allowed = route.allow_encoded.iter().filter_map(|encoded| EncodedSet::from_encoded(encoded));
        Self {
            label: format!("{host}{path}"),
            host: route.host.clone(),
            path: route.path.clone(),
            methods: route.methods.clone(),
            encoded: match (path, borders) {
                // A route that takes every path has no border that a hidden separator could cross.
                ("/", Borders::Open) => EncodedSet::ALL,
                _ => allowed.fold(EncodedSet::EMPTY, EncodedSet::union),
            },
            access: Access::of(route).map(Arc::new),
            action: match &route.action {
                config::Action::Forward { service, policy } => {
                    Action::Forward { service: services[service], policy: *policy }
                }
                config::Action::Respond { status, body } => {
                    Action::Respond { status: *status, body: body.as_str().into() }
                }
            },
        }
    }

    /// Greater is tried first.
    fn specificity(&self) -> impl Ord + use<> {
        let (length, is_exact) = match &self.path {
            PathPattern::Prefix(path) => (path.trim_end_matches('/').len(), false),
            PathPattern::Exact(path) => (path.len(), true),
        };
        let host = match &self.host {
            None => 0,
            Some(HostPattern::Suffix(suffix)) => suffix.len(),
            Some(HostPattern::Exact(_)) => usize::MAX,
        };
        (is_exact, length, host)
    }

    fn holds(&self, path: &[u8]) -> bool {
        match &self.path {
            PathPattern::Exact(exact) => path == exact.as_bytes(),
            PathPattern::Prefix(prefix) => {
                let (base, needs_slash) = match prefix.strip_suffix('/') {
                    Some(base) => (base, true),
                    None => (prefix.as_str(), false),
                };
                match path.strip_prefix(base.as_bytes()) {
                    Some([]) => !needs_slash,
                    Some([first, ..]) => *first == b'/',
                    None => false,
                }
            }
        }
    }

    fn serves(&self, host: Option<&[u8]>) -> bool {
        match (&self.host, host) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(HostPattern::Exact(exact)), Some(host)) => host.eq_ignore_ascii_case(exact.as_bytes()),
            (Some(HostPattern::Suffix(suffix)), Some(host)) => {
                host.len() > suffix.len()
                    && host[host.len() - suffix.len()..].eq_ignore_ascii_case(suffix.as_bytes())
            }
        }
    }

    /// Whether the route takes this method and this path, which it [`Routes::find`]s.
    pub(crate) fn judge(&self, method: &[u8], path: &Path<'_>) -> Result<(), Refused> {
        let is_allowed = match &self.methods {
            None => METHODS.iter().any(|known| known.as_bytes() == method),
            Some(methods) => methods.iter().any(|allowed| allowed.as_bytes() == method),
        };
        match &self.methods {
            None if !is_allowed => Err(Refused::MethodUnknown),
            Some(methods) if !is_allowed => Err(Refused::MethodNotAllowed { allow: methods.join(", ") }),
            _ if !path.hidden().is_within(self.encoded) => Err(Refused::HiddenSeparator),
            _ => Ok(()),
        }
    }
}
