//! The handlers, by what they serve.

pub(crate) mod account;
pub(crate) mod accounts;
pub(crate) mod cart;
pub(crate) mod catalog;
pub(crate) mod documentation;
pub(crate) mod keys;
pub(crate) mod login;
pub(crate) mod operations;
pub(crate) mod profile;
pub(crate) mod refresh;
pub(crate) mod registration;
pub(crate) mod sessions;
pub(crate) mod socket;

use axum::http::{HeaderName, header};
use phalanx_auth::Role;
use serde::Serialize;
use utoipa::ToSchema;

use crate::accounts::Account;

/// Answers that are about one person stay in no cache.
const NO_STORE: [(HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];

/// An account as its owner sees it.
#[derive(Serialize, ToSchema)]
pub(crate) struct User {
    #[schema(example = "4611686018427387905", pattern = "^[1-9][0-9]{0,18}$")]
    id: String,
    #[schema(example = "ada@example.com", max_length = 254)]
    email: String,
    #[schema(example = "Ada", min_length = 1, max_length = 100)]
    name: String,
    #[schema(example = "user")]
    role: &'static str,
}

impl From<&Account> for User {
    fn from(account: &Account) -> Self {
        let Account { id, email, name, role, epoch: _, standing: _ } = account;
        Self {
            id: id.to_string(),
            email: email.as_str().to_owned(),
            name: name.as_str().to_owned(),
            role: Role::as_str(*role),
        }
    }
}
