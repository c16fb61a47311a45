//! How an attempt can fail before the client has been told anything, and what follows from it: status, blame and
//! repetition are decided here. What fails later is told by a reset (`super::attempt`).

use std::io;

use phalanx_config::ServiceName;
use phalanx_http1::ResponseFault;
use rustix::io::Errno;

use crate::worker::Repeatable;

/// An attempt that failed while the client could still be answered otherwise.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// No connection stands; nothing was sent.
    #[error("it refuses connections: {0}")]
    Connect(io::Error),
    /// This machine has no socket left to connect with.
    #[error("the gateway cannot open another connection: {0}")]
    NoSocket(io::Error),
    /// No connection stood in time; nothing was sent.
    #[error("no connection stood in time")]
    ConnectTimeout,
    /// A connection that had been idle ended before the first byte of a response.
    #[error("it closed an idle connection")]
    IdleConnectionClosed,
    /// A new connection ended before the first byte of a response.
    #[error("it closed the connection without a response")]
    Closed,
    /// A connection was reset before the first byte of a response.
    #[error("it reset the connection: {0}")]
    Reset(io::Error),
    /// It takes no bytes.
    #[error("it did not take the request in time")]
    SendTimeout,
    /// It sends no bytes.
    #[error("it did not answer in time")]
    ReadTimeout,
    /// The connection ended after the first byte of a response, and before the end of its head.
    #[error("its response ended before the end of its head")]
    HeadTruncated,
    /// What it sent is no response.
    #[error("its response is malformed: {0}")]
    Malformed(ResponseFault),
    /// More interim responses than anybody needs.
    #[error("it sent too many interim responses")]
    InterimFlood,
    /// It switches to a protocol that it was not asked for.
    #[error("it switches protocols unasked")]
    UnaskedUpgrade,
    /// The client's chunked body is malformed.
    #[error("the chunked body of the request is malformed")]
    ClientChunk,
    /// The client's chunked body is larger than the route takes.
    #[error("the body of the request is larger than this route takes")]
    ClientBodyTooLarge,
    /// The client stopped in the middle of its body.
    #[error("the body of the request did not arrive in time")]
    ClientStalled,
}

/// What to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Send the request to the same endpoint on a new connection.
    FreshConnection,
    /// Send the request to another endpoint.
    OtherEndpoint,
    /// Tell the client.
    Answer,
}

impl Failure {
    /// Why no connection could be made.
    pub(super) fn of_connecting(error: io::Error) -> Self {
        let ours = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::ADDRNOTAVAIL];
        match Errno::from_io_error(&error) {
            Some(errno) if ours.contains(&errno) => Self::NoSocket(error),
            _ => Self::Connect(error),
        }
    }

    /// What to do about it, when a request may (not) be sent again after it may have been processed.
    pub(super) fn remedy(&self, repeatable: Repeatable) -> Remedy {
        match self {
            Self::IdleConnectionClosed | Self::Closed | Self::Reset(_) if repeatable == Repeatable::No => {
                Remedy::Answer
            }
            Self::IdleConnectionClosed => Remedy::FreshConnection,
            // Without a connection nothing was sent, and no method forbids another try.
            Self::Connect(_) | Self::ConnectTimeout | Self::Closed | Self::Reset(_) => Remedy::OtherEndpoint,
            // Another endpoint needs a socket too.
            Self::NoSocket(_)
            // After a timeout the endpoint may still be at work on it, and a second one would make that worse.
            | Self::SendTimeout
            | Self::ReadTimeout
            | Self::HeadTruncated
            | Self::Malformed(_)
            | Self::InterimFlood
            | Self::UnaskedUpgrade
            | Self::ClientChunk
            | Self::ClientBodyTooLarge
            | Self::ClientStalled => Remedy::Answer,
        }
    }

    /// Whether it speaks against the endpoint.
    pub(super) fn blames_endpoint(&self) -> bool {
        match self {
            Self::Connect(_)
            | Self::ConnectTimeout
            | Self::Closed
            | Self::Reset(_)
            | Self::SendTimeout
            | Self::ReadTimeout
            | Self::HeadTruncated
            | Self::Malformed(_)
            | Self::InterimFlood
            | Self::UnaskedUpgrade => true,
            // To close an idle connection is anybody's right.
            Self::NoSocket(_)
            | Self::IdleConnectionClosed
            | Self::ClientChunk
            | Self::ClientBodyTooLarge
            | Self::ClientStalled => false,
        }
    }

    /// Whether the endpoint was too slow.
    pub(super) fn is_timeout(&self) -> bool {
        matches!(self, Self::ConnectTimeout | Self::SendTimeout | Self::ReadTimeout)
    }

    /// What the client is told. Which endpoint it was is for the operator to know.
    pub(super) fn detail(&self, service: &ServiceName) -> String {
        match self {
            Self::NoSocket(_) | Self::ClientChunk | Self::ClientBodyTooLarge | Self::ClientStalled => {
                self.to_string()
            }
            _ => format!("an endpoint of service `{service}` failed: {self}"),
        }
    }

    /// The status that the client is told.
    pub(super) fn status(&self) -> u16 {
        match self {
            Self::ClientChunk => 400,
            Self::ClientStalled => 408,
            Self::ClientBodyTooLarge => 413,
            Self::NoSocket(_) => 503,
            Self::ConnectTimeout | Self::SendTimeout | Self::ReadTimeout => 504,
            Self::Connect(_)
            | Self::IdleConnectionClosed
            | Self::Closed
            | Self::Reset(_)
            | Self::HeadTruncated
            | Self::Malformed(_)
            | Self::InterimFlood
            | Self::UnaskedUpgrade => 502,
        }
    }
}
