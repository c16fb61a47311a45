//! `GET` and `PATCH /api/profile`: the caller's own account.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{AppendHeaders, IntoResponse},
};
use phalanx_auth::{
    Freshness, Password, PasswordHash, Refusal, UnixMs, Verdict,
    audit::{Event, LoginFailure},
};
use phalanx_telemetry::clock;
use serde::Serialize;
use utoipa::ToSchema;

use super::{NO_STORE, User};
use crate::{
    access::Caller,
    accounts::{Account, Changed, Credentials, Name, Wrote},
    body::{Fields, JsonObject},
    client::Client,
    document::ProfileChangeBody,
    grant::Grant,
    positions::Seen,
    problem::Problem,
    service::Service,
};

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
    let account = found.ok_or(Refusal::InvalidToken)?;
    Ok((NO_STORE, Json(User::from(&account))))
}

/// The account after a change, with tokens where the change has ended those that there were.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChangedProfile {
    #[serde(flatten)]
    user: User,
    /// After a change of the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// After a change of the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
}

/// What somebody wants to be different: one of both at least.
struct Change {
    name: Option<Name>,
    password: Option<NewPassword>,
}

struct NewPassword {
    /// Who knows it may choose another.
    current: Password,
    chosen: Password,
}

impl Change {
    fn read(mut fields: Fields, account: &Account) -> Result<Self, Problem> {
        let name = fields.optional_text("name", Name::parse);
        let called = name.as_ref().and_then(Option::as_ref).unwrap_or(&account.name);
        let known = [account.email.as_str(), called.as_str()];
        let current = fields.optional_text("current_password", Password::offered);
        let chosen = fields.optional_text("password", |text| Password::chosen(text, &known));
        let both = current.zip(chosen);
        match (&name, &both) {
            (Some(None), Some((None, None))) => fields.fault("", "must have `name` or `password`"),
            (_, Some((None, Some(_)))) => fields.fault("/current_password", "is missing"),
            (_, Some((Some(_), None))) => fields.fault("/password", "is missing"),
            _ => {}
        }
        let (name, (current, chosen)) = fields.finish(name.zip(both))?;
        let password = current.zip(chosen).map(|(current, chosen)| NewPassword { current, chosen });
        Ok(Self { name, password })
    }
}

/// What has become of an account.
struct Outcome {
    account: Account,
    wrote: Wrote,
    /// After another password.
    grant: Option<Grant>,
}

impl Outcome {
    fn take(&mut self, Changed { account, wrote }: Changed) {
        self.account = account;
        self.wrote.absorb(wrote);
    }
}

/// Changes the caller's name or password. Another password ends all sessions, and begins one.
#[utoipa::path(
    patch,
    path = "/api/profile",
    tag = "profile",
    request_body = ProfileChangeBody,
    responses(
        (status = 200, description = "The change is on disk.", body = ChangedProfile, headers(
            ("Set-Cookie" = String, description = "The cookie of the session that another password begins."),
        )),
        (status = 401, description = "No token that holds, or `Invalid credentials`: the current password is another."),
        (status = 409, description = "`Changed meanwhile`: the password was changed by another request."),
        (status = 429, description = "`Too many attempts` at the current password."),
    ),
)]
pub(crate) async fn change(
    State(service): State<Arc<Service>>,
    client: Client,
    caller: Caller,
    seen: Seen,
    body: JsonObject,
) -> Result<impl IntoResponse, Problem> {
    let found = service.accounts.credentials(caller.account, &seen.primary()).await?;
    let found = found.ok_or(Refusal::InvalidToken)?;
    let Change { name, password } = Change::read(body.fields(), &found.account)?;
    // Whatever may be refused is so before anything has changed.
    let hash = match password {
        Some(password) => {
            caller.confirm(&service, Freshness::Store).await?;
            Some(service.hash_of_new(&found, password, &client).await?)
        }
        None => None,
    };
    let work = Arc::clone(&service);
    let change = async move { work.change_profile(&caller, &client, found, name, hash).await };
    let Outcome { account, wrote, grant } = service.endings.carry_out(change).await?;
    let cookie = grant.as_ref().map_or(AppendHeaders(None), Grant::cookie);
    let (token, refresh_token) =
        grant.map(|Grant { tokens, .. }| (tokens.token, tokens.refresh_token)).unzip();
    let changed = ChangedProfile { user: User::from(&account), token, refresh_token };
    Ok((NO_STORE, service.positions.headers(seen, &wrote), cookie, Json(changed)))
}

impl Service {
    /// The hash of a password that its owner may choose, since he knows the one that he has.
    async fn hash_of_new(
        &self,
        found: &Credentials,
        NewPassword { current, chosen }: NewPassword,
        client: &Client,
    ) -> Result<PasswordHash, Problem> {
        let name = found.account.email.as_str();
        let attempt = self.begin_attempt(name, client).await?;
        let (attempt, verified) = self.verify(attempt, current, Some(found.password_hash.clone())).await?;
        if verified.verdict == Verdict::Mismatch {
            let (login, reason) = (&self.attempts.alias(name), LoginFailure::WrongPassword);
            Event::LoginFailed { login, reason }.record(Some(client.address));
            return Err(Problem::InvalidCredentials);
        }
        attempt.succeeded().await;
        Ok(self.hasher.hash(chosen).await?)
    }

    async fn change_profile(
        &self,
        caller: &Caller,
        client: &Client,
        found: Credentials,
        name: Option<Name>,
        hash: Option<PasswordHash>,
    ) -> Result<Outcome, Problem> {
        let epoch = found.account.epoch;
        let wrote = self.accounts.wrote(Vec::new());
        let mut outcome = Outcome { account: found.account, wrote, grant: None };
        if let Some(name) = name {
            outcome.take(self.accounts.rename(caller.account, &name).await?.ok_or(Refusal::InvalidToken)?);
        }
        if let Some(hash) = hash {
            // Before and after: if it ends in between, nobody could repeat it, and a thief's login would go on.
            let now = UnixMs::from(clock::wall());
            self.logins.end_all(caller.account.id(), caller.login(), now).await?;
            let changed = self.accounts.set_password(caller.account, &hash, epoch).await?;
            outcome.take(changed.ok_or(Problem::ChangedMeanwhile)?);
            Event::PasswordChanged { account: &caller.account.to_string() }.record(Some(client.address));
            self.begin_anew(client, &mut outcome).await?;
        }
        Ok(outcome)
    }

    /// Ends what was begun with the password before, and begins a login.
    async fn begin_anew(&self, client: &Client, outcome: &mut Outcome) -> Result<(), Problem> {
        let ended = self.end_logins(&outcome.account).await?;
        outcome.wrote.positions.extend(ended.position);
        if let Err(error) = ended.told {
            // The password is another all the same, and the revocation is told as soon as it can be.
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "the tokens of an old password are not revoked everywhere yet");
        }
        let grant = self.grant(&outcome.account, client).await?;
        outcome.wrote.positions.extend(grant.position);
        outcome.grant = Some(grant);
        Ok(())
    }
}
