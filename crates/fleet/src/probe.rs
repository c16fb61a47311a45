//! One probe of one replica: a connection, a `GET`, a program, or a call of gRPC's health service.
//!
//! Invariants: a probe is answered by its timeout, and reads no more of an answer than it needs, so a replica that
//! answers without end costs nothing. A probe that could not be made says nothing about the replica ([`ProbeError::answer`]).
//! Elsewhere: what a row of answers amounts to (`crate::life`).

mod exec;
mod grpc;
mod http;
mod probing;
#[cfg(test)]
mod tests;

use std::{fmt, io, net::SocketAddr, pin::Pin, process::ExitStatus, sync::Arc, time::Duration};

use phalanx_config::{Check, Probe};
use rustix::io::Errno;
use tokio::{net::TcpStream, time::timeout};
use tokio_util::sync::CancellationToken;

pub(crate) use self::probing::{LastAnswers, Probing};
use crate::{life::Answer, process::Groups, program::ProgramError, template::Template};

/// What a probe needs of the replica that it asks.
pub(crate) struct Target {
    pub(crate) template: Arc<Template>,
    pub(crate) instance: Arc<str>,
    pub(crate) address: SocketAddr,
    pub(crate) groups: Arc<Groups>,
    /// Cancelled when nobody waits for answers any more; a program that is a probe ends then.
    pub(crate) over: CancellationToken,
}

/// Why a probe was not answered as it should be; its text is what the user is told as the last answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProbeError {
    #[error("connection refused")]
    Refused,
    #[error("no answer within {0:?}")]
    Silent(Duration),
    #[error("HTTP status {0}")]
    Status(u16),
    #[error("an answer that is not HTTP/1")]
    NotHttp,
    #[error("an answer that is not gRPC: {0}")]
    NotGrpc(String),
    #[error("gRPC status {0}")]
    GrpcStatus(u16),
    #[error("health {0}")]
    NotServing(&'static str),
    #[error("the connection was closed without an answer")]
    Closed,
    #[error("{exit}, {words}")]
    Exit { exit: ExitStatus, words: String },
    #[error("the probe could not be made")]
    Unasked(#[from] Unasked),
    #[error("{0}")]
    Io(io::Error),
}

/// Why a probe could not be made: the fault is ours, not the replica's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unasked {
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error("{0}")]
    Io(io::Error),
}

impl ProbeError {
    /// What it says about the replica.
    pub(crate) fn answer(&self) -> Option<Answer> {
        match self {
            Self::Unasked(_) => None,
            Self::Refused
            | Self::Silent(_)
            | Self::Status(_)
            | Self::NotHttp
            | Self::NotGrpc(_)
            | Self::GrpcStatus(_)
            | Self::NotServing(_)
            | Self::Closed
            | Self::Exit { .. }
            | Self::Io(_) => Some(Answer::Bad),
        }
    }
}

/// What a probe asks for: "GET /ready".
pub(crate) struct Asked<'a>(pub(crate) &'a Probe);

impl fmt::Display for Asked<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = match &self.0.check {
            Check::Connect { port } => {
                formatter.write_str("connect")?;
                port
            }
            Check::Http { path, port } => {
                write!(formatter, "GET {path}")?;
                port
            }
            Check::Grpc { service, port } => {
                write!(formatter, "health of {service:?}")?;
                port
            }
            Check::Exec { command } => return formatter.write_str(&command.join(" ")),
        };
        port.map_or(Ok(()), |port| write!(formatter, " on port {port}"))
    }
}

type Asking<'a> = Pin<Box<dyn Future<Output = Result<(), ProbeError>> + Send + 'a>>;

/// Probes once.
async fn probe(target: &Target, probe: &Probe) -> Result<(), ProbeError> {
    let at = |port: &Option<u16>| SocketAddr::new(target.address.ip(), port.unwrap_or(target.address.port()));
    let asking: Asking<'_> = match &probe.check {
        // It takes its timeout itself: a program has to be ended, not just left.
        Check::Exec { command } => return exec::run(target, command, probe.timeout).await,
        Check::Connect { port } => Box::pin(connect(at(port))),
        Check::Http { path, port } => Box::pin(http::get(at(port), path)),
        Check::Grpc { service, port } => Box::pin(grpc::check(at(port), service)),
    };
    let answer = timeout(probe.timeout, target.over.run_until_cancelled(asking)).await;
    match answer {
        Ok(Some(answer)) => answer,
        // Nobody hears it.
        Ok(None) => Ok(()),
        Err(_) => Err(ProbeError::Silent(probe.timeout)),
    }
}

async fn connect(address: SocketAddr) -> Result<(), ProbeError> {
    TcpStream::connect(address).await?;
    Ok(())
}

impl From<io::Error> for ProbeError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            _ if is_ours(&error) => Self::Unasked(Unasked::Io(error)),
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => {
                Self::Closed
            }
            _ => Self::Io(error),
        }
    }
}

/// Whether this process, or this machine, has run out of something: file descriptors, memory, outgoing ports.
fn is_ours(error: &io::Error) -> bool {
    let ours = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS, Errno::ADDRNOTAVAIL];
    error.raw_os_error().is_some_and(|code| ours.iter().any(|errno| errno.raw_os_error() == code))
}
