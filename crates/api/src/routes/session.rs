//! `POST /api/auth/register` and `POST /api/auth/login`.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use phalanx_auth::{Password, Subject, Verdict, Verified};
use phalanx_telemetry::clock;
use serde::Serialize;
use utoipa::ToSchema;

use super::{NO_STORE, User};
use crate::{
    accounts::{Account, AccountId, Email, Name, NewAccount, RegisterError, Registered},
    body::JsonObject,
    client_address::ClientAddress,
    document::{Credentials, RegistrationBody},
    idempotency::{Begun, IdempotencyKey},
    positions::Seen,
    problem::Problem,
    router::Service,
};

/// What somebody may do from then on.
#[derive(Serialize, ToSchema)]
pub(crate) struct Session {
    /// An access token, for `Authorization: Bearer <token>`.
    token: String,
    user: User,
}

/// Makes an account, and logs it in. Under an `Idempotency-Key` it does so once, however often it is sent.
#[utoipa::path(
    post,
    path = "/api/auth/register",
    tag = "authentication",
    params(("Idempotency-Key" = Option<String>, Header, description = "One of the client's making for this account.")),
    request_body = RegistrationBody,
    responses(
        (status = 201, description = "The account is on disk.", body = Session,
            headers(("Location" = String, description = "The account as anybody sees it."))),
        (status = 409, description = "`Email already registered`, or the key is in use."),
    ),
)]
pub(crate) async fn register(
    State(service): State<Arc<Service>>,
    seen: Seen,
    key: Option<IdempotencyKey>,
    body: JsonObject,
) -> Result<Response, Problem> {
    let payload = body.canonical();
    let mut fields = body.fields();
    let email = fields.text("email", Email::parse);
    let name = fields.text("name", Name::parse);
    let known = [email.as_ref().map(Email::as_str), name.as_ref().map(Name::as_str)];
    let known: Vec<&str> = known.into_iter().flatten().collect();
    let password = fields.text("password", |text| Password::chosen(text, &known));
    let ((email, name), password) = fields.finish(email.zip(name).zip(password))?;
    let registration = Registration { email, password, name };
    let id = service.accounts.reserve()?;
    let Some(key) = key else { return registration.carry_out(&service, seen, id).await };
    match service.idempotency.begin(&key, &payload, id).await? {
        Begun::Fresh(ticket) => {
            let outcome = registration.carry_out(&service, seen, ticket.account_id()).await;
            ticket.settle(outcome).await
        }
        Begun::Replay(answer) => Ok(answer.replayed()),
        Begun::Mismatch => Err(Problem::KeyReused),
        Begun::InFlight => Err(Problem::KeyInUse),
    }
}

/// What somebody registers with.
struct Registration {
    email: Email,
    password: Password,
    name: Name,
}

impl Registration {
    async fn carry_out(self, service: &Service, seen: Seen, id: AccountId) -> Result<Response, Problem> {
        let Self { email, password, name } = self;
        let password_hash = service.hasher.hash(password).await?;
        let Registered { account, wrote } =
            service.accounts.register(id, NewAccount { email, name, password_hash }).await?;
        let positions = service.positions.headers(seen, &wrote);
        let location = [(header::LOCATION, format!("/api/users/{}", account.id))];
        let session = Json(session(service, &account));
        Ok((StatusCode::CREATED, NO_STORE, location, positions, session).into_response())
    }
}

/// Exchanges email and password for a token.
#[utoipa::path(
    post,
    path = "/api/auth/login",
    tag = "authentication",
    request_body = Credentials,
    responses(
        (status = 200, description = "The password is that of the account.", body = Session),
        (status = 401, description = "`Invalid credentials`: no account has this email and password."),
    ),
)]
pub(crate) async fn login(
    State(service): State<Arc<Service>>,
    ClientAddress(client): ClientAddress,
    seen: Seen,
    body: JsonObject,
) -> Result<impl IntoResponse, Problem> {
    let mut fields = body.fields();
    // What cannot be an address belongs to no account, and gets the same answer in the same time.
    let email = fields.text("email", |text| Ok::<_, std::convert::Infallible>(Email::parse(text).ok()));
    let password = fields.text("password", Password::offered);
    let (email, password) = fields.finish(email.zip(password))?;
    let found = match email {
        Some(email) => service.accounts.by_email(&email, &seen.consistency()).await?,
        None => None,
    };
    let stored = found.as_ref().map(|found| found.password_hash.clone());
    let Verified { verdict, .. } = service.hasher.verify(password, stored).await?;
    match (verdict, found) {
        (Verdict::Match, Some(found)) => Ok((NO_STORE, Json(session(&service, &found.account)))),
        _ => {
            tracing::info!(%client, "a login was refused");
            Err(Problem::InvalidCredentials)
        }
    }
}

fn session(service: &Service, account: &Account) -> Session {
    let id = account.id.to_string();
    // An account has one login here, which is named as it is.
    let subject = Subject { subject: &id, session: Some(&id), epoch: 0, roles: &[account.role.as_str()] };
    let token = service.issuer.issue(&subject, clock::unix_seconds());
    Session { token, user: User::from(account) }
}

impl From<RegisterError> for Problem {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::EmailTaken => Self::EmailTaken,
            RegisterError::ClaimLost => Self::Overloaded,
            RegisterError::Id(error) => {
                tracing::error!(%error, "no id can be made");
                Self::Overloaded
            }
            RegisterError::Access(error) => error.into(),
        }
    }
}
