//! `GET /api/users` and `GET /api/stats/users`: what is asked of all shards.

use std::{num::NonZeroUsize, sync::Arc};

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    response::IntoResponse,
};
use phalanx_shard::pages::{Cursor, KeyPart};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{NO_STORE, User};
use crate::{
    accounts::{Account, AccountId, Standing, Statistics},
    positions::Seen,
    problem::{FieldFault, Problem},
    service::Service,
};

const LIMIT_DEFAULT: u16 = 50;
const LIMIT_MAX: u16 = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageQuery {
    limit: Option<String>,
    cursor: Option<String>,
}

/// A page of accounts.
#[derive(Serialize, ToSchema)]
pub(crate) struct Users {
    users: Vec<ListedUser>,
    /// For the `cursor` of the next request; null after the last page.
    next: Option<String>,
}

/// An account as an admin sees it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ListedUser {
    #[serde(flatten)]
    user: User,
    disabled: bool,
}

/// How many accounts there are.
#[derive(Serialize, ToSchema)]
pub(crate) struct Totals {
    accounts: u64,
    admins: u64,
    /// False where shards are missing from the sums.
    complete: bool,
    shards: Vec<ShardTotals>,
    failed: Vec<FailedShard>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ShardTotals {
    shard: u16,
    accounts: u64,
    admins: u64,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct FailedShard {
    shard: u16,
    error: &'static str,
}

/// All accounts, a page at a time, for admins.
#[utoipa::path(
    get,
    path = "/api/users",
    tag = "accounts",
    params(
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 200, description = "Accounts of a page; default 50."),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before."),
    ),
    responses(
        (status = 200, description = "A page, by id.", body = Users),
        (status = 422, description = "A parameter is unknown, comes twice or has no such value."),
    ),
)]
pub(crate) async fn list(
    State(service): State<Arc<Service>>,
    seen: Seen,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<impl IntoResponse, Problem> {
    let Query(query) = query.map_err(|_| parameter("", "only `limit` and `cursor` are known, once each"))?;
    let limit = limit(query.limit.as_deref())?;
    let after = query.cursor.as_deref().map(after).transpose()?;
    let page = service.accounts.page(after, limit, &seen.consistency()).await?;
    let next = page
        .next
        .map(|id| Cursor::new(vec![KeyPart::Int(id.number())]).expect("a number is a small key").encode());
    Ok((NO_STORE, Json(Users { users: page.accounts.iter().map(ListedUser::from).collect(), next })))
}

/// How many accounts there are. Shards that do not answer are named, and the rest is told.
#[utoipa::path(
    get,
    path = "/api/stats/users",
    tag = "accounts",
    responses((status = 200, description = "The sums, and what is missing from them.", body = Totals)),
)]
pub(crate) async fn totals(State(service): State<Arc<Service>>) -> Result<impl IntoResponse, Problem> {
    let Statistics { shards, failed } = service.accounts.statistics().await?;
    for (shard, fault) in &failed {
        let error: &dyn std::error::Error = fault;
        tracing::warn!(shard = shard.0, error, "a shard is missing from the statistics");
    }
    let totals = Totals {
        accounts: shards.iter().map(|(_, counts)| counts.accounts).sum(),
        admins: shards.iter().map(|(_, counts)| counts.admins).sum(),
        complete: failed.is_empty(),
        shards: shards
            .iter()
            .map(|(shard, counts)| ShardTotals {
                shard: shard.0,
                accounts: counts.accounts,
                admins: counts.admins,
            })
            .collect(),
        failed: failed
            .iter()
            .map(|(shard, _)| FailedShard { shard: shard.0, error: "did not answer" })
            .collect(),
    };
    Ok((NO_STORE, Json(totals)))
}

impl From<&Account> for ListedUser {
    fn from(account: &Account) -> Self {
        Self { user: User::from(account), disabled: account.standing == Standing::Disabled }
    }
}

fn limit(text: Option<&str>) -> Result<NonZeroUsize, Problem> {
    let text = text.unwrap_or_default();
    let number = if text.is_empty() { Some(LIMIT_DEFAULT) } else { text.parse().ok() };
    number
        .filter(|number| *number <= LIMIT_MAX)
        .and_then(|number| NonZeroUsize::new(number.into()))
        .ok_or_else(|| parameter("/limit", &format!("must be a number from 1 to {LIMIT_MAX}")))
}

fn after(cursor: &str) -> Result<AccountId, Problem> {
    let key = Cursor::decode(cursor).ok();
    let id = key.and_then(|cursor| match cursor.key() {
        [KeyPart::Int(id)] => AccountId::of_stored(*id),
        _ => None,
    });
    id.ok_or_else(|| parameter("/cursor", "must be the `next` of another page"))
}

fn parameter(pointer: &str, detail: &str) -> Problem {
    Problem::InvalidFields(vec![FieldFault { pointer: pointer.to_owned(), detail: detail.to_owned() }])
}
