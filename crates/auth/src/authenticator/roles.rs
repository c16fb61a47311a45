//! Which roles a route is for.

use std::{fmt, sync::Arc};

use crate::Claims;

/// Roles of which an account needs one; cheap to clone. Without any, nobody passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequiredRoles {
    roles: Arc<[Box<str>]>,
}

impl RequiredRoles {
    /// One of these, whichever.
    pub fn any_of<R: Into<Box<str>>>(roles: impl IntoIterator<Item = R>) -> Self {
        Self { roles: roles.into_iter().map(Into::into).collect() }
    }

    /// Whether the account of a token has one of them.
    #[must_use]
    pub fn permit(&self, claims: &Claims) -> bool {
        self.roles.iter().any(|role| claims.has_role(role))
    }
}

/// As in a sentence: `a`, `a or b`, `a, b or c`.
impl fmt::Display for RequiredRoles {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, role) in self.roles.iter().enumerate() {
            let separator = match self.roles.len() - index {
                _ if index == 0 => "",
                1 => " or ",
                _ => ", ",
            };
            write!(formatter, "{separator}{role}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(roles: &[&str]) -> Claims {
        Claims {
            subject: "7".to_owned(),
            session: None,
            epoch: 0,
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            token_id: String::new(),
            issued_at: 0,
            expires_at: 9,
        }
    }

    #[test]
    fn one_role_of_several_is_enough_and_none_is_not() {
        for (required, own, permitted) in [
            (&["admin"][..], &["admin"][..], true),
            (&["admin"], &["user"], false),
            (&["admin"], &["Admin", "administrator", "admi"], false),
            (&["admin", "auditor"], &["user", "auditor"], true),
            (&["admin"], &[], false),
            (&[], &["admin"], false),
            (&[], &[], false),
        ] {
            let roles = RequiredRoles::any_of(required.iter().copied());
            assert_eq!(roles.permit(&claims(own)), permitted, "{required:?} {own:?}");
        }
    }

    #[test]
    fn they_read_as_a_sentence() {
        for (roles, text) in
            [(&["a"][..], "a"), (&["a", "b"], "a or b"), (&["a", "b", "c"], "a, b or c"), (&[], "")]
        {
            assert_eq!(RequiredRoles::any_of(roles.iter().copied()).to_string(), text);
        }
    }
}
