//! The address of a server: a URL that holds a password, which nothing here shows.

use std::{fmt, sync::Arc};

/// `postgres://user:password@host:port/database?options`, checked. It shows itself as `host:port/database`.
#[derive(Clone)]
pub struct ServerUrl {
    text: Arc<str>,
    name: Arc<str>,
}

/// Why a text is not the address of a server. It never repeats the text, which may hold a password anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerUrlError {
    /// It begins otherwise.
    #[error("does not begin with `postgres://`: write it as `postgres://user:password@host:5432/database`")]
    Scheme,
    /// The rest cannot be read.
    #[error(
        "cannot be read: in a user name or a password write `@` as %40, `:` as %3A, `/` as %2F, `?` as %3F, `#` as %23, `%` as %25"
    )]
    Malformed,
    /// It names no host.
    #[error("names no host: write it as `postgres://user:password@host:5432/database`")]
    NoHost,
    /// It names several.
    #[error("names several hosts: name each server of a shard by itself, the standbys as its replicas")]
    SeveralHosts,
    /// It names no database.
    #[error("names no database: append `/` and its name")]
    NoDatabase,
    /// It names no user.
    #[error("names no user: write `user@` or `user:password@` before the host")]
    NoUser,
}

impl ServerUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// When it is none of a single PostgreSQL database.
    pub fn parse(text: &str) -> Result<Self, ServerUrlError> {
        if !["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Err(ServerUrlError::Scheme);
        }
        Self::read(text).ok_or(ServerUrlError::Malformed)?
    }

    /// `None` where the text has no such shape, above all for a character that has to be escaped.
    fn read(text: &str) -> Option<Result<Self, ServerUrlError>> {
        let (_, rest) = text.split_once("://")?;
        let rest = rest.split_once('?').map_or(rest, |(address, _options)| address);
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, place) = authority.rsplit_once('@').unwrap_or(("", authority));
        if user.contains('@') {
            return None;
        }
        if place.contains(',') {
            return Some(Err(ServerUrlError::SeveralHosts));
        }
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse::<u16>().ok()?),
            _ => (place, 5432),
        };
        let fault = match (host, database, user.split(':').next().unwrap_or_default()) {
            ("", ..) => Some(ServerUrlError::NoHost),
            (_, "", _) => Some(ServerUrlError::NoDatabase),
            (.., "") => Some(ServerUrlError::NoUser),
            _ => None,
        };
        let name = || Arc::from(format!("{host}:{port}/{database}"));
        Some(fault.map_or_else(|| Ok(Self { text: Arc::from(text), name: name() }), Err))
    }

    /// Of a file, which stands in a topology as a server does.
    pub(crate) fn of_file(path: &str) -> Self {
        Self { text: Arc::from(path), name: Arc::from(path) }
    }

    /// What errors, logs and metrics call it: `host:port/database`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The URL, with its password: for who connects and nobody else.
    pub(crate) fn secret(&self) -> &str {
        &self.text
    }
}

/// With the password: a topology that changes it changes the server.
impl PartialEq for ServerUrl {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for ServerUrl {}

impl fmt::Display for ServerUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("ServerUrl").field(&self.name).finish()
    }
}
