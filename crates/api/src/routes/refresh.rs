//! `POST /api/auth/refresh`.

use std::{convert::Infallible, sync::Arc};

use axum::{Json, extract::State, response::IntoResponse};
use phalanx_auth::{RefreshError, Refreshed, Refusal, UnixMs, audit::Event};
use phalanx_telemetry::clock;

use super::{NO_STORE, User};
use crate::{
    accounts::{AccountId, Standing},
    body::JsonObject,
    client::Client,
    document::RefreshBody,
    grant::Tokens,
    positions::Seen,
    problem::Problem,
    service::Service,
};

/// Exchanges a refresh token for the next one and an access token.
///
/// A token is good once. For some seconds after, it is answered with the same successor, so that requests which cross each other
/// do no harm; later it means that somebody has a copy, and the login ends.
#[utoipa::path(
    post,
    path = "/api/auth/refresh",
    tag = "authentication",
    request_body = RefreshBody,
    responses(
        (status = 200, description = "The login goes on.", body = Tokens),
        (status = 401, description = "`Invalid token`, or `Token expired`: log in again."),
    ),
)]
pub(crate) async fn refresh(
    State(service): State<Arc<Service>>,
    client: Client,
    seen: Seen,
    body: JsonObject,
) -> Result<impl IntoResponse, Problem> {
    let mut fields = body.fields();
    let token = fields.text("refresh_token", Ok::<_, Infallible>);
    let presented = fields.finish(token)?;
    let now = UnixMs::from(clock::wall());
    let refreshed = match service.logins.refresh(&presented, now).await {
        Ok(refreshed) => refreshed,
        Err(error) => return Err(service.refresh_refused(error, &client).await),
    };
    let Refreshed { login, account: id, refresh_token, position, .. } = refreshed;
    // The account as it is: what the token says must not be older than what was revoked.
    let account = service.accounts.by_id(AccountId::from(id), &seen.primary()).await?;
    // It may be there, and its bucket on the way to another shard.
    let account = account.ok_or(Refusal::InvalidToken)?;
    if account.standing == Standing::Disabled {
        service.logins.end(id, login, now).await?;
        service.revoke_logins(&[login.to_string()], service.lifetime_max()).await?;
        return Err(Refusal::InvalidToken.into());
    }
    let tokens = Tokens {
        token: service.access_token(&account, login),
        refresh_token: refresh_token.as_str().to_owned(),
        user: User::from(&account),
    };
    let wrote = service.accounts.wrote(position.into_iter().collect());
    Ok((NO_STORE, service.positions.headers(seen, &wrote), Json(tokens)))
}

impl Service {
    async fn refresh_refused(&self, error: RefreshError, client: &Client) -> Problem {
        match error {
            RefreshError::Reused { login, account } => {
                let (account, session) = (account.to_string(), login.to_string());
                Event::RefreshReused { account: &account, session: &session }.record(Some(client.address));
                // The family has ended, and the revocation is told as soon as it can be.
                let told = self.revoke_logins(&[session], self.lifetime_max()).await;
                told.map_or_else(Problem::from, |()| Refusal::InvalidToken.into())
            }
            // Whoever ended it may have died before he told.
            RefreshError::Ended { login, account } => {
                let told = self.revoke_login_again(&account.to_string(), &login.to_string()).await;
                told.map_or_else(Problem::from, |()| Refusal::InvalidToken.into())
            }
            RefreshError::Invalid => Refusal::InvalidToken.into(),
            RefreshError::Expired => Refusal::TokenExpired.into(),
            RefreshError::Contended => Problem::Overloaded,
            RefreshError::Access(error) => error.into(),
            error => Problem::internal(&error),
        }
    }
}
