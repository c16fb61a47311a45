//! `POST /api/auth/register` and `POST /api/auth/login`.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use phalanx_auth::{Password, Verdict};
use phalanx_telemetry::clock;
use serde::Serialize;

use super::{NO_STORE, User};
use crate::{
    accounts::{Account, AccountId, Email, Name, NewAccount, RegisterError, Registered},
    body::JsonObject,
    idempotency::{Begun, IdempotencyKey},
    positions::Seen,
    problem::Problem,
    router::Service,
};

#[derive(Serialize)]
struct Session {
    token: String,
    user: User,
}

/// Creates an account. Under an `Idempotency-Key` it does so once, however often it is sent.
pub(crate) async fn register(
    State(service): State<Arc<Service>>,
    seen: Seen,
    key: Option<IdempotencyKey>,
    body: JsonObject,
) -> Result<Response, Problem> {
    let payload = body.canonical();
    let mut fields = body.fields();
    let email = fields.text("email", Email::parse);
    let password = fields.text("password", Password::chosen);
    let name = fields.text("name", Name::parse);
    let ((email, password), name) = fields.finish(email.zip(password).zip(name))?;
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

pub(crate) async fn login(
    State(service): State<Arc<Service>>,
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
    match (service.hasher.verify(password, stored).await?, found) {
        (Verdict::Match, Some(found)) => Ok((NO_STORE, Json(session(&service, &found.account)))),
        _ => Err(Problem::InvalidCredentials),
    }
}

fn session(service: &Service, account: &Account) -> Session {
    let token = service.issuer.issue(&account.id.to_string(), account.role, clock::unix_seconds());
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
