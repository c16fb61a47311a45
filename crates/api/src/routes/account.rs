//! `GET /api/profile` and `GET /api/users/{id}`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    response::IntoResponse,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{NO_STORE, User};
use crate::{access::Caller, accounts::AccountId, positions::Seen, problem::Problem, router::Service};

/// An account as anybody sees it: no address, no role.
#[derive(Serialize, ToSchema)]
pub(crate) struct PublicUser {
    #[schema(example = "4611686018427387905", pattern = "^[1-9][0-9]{0,18}$")]
    id: String,
    #[schema(example = "Ada")]
    name: String,
}

/// The caller's own account, as it is stored and not as it was when the token was issued.
#[utoipa::path(
    get,
    path = "/api/profile",
    tag = "profile",
    responses((status = 200, description = "The caller's account.", body = User)),
)]
pub(crate) async fn profile(
    State(service): State<Arc<Service>>,
    caller: Caller,
    seen: Seen,
) -> Result<impl IntoResponse, Problem> {
    let found = service.accounts.by_id(caller.account, &seen.consistency()).await?;
    // A token that holds for an account that does not exist is from another database.
    let account = found.ok_or(Problem::InvalidToken)?;
    Ok((NO_STORE, Json(User::from(&account))))
}

/// Anybody's account, without a token.
#[utoipa::path(
    get,
    path = "/api/users/{id}",
    tag = "accounts",
    params(("id" = String, Path, description = "The id of an account.", example = "4611686018427387905")),
    responses(
        (status = 200, description = "The account.", body = PublicUser),
        (status = 404, description = "No account has this id."),
    ),
)]
pub(crate) async fn user(
    State(service): State<Arc<Service>>,
    seen: Seen,
    id: Result<Path<String>, PathRejection>,
) -> Result<impl IntoResponse, Problem> {
    // What cannot be an id is an account that does not exist.
    let id = id.ok().and_then(|Path(text)| AccountId::parse(&text)).ok_or(Problem::NotFound)?;
    let account = service.accounts.by_id(id, &seen.consistency()).await?.ok_or(Problem::NotFound)?;
    Ok((NO_STORE, Json(PublicUser { id: account.id.to_string(), name: account.name.as_str().to_owned() })))
}
