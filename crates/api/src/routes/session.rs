//! `POST /api/auth/register` and `POST /api/auth/login`.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use phalanx_auth::{Password, Subject, Verdict};
use phalanx_telemetry::clock;
use serde::Serialize;

use super::{NO_STORE, User};
use crate::{
    accounts::{Account, Email, Name, NewAccount, RegisterError, Registered},
    body::JsonObject,
    positions::Seen,
    problem::Problem,
    router::Service,
};

#[derive(Serialize)]
struct Session {
    token: String,
    user: User,
}

pub(crate) async fn register(
    State(service): State<Arc<Service>>,
    seen: Seen,
    body: JsonObject,
) -> Result<impl IntoResponse, Problem> {
    let mut fields = body.fields();
    let email = fields.text("email", Email::parse);
    let password = fields.text("password", Password::chosen);
    let name = fields.text("name", Name::parse);
    let ((email, password), name) = fields.finish(email.zip(password).zip(name))?;
    let password_hash = service.hasher.hash(password).await?;
    let Registered { account, wrote } =
        service.accounts.register(NewAccount { email, name, password_hash }).await?;
    let positions = service.positions.headers(seen, &wrote);
    let location = [(header::LOCATION, format!("/api/users/{}", account.id))];
    Ok((StatusCode::CREATED, NO_STORE, location, positions, Json(session(&service, &account))))
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
            RegisterError::Id(error) => {
                tracing::error!(%error, "no id can be made");
                Self::Overloaded
            }
            RegisterError::Access(error) => error.into(),
        }
    }
}
