//! What a user sees as his sessions: `GET /api/auth/sessions`, `DELETE /api/auth/sessions/{id}`, `POST /api/auth/logout-all`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
    response::{AppendHeaders, IntoResponse},
};
use phalanx_auth::{Ended, Login, LoginId, Refusal, UnixMs, audit::Event};
use phalanx_data::Position;
use phalanx_telemetry::clock;
use serde::Serialize;
use utoipa::ToSchema;

use super::NO_STORE;
use crate::{
    access::Caller, accounts::Wrote, client::Client, grant::without_cookie, positions::Seen,
    problem::Problem, service::Service,
};

/// The caller's sessions.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionList {
    /// The last begun first.
    sessions: Vec<SessionEntry>,
}

/// A login that goes on.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
struct SessionEntry {
    /// The `sid` of its tokens.
    #[schema(example = "4611686018427387911")]
    id: String,
    /// Whether this request belongs to it.
    current: bool,
    /// In Unix seconds.
    #[schema(example = 1_800_000_000)]
    created_at: u64,
    /// When it was last refreshed, in Unix seconds.
    #[schema(example = 1_800_000_600)]
    used_at: u64,
    /// When it ends unless it is refreshed, in Unix seconds.
    #[schema(example = 1_800_605_400)]
    expires_at: u64,
    device: DeviceEntry,
}

/// What a login was begun with, by its own account.
#[derive(Serialize, ToSchema)]
#[schema(as = Device)]
struct DeviceEntry {
    #[schema(example = "curl/8.14.1")]
    label: String,
    #[schema(example = "192.0.2.7")]
    address: Option<String>,
}

impl SessionEntry {
    fn of(login: &Login, current: Option<LoginId>) -> Self {
        let Login { id, created_at, used_at, valid_until, device } = login;
        Self {
            id: id.to_string(),
            current: current == Some(*id),
            created_at: created_at.seconds(),
            used_at: used_at.seconds(),
            expires_at: valid_until.seconds(),
            device: DeviceEntry {
                label: device.label().to_owned(),
                address: device.address().map(|address| address.to_string()),
            },
        }
    }
}

/// The caller's sessions, on whichever device.
#[utoipa::path(
    get,
    path = "/api/auth/sessions",
    tag = "authentication",
    responses((status = 200, description = "All that have not ended.", body = SessionList)),
)]
pub(crate) async fn list(
    State(service): State<Arc<Service>>,
    caller: Caller,
    seen: Seen,
) -> Result<impl IntoResponse, Problem> {
    let now = UnixMs::from(clock::wall());
    let logins = service.logins.list(caller.account.id(), &seen.consistency(), now).await?;
    let current = caller.login();
    let sessions = logins.iter().map(|login| SessionEntry::of(login, current)).collect();
    Ok((NO_STORE, Json(SessionList { sessions })))
}

/// Ends one of the caller's sessions.
#[utoipa::path(
    delete,
    path = "/api/auth/sessions/{id}",
    tag = "authentication",
    params(("id" = String, Path, description = "The id of a session.", example = "4611686018427387911")),
    responses(
        (status = 204, description = "It has ended, at every replica."),
        (status = 404, description = "The caller has no such session."),
    ),
)]
pub(crate) async fn end(
    State(service): State<Arc<Service>>,
    client: Client,
    caller: Caller,
    seen: Seen,
    id: Result<Path<String>, PathRejection>,
) -> Result<impl IntoResponse, Problem> {
    let login = id.ok().and_then(|Path(text)| LoginId::parse(&text)).ok_or(Problem::NotFound)?;
    let own = caller.login() == Some(login);
    let work = Arc::clone(&service);
    let ending = async move { work.end_login(&caller, login, &client).await };
    let position = service.endings.carry_out(ending).await?;
    let positions = service.positions.headers(seen, &service.accounts.wrote(position.into_iter().collect()));
    let cookie = AppendHeaders(own.then(without_cookie).into_iter().flatten());
    Ok((StatusCode::NO_CONTENT, NO_STORE, positions, cookie))
}

/// Ends all sessions of the caller, this one among them.
#[utoipa::path(
    post,
    path = "/api/auth/logout-all",
    tag = "authentication",
    responses((status = 204, description = "They have ended, at every replica.")),
)]
pub(crate) async fn end_all(
    State(service): State<Arc<Service>>,
    client: Client,
    caller: Caller,
    seen: Seen,
) -> Result<impl IntoResponse, Problem> {
    let work = Arc::clone(&service);
    let wrote =
        service.endings.carry_out(async move { work.end_every_login(&caller, &client).await }).await?;
    Ok((StatusCode::NO_CONTENT, NO_STORE, service.positions.headers(seen, &wrote), without_cookie()))
}

impl Service {
    /// Ends one of the caller's logins.
    async fn end_login(
        &self,
        caller: &Caller,
        login: LoginId,
        client: &Client,
    ) -> Result<Option<Position>, Problem> {
        let ended = self.logins.end(caller.account.id(), login, UnixMs::from(clock::wall())).await?;
        let (account, session) = (caller.account.to_string(), login.to_string());
        let position = match ended {
            Ended::Now { position } => position,
            Ended::Unknown => return Err(Problem::NotFound),
            Ended::Before => {
                // Whoever ended it may have died before he told.
                self.revoke_login_again(&account, &session).await?;
                return Ok(None);
            }
        };
        self.revoke_logins(std::slice::from_ref(&session), self.lifetime_max()).await?;
        Event::SessionEnded { account: &account, session: &session }.record(Some(client.address));
        Ok(position)
    }

    async fn end_every_login(&self, caller: &Caller, client: &Client) -> Result<Wrote, Problem> {
        // Tokens that belong to no row end with the epoch.
        let mut changed = self.accounts.bump_epoch(caller.account).await?.ok_or(Refusal::InvalidToken)?;
        let ended = self.end_logins(&changed.account).await?;
        let account = caller.account.to_string();
        Event::LoggedOutEverywhere { account: &account }.record(Some(client.address));
        ended.told?;
        changed.wrote.positions.extend(ended.position);
        Ok(changed.wrote)
    }
}
