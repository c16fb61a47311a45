//! `POST /api/auth/register`.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use phalanx_auth::{Password, audit::Event};

use super::NO_STORE;
use crate::{
    accounts::{AccountId, Email, Name, NewAccount, RegisterError, Registered},
    body::JsonObject,
    client::Client,
    document::RegistrationBody,
    grant::Tokens,
    idempotency::{Begun, IdempotencyKey},
    positions::Seen,
    problem::Problem,
    service::Service,
};

/// Makes an account, and logs it in. Under an `Idempotency-Key` it does so once, however often it is sent.
#[utoipa::path(
    post,
    path = "/api/auth/register",
    tag = "authentication",
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[!-~]+$",
        description = "What the client calls this one request, however often it sends it.")),
    request_body = RegistrationBody,
    responses(
        (status = 201, description = "The account is on disk.", body = Tokens, headers(
            ("Location" = String, description = "The account as anybody sees it."),
            ("Set-Cookie" = String, description = "The cookie of the session."),
        )),
        (status = 409, description = "`Email already registered`, or the key is in use."),
    ),
)]
pub(crate) async fn register(
    State(service): State<Arc<Service>>,
    client: Client,
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
    let registration = Registration { email, password, name, client };
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
    client: Client,
}

impl Registration {
    async fn carry_out(self, service: &Service, seen: Seen, id: AccountId) -> Result<Response, Problem> {
        let Self { email, password, name, client } = self;
        let password_hash = service.hasher.hash(password).await?;
        let new = NewAccount { email, name, password_hash };
        let Registered { account, mut wrote } = service.accounts.register(id, new).await?;
        let id = account.id.to_string();
        Event::Registered { account: &id }.record(Some(client.address));
        let grant = service.grant(&account, &client).await?;
        wrote.positions.extend(grant.position);
        let positions = service.positions.headers(seen, &wrote);
        let location = [(header::LOCATION, format!("/api/users/{id}"))];
        let cookie = grant.cookie();
        Ok((StatusCode::CREATED, NO_STORE, location, positions, cookie, Json(grant.tokens)).into_response())
    }
}

impl From<RegisterError> for Problem {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::EmailTaken => Self::EmailTaken,
            RegisterError::Id(error) => {
                tracing::error!(%error, "no id can be made");
                Self::Overloaded
            }
            RegisterError::ClaimLost => Self::Overloaded,
            RegisterError::Access(error) => error.into(),
        }
    }
}
