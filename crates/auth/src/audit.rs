//! What is told of accounts and logins, for who has to find out later what happened.
//!
//! Events go to the target `audit`, one line each, with the message `audit` and the event as a field. Invariants: no event has a field for a password,
//! a token or an e-mail address, so none can be told; text that came from a client is escaped and cut.
//! Elsewhere: where lines go and in which form (`phalanx_telemetry::logs`).

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use phalanx_telemetry::escape::escaped;

use crate::{Alias, RetryAfter};

/// Longer ids are cut: ours have 19 digits.
const ID_CHARS_MAX: usize = 64;

/// Something that happened to an account or a login. Ids are the `sub` and `sid` of tokens.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// An account came to be.
    Registered {
        /// It.
        account: &'a str,
    },
    /// Somebody had the password.
    LoginSucceeded {
        /// Whose account.
        account: &'a str,
        /// The login that began.
        session: &'a str,
    },
    /// Somebody had not.
    LoginFailed {
        /// Stands for what was written as the name of the account, which may be a password in the wrong field.
        login: &'a Alias,
        /// Why.
        reason: LoginFailure,
    },
    /// Somebody has to come back later.
    LoginThrottled {
        /// As in [`Self::LoginFailed`].
        login: &'a Alias,
        /// When.
        retry_after: RetryAfter,
    },
    /// A refresh token came again after its successor was in use: one of the two who had it is a thief. The login has ended.
    RefreshReused {
        /// Whose account.
        account: &'a str,
        /// The login.
        session: &'a str,
    },
    /// The owner ended the login he came with.
    LoggedOut {
        /// Whose account.
        account: &'a str,
        /// The login.
        session: &'a str,
    },
    /// The owner ended all his logins.
    LoggedOutEverywhere {
        /// Whose account.
        account: &'a str,
    },
    /// The owner ended another of his logins.
    SessionEnded {
        /// Whose account.
        account: &'a str,
        /// The login that ended.
        session: &'a str,
    },
    /// The owner has another password.
    PasswordChanged {
        /// Whose account.
        account: &'a str,
    },
    /// The same password was hashed anew, because its hash was an imported one or made with other parameters.
    PasswordRehashed {
        /// Whose account.
        account: &'a str,
    },
    /// An account may do something else than before.
    RoleChanged {
        /// Which account.
        account: &'a str,
        /// What it may do.
        role: &'a str,
        /// The account of who decided that.
        by: &'a str,
    },
    /// An account cannot log in for the time being.
    AccountDisabled {
        /// Which account.
        account: &'a str,
        /// The account of who decided that.
        by: &'a str,
    },
    /// An account can log in again.
    AccountEnabled {
        /// Which account.
        account: &'a str,
        /// The account of who decided that.
        by: &'a str,
    },
}

/// Why a login failed. Clients get one answer to all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoginFailure {
    /// There is no such account.
    UnknownAccount,
    /// The password is another.
    WrongPassword,
    /// The account is disabled; the password was right.
    Disabled,
}

impl LoginFailure {
    fn as_str(self) -> &'static str {
        match self {
            Self::UnknownAccount => "unknown_account",
            Self::WrongPassword => "wrong_password",
            Self::Disabled => "disabled",
        }
    }
}

/// An event as its fields; those that it has not are left out of the line.
#[derive(Default)]
struct Line<'a> {
    event: &'static str,
    account: Option<&'a str>,
    session: Option<&'a str>,
    login: Option<&'a Alias>,
    reason: Option<&'static str>,
    retry_after_seconds: Option<u64>,
    role: Option<&'a str>,
    by: Option<&'a str>,
}

impl<'a> Event<'a> {
    /// Tells it. `client` is the address that the request came from, where one is known.
    pub fn record(&self, client: Option<IpAddr>) {
        let Line { event, account, session, login, reason, retry_after_seconds, role, by } = self.line();
        let [account, session, role, by] = [account, session, role, by].map(|text| text.map(harmless));
        tracing::info!(
            target: "audit",
            event,
            account = account.as_deref(),
            session = session.as_deref(),
            login = login.map(Alias::as_str),
            reason,
            retry_after_seconds,
            role = role.as_deref(),
            by = by.as_deref(),
            client = client.map(tracing::field::display),
            "audit"
        );
    }

    fn line(&self) -> Line<'a> {
        let of = |event, account| Line { event, account: Some(account), ..Line::default() };
        let of_login = |event, account, session| Line {
            event,
            account: Some(account),
            session: Some(session),
            ..Line::default()
        };
        let refused = |event, login| Line { event, login: Some(login), ..Line::default() };
        match *self {
            Self::Registered { account } => of("registered", account),
            Self::LoginSucceeded { account, session } => of_login("login_succeeded", account, session),
            Self::LoginFailed { login, reason } => {
                Line { reason: Some(reason.as_str()), ..refused("login_failed", login) }
            }
            Self::LoginThrottled { login, retry_after } => {
                Line { retry_after_seconds: Some(retry_after.seconds()), ..refused("login_throttled", login) }
            }
            Self::RefreshReused { account, session } => of_login("refresh_reused", account, session),
            Self::LoggedOut { account, session } => of_login("logged_out", account, session),
            Self::LoggedOutEverywhere { account } => of("logged_out_everywhere", account),
            Self::SessionEnded { account, session } => of_login("session_ended", account, session),
            Self::PasswordChanged { account } => of("password_changed", account),
            Self::PasswordRehashed { account } => of("password_rehashed", account),
            Self::RoleChanged { account, role, by } => {
                Line { role: Some(role), by: Some(by), ..of("role_changed", account) }
            }
            Self::AccountDisabled { account, by } => Line { by: Some(by), ..of("account_disabled", account) },
            Self::AccountEnabled { account, by } => Line { by: Some(by), ..of("account_enabled", account) },
        }
    }
}

/// An id or a role, which another issuer of tokens may have made of anything.
fn harmless(text: &str) -> String {
    let end = text.char_indices().nth(ID_CHARS_MAX).map(|(end, _)| end);
    let mut harmless = escaped(&text[..end.unwrap_or(text.len())]).to_string();
    if end.is_some() {
        harmless.push('…');
    }
    harmless
}
