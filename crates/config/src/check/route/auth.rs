//! `auth` of a route: who may come.

use std::collections::HashMap;

use crate::{
    check::Verification,
    located::At,
    model::{Presence, RouteAuth, Span},
    raw,
    report::Report,
    text::Refusal,
};

/// Roles that one route names; each is compared with each of a token.
const ROLES_MAX: usize = 32;

const NO_ROLE: Refusal = Refusal {
    problem: "cannot be a role",
    help: "a role is a word of visible ASCII characters without a comma, as \"admin\"",
};

/// Checks what a route says.
pub(super) fn auth(
    given: Option<&At<raw::RouteAuth>>,
    verification: Verification,
    report: &mut Report,
) -> Option<RouteAuth> {
    let At { value: raw, span } = given?;
    if verification == Verification::Absent {
        let help = "add an `[auth]` table with `jwks` or `secret`";
        report.fault(*span, "there is no `[auth]` that says how tokens are verified", help);
    }
    let presence = match raw.required {
        Some(At { value: false, .. }) => Presence::Optional,
        Some(At { value: true, .. }) | None => Presence::Required,
    };
    let roles = raw.roles.as_ref().map(|given| roles(given, report)).unwrap_or_default();
    if let (Some(At { value: false, span }), Some(roles)) = (&raw.required, &raw.roles) {
        let help = "remove one of the two: who brings no token has no role";
        report.duplicate(*span, roles.span, "`roles` cannot be asked of requests without a token", help);
    }
    Some(RouteAuth { presence, roles })
}

fn roles(given: &At<Vec<At<String>>>, report: &mut Report) -> Vec<String> {
    if given.value.is_empty() {
        report.missing(given.span, "nobody could pass", "name a role, or leave `roles` out");
    }
    if given.value.len() > ROLES_MAX {
        let message = format!("{} roles are too many", given.value.len());
        report.fault(given.span, message, format!("write at most {ROLES_MAX}"));
    }
    let mut seen: HashMap<&str, Span> = HashMap::new();
    for role in &given.value {
        if !is_role(&role.value) {
            report.refused(role.span, &NO_ROLE);
        } else if let Some(first) = seen.insert(&role.value, role.span) {
            report.duplicate(first, role.span, "this role stands here twice", "remove one of the two");
        }
    }
    given.value.iter().map(|role| role.value.clone()).collect()
}

/// Whether a service can find the role again in the list that it gets.
fn is_role(role: &str) -> bool {
    !role.is_empty() && role.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
}
