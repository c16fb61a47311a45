//! Makes a connection to a server, or says what is in the way.

use std::{error::Error as _, sync::Arc, time::Duration};

use tokio::time::timeout;
use tokio_postgres::{
    Client, Connection, Error, Socket, config::SslMode, error::SqlState, tls::MakeTlsConnect,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{Pooler, ServerSettings, target::Target};
use crate::{AccessError, statement::Class};

/// The oldest that is tested against, and that its makers still maintain.
const VERSION_MIN: u32 = 14;
/// What was sent and not acknowledged for so long goes to a machine that is gone.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(5);

/// The half of a connection that moves bytes; a task polls it until it ends.
pub(crate) type Driver = Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// Why a server cannot be connected to. The password is in none of them.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is not one.
    #[error("the database URL is malformed: {fault}")]
    Url {
        /// What is wrong with it; never quotes it.
        fault: String,
    },
    /// The certificates to trust cannot be read.
    #[error("cannot read the certificates of `{path}`: {fault}")]
    Certificates {
        /// The file, or the system's store.
        path: String,
        /// What is wrong.
        fault: String,
    },
    /// Nobody answers there.
    #[error("cannot reach {server}: is PostgreSQL running there, and are host and port right?")]
    Unreachable {
        /// The server.
        server: Arc<str>,
        /// What the system or the TLS library said.
        source: Arc<Error>,
    },
    /// Nobody answered in time.
    #[error(
        "{server} did not answer within {waited:?}: is PostgreSQL running there, and are host and port right?"
    )]
    Timeout {
        /// The server.
        server: Arc<str>,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The user or the password is wrong.
    #[error("{server} refuses the password of user `{user}`: correct the URL's user and password")]
    Password {
        /// The server.
        server: Arc<str>,
        /// The user.
        user: String,
    },
    /// The server's rules (`pg_hba.conf`) forbid this user, host or database, or demand TLS.
    #[error(
        "{server} does not let user `{user}` in ({message}): correct the URL, or the rules in its pg_hba.conf"
    )]
    Forbidden {
        /// The server.
        server: Arc<str>,
        /// The user.
        user: String,
        /// What the server said.
        message: String,
    },
    /// The database does not exist.
    #[error("{server} has no such database: create it, or correct the URL")]
    NoDatabase {
        /// The server.
        server: Arc<str>,
    },
    /// The server takes only connections with TLS.
    #[error("{server} takes only connections with TLS: add `sslmode=require` to the URL")]
    TlsRequired {
        /// The server.
        server: Arc<str>,
    },
    /// The URL demands TLS, and the server has none.
    #[error("{server} has no TLS: switch it on there, or add `sslmode=disable` to the URL")]
    NoTls {
        /// The server.
        server: Arc<str>,
    },
    /// The server's certificate was not proven.
    #[error("the certificate of {server} is not trusted: name its issuer with `sslrootcert` in the URL")]
    Untrusted {
        /// The server.
        server: Arc<str>,
        /// What the TLS library said.
        source: Arc<Error>,
    },
    /// The server is older than this program can use.
    #[error("{server} runs PostgreSQL {found}, and at least version {wanted} is needed: upgrade it")]
    TooOld {
        /// The server.
        server: Arc<str>,
        /// Its version.
        found: String,
        /// The oldest that is known to work.
        wanted: u32,
    },
    /// The server has no connection left (`max_connections`).
    #[error(
        "{server} has no connection left: raise its max_connections, or lower the connections of each replica"
    )]
    TooManyConnections {
        /// The server.
        server: Arc<str>,
    },
    /// The server starts, stops or recovers.
    #[error("{server} is starting up or shutting down: wait until it takes connections")]
    NotReady {
        /// The server.
        server: Arc<str>,
    },
    /// It lets this user in, and does not say what it is.
    #[error("{server} does not answer what it is")]
    Unanswered {
        /// The server.
        server: Arc<str>,
        /// How the question failed.
        source: Arc<AccessError>,
    },
    /// Anything else.
    #[error("cannot connect to {server}")]
    Other {
        /// The server.
        server: Arc<str>,
        /// What it said.
        source: Arc<Error>,
    },
    /// The server was closed on this side.
    #[error("{server} is closed")]
    Closed {
        /// The server.
        server: Arc<str>,
    },
}

impl ConnectError {
    /// Whether the URL, or a file that it names, is wrong: nobody was asked anything then.
    #[must_use]
    pub fn is_setting(&self) -> bool {
        matches!(self, Self::Url { .. } | Self::Certificates { .. })
    }
}

