//! Who may come to a route.

use phalanx_auth::RequiredRoles;
use phalanx_config::{Action, Presence, Route};

/// What a route asks of the tokens of its requests.
pub(crate) struct Access {
    pub(crate) presence: Presence,
    /// `None`: any token will do.
    pub(crate) roles: Option<RequiredRoles>,
    pub(crate) preflights: Preflights,
}

/// What becomes of a browser's question before a request, which brings no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Preflights {
    /// It passes: its answer is the service's to give.
    PassedOn,
    /// It is a request like all: where the gateway answers by itself, it would get what others need a token for.
    Judged,
}

impl Access {
    /// `None` for a route that asks for nothing.
    pub(super) fn of(route: &Route) -> Option<Self> {
        let auth = route.auth.as_ref()?;
        Some(Self {
            presence: auth.presence,
            roles: (!auth.roles.is_empty())
                .then(|| RequiredRoles::any_of(auth.roles.iter().map(String::as_str))),
            preflights: match route.action {
                Action::Forward { .. } => Preflights::PassedOn,
                Action::Respond { .. } => Preflights::Judged,
            },
        })
    }
}
