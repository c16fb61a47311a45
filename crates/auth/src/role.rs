//! What an account may do.

/// The role of an account, as it is stored and as a token carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Its own account.
    User,
    /// Every account.
    Admin,
}

impl Role {
    /// The role of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "user" => Some(Self::User),
            "admin" => Some(Self::Admin),
            _ => None,
        }
    }

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
        }
    }
}
