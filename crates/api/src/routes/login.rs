//! `POST /api/auth/login` and `/api/auth/logout`.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{Json, extract::State, http::StatusCode, response::IntoResponse};
use phalanx_auth::{
    Attempt, Password, PasswordHash, RetryAfter, UnixMs, Verdict, Verified,
    audit::{Event, LoginFailure},
};
use phalanx_data::Consistency;
use phalanx_telemetry::clock;

use super::NO_STORE;
use crate::{
    access::Caller,
    accounts::{Account, Credentials, Email, Standing},
    body::JsonObject,
    client::Client,
    document::LoginBody,
    grant::{Grant, Tokens, without_cookie},
    positions::Seen,
    problem::Problem,
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
    let grant = LogIn { service: &service, client: &client, name }.with(password, &seen.primary()).await?;
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
    async fn with(&self, password: Password, primary: &Consistency) -> Result<Grant, Problem> {
        // What cannot be an address belongs to no account, and gets the same answer in the same time.
        let email = Email::parse(self.name.clone()).ok();
        let name = email.as_ref().map_or(&*self.name, Email::as_str);
        let attempt = self.service.begin_attempt(name, self.client).await?;
        let found = match &email {
            // A replica may not have heard of another password or a raised epoch yet, and the login is written there anyway.
            Some(email) => self.service.accounts.by_email(email, primary).await,
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
        self.begin(&found.account, primary).await
    }

    /// A password that was changed between its check and the first row of the login has ended the logins that there were by
    /// then, and not this one.
    async fn begin(&self, account: &Account, primary: &Consistency) -> Result<Grant, Problem> {
        let grant = self.service.grant(account, self.client).await?;
        let current = self.service.accounts.by_id(account.id, primary).await?;
        if current.is_some_and(|current| current.epoch == account.epoch) {
            return Ok(grant);
        }
        self.service.logins.end(account.id.id(), grant.login, UnixMs::from(clock::wall())).await?;
        self.service.revoke_logins(&[grant.login.to_string()], self.service.issuer.lifetime()).await?;
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
        // In a flood, what could not be verified is neither counted nor taken back, which would be two writes for nothing.
        if !self.hasher.has_room() {
            return Err(Problem::Overloaded);
        }
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
    let work = Arc::clone(&service);
    service.endings.carry_out(async move { work.log_out(&caller, &client).await }).await?;
    Ok((StatusCode::NO_CONTENT, NO_STORE, without_cookie()))
}

impl Service {
    async fn log_out(&self, caller: &Caller, client: &Client) -> Result<(), Problem> {
        let Some(session) = caller.session() else { return Ok(()) };
        // Told first: it holds here at once, whatever fails behind it.
        let left = caller.expires_at().saturating_sub(clock::unix_seconds());
        // What he came with may have been made to live longer than what is made by now.
        let lifetime = self.issuer.lifetime().max(Duration::from_secs(left));
        let told = self.revoke_logins(&[session.to_owned()], lifetime).await;
        if let Some(login) = caller.login() {
            self.logins.end(caller.account.id(), login, UnixMs::from(clock::wall())).await?;
        }
        Event::LoggedOut { account: &caller.account.to_string(), session }.record(Some(client.address));
        Ok(told?)
    }
}

impl From<RetryAfter> for Problem {
    fn from(retry_after: RetryAfter) -> Self {
        Self::TooManyAttempts(retry_after)
    }
}