/// Connects, with a session as the class of statements wants it.
pub(super) async fn connect(
    target: &Target,
    settings: &ServerSettings,
    class: Class,
) -> Result<(Client, Driver), ConnectError> {
    let mut config = target.config.clone();
    config
        .application_name(&settings.application_name)
        .tcp_user_timeout(UNACKNOWLEDGED_MAX)
        .keepalives_idle(UNACKNOWLEDGED_MAX)
        .keepalives_interval(UNACKNOWLEDGED_MAX / 5)
        .keepalives_retries(5);
    // A pooler's sessions are others' as well: it refuses settings of theirs.
    if settings.pooler == Pooler::None {
        let given = config.get_options().unwrap_or_default();
        let options = format!("{given} {}", session_options(settings, class));
        config.options(options.trim());
    }
    // The connecting goes to one server alone, so its own limit would be the same one.
    let connecting = timeout(settings.connect_timeout, config.connect(target.tls.clone()));
    let (client, driver) = match connecting.await {
        Ok(Ok(connected)) => connected,
        Ok(Err(error)) => return Err(judge(target, error)),
        Err(_) => {
            return Err(ConnectError::Timeout {
                server: Arc::clone(&target.name),
                waited: settings.connect_timeout,
            });
        }
    };
    let found = driver.parameter("server_version").unwrap_or_default();
    if major(found).is_none_or(|major| major < VERSION_MIN) {
        let found = found.to_owned();
        return Err(ConnectError::TooOld { server: Arc::clone(&target.name), found, wanted: VERSION_MIN });
    }
    Ok((client, driver))
}

fn session_options(settings: &ServerSettings, class: Class) -> String {
    let statement_timeout = match class {
        Class::Shared => settings.shared_statement_timeout,
        Class::Exclusive => settings.statement_timeout,
    };
    format!(
        "-c statement_timeout={} -c lock_timeout={} -c idle_in_transaction_session_timeout={}",
        statement_timeout.as_millis(),
        settings.lock_timeout.min(statement_timeout).as_millis(),
        settings.idle_in_transaction_timeout.as_millis(),
    )
}

/// `15.14 (Debian 15.14-0+deb12u1)` and `17beta1` tell their first number.
fn major(version: &str) -> Option<u32> {
    let digits = version.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(version.len());
    version.get(..digits)?.parse().ok()
}

fn judge(target: &Target, error: Error) -> ConnectError {
    let server = Arc::clone(&target.name);
    let user = target.user.to_string();
    let Some(said) = error.as_db_error() else { return judge_unsaid(target, error) };
    let message = said.message().to_owned();
    match *said.code() {
        SqlState::INVALID_PASSWORD => ConnectError::Password { server, user },
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION if message.contains("does not exist") => {
            ConnectError::Password { server, user }
        }
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION
            if target.config.get_ssl_mode() == SslMode::Disable
                && (message.contains("no encryption") || message.contains("SSL off")) =>
        {
            ConnectError::TlsRequired { server }
        }
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION => ConnectError::Forbidden { server, user, message },
        SqlState::INVALID_CATALOG_NAME => ConnectError::NoDatabase { server },
        SqlState::TOO_MANY_CONNECTIONS => ConnectError::TooManyConnections { server },
        SqlState::CANNOT_CONNECT_NOW | SqlState::ADMIN_SHUTDOWN | SqlState::CRASH_SHUTDOWN => {
            ConnectError::NotReady { server }
        }
        _ => ConnectError::Other { server, source: Arc::new(error) },
    }
}

/// Failures that the server did not put into words. The library tells their kinds by text alone.
fn judge_unsaid(target: &Target, error: Error) -> ConnectError {
    let server = Arc::clone(&target.name);
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    match error.to_string().as_str() {
        "error performing TLS handshake" if cause.contains("does not support TLS") => {
            ConnectError::NoTls { server }
        }
        "error performing TLS handshake" => ConnectError::Untrusted { server, source: Arc::new(error) },
        "invalid configuration" if cause.contains("password") => {
            ConnectError::Password { server, user: target.user.to_string() }
        }
        "error connecting to server" | "error communicating with the server" | "connection closed" => {
            ConnectError::Unreachable { server, source: Arc::new(error) }
        }
        _ => ConnectError::Other { server, source: Arc::new(error) },
    }
}
