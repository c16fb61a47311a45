//! `POST /api/auth/login`, `/api/auth/refresh` and `/api/auth/logout`.

use std::{convert::Infallible, sync::Arc};

use axum::{Json, extract::State, http::StatusCode, response::IntoResponse};
use phalanx_auth::{
    Attempt, Password, PasswordHash, RefreshError, Refreshed, RetryAfter, UnixMs, Verdict, Verified,
    audit::{Event, LoginFailure},
};
use phalanx_data::Consistency;
use phalanx_telemetry::clock;

use super::NO_STORE;
use crate::{
    access::Caller,
    accounts::{Account, AccountId, Credentials, Email, Standing},
    body::JsonObject,
    client::Client,
    document::{LoginBody, RefreshBody},
    grant::{Grant, Tokens, without_cookie},
    positions::Seen,
    problem::Problem,
    routes::User,
    service::Service,
};

/// Exchanges email and password for tokens and a cookie.
#[utoipa::path(
    post,
    path = "/api/auth/login",
    tag = "authentication",
    request_body = LoginBody,
    responses(
        (status = 200, description = "The password is that of the account.", body = Tokens, headers(
            ("Set-Cookie" = String, description = "The cookie of the session; missing while the shared state is away."),
        )),
        (status = 401, description = "`Invalid credentials`: no account has this email and password."),
        (status = 429, description = "`Too many attempts` at this account, or from this address."),
    ),
)]
pub(crate) async fn login(
    State(service): State<Arc<Service>>,
    client: Client,
    seen: Seen,
    body: JsonObject,
) -> Result<impl IntoResponse, Problem> {
    let mut fields = body.fields();
    let name = fields.text("email", Ok::<_, Infallible>);
    let password = fields.text("password", Password::offered);
    let (name, password) = fields.finish(name.zip(password))?;
    let grant =
        LogIn { service: &service, client: &client, name }.with(password, &seen.consistency()).await?;
    let wrote = service.accounts.wrote(grant.position.into_iter().collect());
    Ok((NO_STORE, service.positions.headers(seen, &wrote), grant.cookie(), Json(grant.tokens)))
}

/// Somebody who wants in.
struct LogIn<'l> {
    service: &'l Service,
    client: &'l Client,
    /// As he wrote it; it need not be an address.
    name: String,
}

impl LogIn<'_> {
    async fn with(&self, password: Password, consistency: &Consistency) -> Result<Grant, Problem> {
        // What cannot be an address belongs to no account, and gets the same answer in the same time.
        let email = Email::parse(self.name.clone()).ok();
        let name = email.as_ref().map_or(&*self.name, Email::as_str);
        let attempt = self.service.begin_attempt(name, self.client).await?;
        let found = match &email {
            Some(email) => self.service.accounts.by_email(email, consistency).await,
            None => Ok(None),
        };
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                attempt.withdrawn().await;
                return Err(error.into());
            }
        };
        let stored = found.as_ref().map(|found| found.password_hash.clone());
        let (attempt, verified) = self.service.verify(attempt, password.clone(), stored).await?;
        let Some(found) = found else { return Err(self.refused(name, LoginFailure::UnknownAccount)) };
        if verified.verdict == Verdict::Mismatch {
            return Err(self.refused(name, LoginFailure::WrongPassword));
        }
        if found.account.standing == Standing::Disabled {
            return Err(self.refused(name, LoginFailure::Disabled));
        }
        attempt.succeeded().await;
        if verified.rehash_due {
            self.rehash(&found, password).await;
        }
        self.begin(&found.account).await
    }

    /// A password that was changed between its check and the first row of the login has ended the logins that there were by
    /// then, and not this one.
    async fn begin(&self, account: &Account) -> Result<Grant, Problem> {
        let grant = self.service.grant(account, self.client).await?;
        let current = self.service.accounts.by_id(account.id, &Consistency::primary()).await?;
        if current.is_some_and(|current| current.epoch == account.epoch) {
            return Ok(grant);
        }
        self.service.logins.end(account.id.id(), grant.login, UnixMs::from(clock::wall())).await?;
        self.service.revoke_logins(&[grant.login.to_string()]).await?;
        Err(Problem::InvalidCredentials)
    }

    /// Failing, it is done at the next login.
    async fn rehash(&self, found: &Credentials, password: Password) {
        let Ok(hash) = self.service.hasher.hash(password).await else { return };
        let id = found.account.id;
        match self.service.accounts.rehash(id, &found.password_hash, &hash).await {
            Ok(()) => Event::PasswordRehashed { account: &id.to_string() }.record(Some(self.client.address)),
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::debug!(error, "a password keeps its old hash");
            }
        }
    }

    fn refused(&self, name: &str, reason: LoginFailure) -> Problem {
        let login = &self.service.attempts.alias(name);
        Event::LoginFailed { login, reason }.record(Some(self.client.address));
        Problem::InvalidCredentials
    }
}

impl Service {
    /// Counts an attempt to prove who somebody is.
    pub(crate) async fn begin_attempt(&self, name: &str, client: &Client) -> Result<Attempt, Problem> {
        self.attempts.begin(name, client.address).await.map_err(|retry_after| {
            let login = &self.attempts.alias(name);
            Event::LoginThrottled { login, retry_after }.record(Some(client.address));
            retry_after.into()
        })
    }

    /// Verifies a password. Where nobody has looked at it, the attempt does not count.
    pub(crate) async fn verify(
        &self,
        attempt: Attempt,
        password: Password,
        stored: Option<PasswordHash>,
    ) -> Result<(Attempt, Verified), Problem> {
        match self.hasher.verify(password, stored).await {
            Ok(verified) => Ok((attempt, verified)),
            Err(error) => {
                attempt.withdrawn().await;
                Err(error.into())
            }
        }
    }
}

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
    // The account as it is: what the new token says must not be older than what was revoked.
    let account = service.accounts.by_id(AccountId::from(id), &Consistency::primary()).await?;
    let Some(account) = account.filter(|account| account.standing == Standing::Active) else {
        service.logins.end(id, login, now).await?;
        service.revoke_logins(&[login.to_string()]).await?;
        return Err(Problem::InvalidToken);
    };
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
                match self.revoke_logins(&[session]).await {
                    Ok(()) => Problem::InvalidToken,
                    Err(error) => error.into(),
                }
            }
            RefreshError::Invalid | RefreshError::Ended { .. } => Problem::InvalidToken,
            RefreshError::Expired => Problem::TokenExpired,
            RefreshError::Contended => Problem::Overloaded,
            RefreshError::Access(error) => error.into(),
            error => Problem::internal(&error),
        }
    }
}

/// Ends the login that the caller came with: its refresh token, its tokens and its cookie.
#[utoipa::path(
    post,
    path = "/api/auth/logout",
    tag = "authentication",
    responses((status = 204, description = "It has ended, at every replica.")),
)]
pub(crate) async fn logout(
    State(service): State<Arc<Service>>,
    client: Client,
    caller: Caller,
) -> Result<impl IntoResponse, Problem> {
    if let Some(login) = caller.login() {
        service.logins.end(caller.account.id(), login, UnixMs::from(clock::wall())).await?;
    }
    if let Some(session) = caller.session() {
        service.revoke_logins(&[session.to_owned()]).await?;
        let account = caller.account.to_string();
        Event::LoggedOut { account: &account, session }.record(Some(client.address));
    }
    Ok((StatusCode::NO_CONTENT, NO_STORE, without_cookie()))
}

impl From<RetryAfter> for Problem {
    fn from(retry_after: RetryAfter) -> Self {
        Self::TooManyAttempts(retry_after)
    }
}
