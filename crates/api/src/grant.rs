//! What somebody is given who has proved who he is: a login with its refresh token, an access token and, where the shared state
//! answers, a cookie.

use axum::{
    http::{HeaderName, HeaderValue, header},
    response::AppendHeaders,
};
use phalanx_auth::{Begun, LoginError, LoginId, NewSession, Subject, UnixMs, audit::Event};
use phalanx_data::Position;
use phalanx_telemetry::clock;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    access::COOKIE, accounts::Account, client::Client, problem::Problem, routes::User, service::Service,
};

/// A field of a response, or none.
pub(crate) type MaybeHeader = AppendHeaders<Option<(HeaderName, HeaderValue)>>;

/// What a login answers.
#[derive(Serialize, ToSchema)]
pub(crate) struct Tokens {
    /// An access token, for `Authorization: Bearer <token>`.
    pub(crate) token: String,
    /// What the next one is got with, once.
    pub(crate) refresh_token: String,
    pub(crate) user: User,
}

/// A login that has just begun.
pub(crate) struct Grant {
    pub(crate) login: LoginId,
    pub(crate) tokens: Tokens,
    /// Where the login can be seen from.
    pub(crate) position: Option<Position>,
    cookie: Option<HeaderValue>,
}

impl Service {
    /// Begins a login of `account`.
    pub(crate) async fn grant(&self, account: &Account, client: &Client) -> Result<Grant, Problem> {
        let now = UnixMs::from(clock::wall());
        let begun = self.logins.begin(account.id.id(), client.device.clone(), now).await?;
        let Begun { login, refresh_token, displaced, position } = begun;
        let displaced: Vec<_> = displaced.iter().map(ToString::to_string).collect();
        if !displaced.is_empty()
            && let Err(error) = self.revoke_logins(&displaced, self.issuer.lifetime()).await
        {
            // Their families have ended, and the revocation is told as soon as it can be.
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "logins that made room are not revoked everywhere yet");
        }
        let tokens = Tokens {
            token: self.access_token(account, login),
            refresh_token: refresh_token.as_str().to_owned(),
            user: User::from(account),
        };
        let cookie = self.cookie(account, login).await;
        let (id, session) = (account.id.to_string(), login.to_string());
        Event::LoginSucceeded { account: &id, session: &session }.record(Some(client.address));
        Ok(Grant { login, tokens, position, cookie })
    }

    /// A token of a login, as the account is at the moment.
    pub(crate) fn access_token(&self, account: &Account, login: LoginId) -> String {
        let (id, session) = (account.id.to_string(), login.to_string());
        let subject = Subject {
            subject: &id,
            session: Some(&session),
            epoch: account.epoch,
            roles: &[account.role.as_str()],
        };
        self.issuer.issue(&subject, clock::unix_seconds())
    }

    /// The cookie of a login; without the shared state there is none, and the tokens do.
    async fn cookie(&self, account: &Account, login: LoginId) -> Option<HeaderValue> {
        let (id, session) = (account.id.to_string(), login.to_string());
        let new =
            NewSession { id: &session, subject: &id, epoch: account.epoch, roles: &[account.role.as_str()] };
        match self.sessions.begin(new, clock::unix_seconds()).await {
            Ok(cookie) => {
                let lifetime = self.session_lifetimes.absolute_timeout;
                Some(COOKIE.set(cookie.as_str(), lifetime).expect("an id and base64url are plain"))
            }
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::debug!(error, "a login has no cookie");
                None
            }
        }
    }
}

impl Grant {
    /// For the response.
    pub(crate) fn cookie(&self) -> MaybeHeader {
        AppendHeaders(self.cookie.clone().map(|cookie| (header::SET_COOKIE, cookie)))
    }
}

/// Takes the cookie away.
pub(crate) fn without_cookie() -> [(HeaderName, HeaderValue); 1] {
    [(header::SET_COOKIE, COOKIE.clear())]
}

impl From<LoginError> for Problem {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Id(error) => {
                tracing::error!(%error, "no id can be made");
                Self::Overloaded
            }
            LoginError::Access(error) => error.into(),
            error => Self::internal(&error),
        }
    }
}
