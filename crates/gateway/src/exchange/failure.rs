//! How an attempt can fail before the client has been told anything, and what follows from it: status, blame and
//! repetition are decided here. What fails later is told by a reset (`super::attempt`).

use std::io;

use phalanx_config::ServiceName;
use phalanx_http1::ResponseFault;
use rustix::io::Errno;

use crate::{
    answer::{Answer, RETRY_AFTER},
    worker::{OpenError, Repeatable},
};

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
    /// As many requests wait for a connection to it as may; nothing was sent.
    #[error("too many requests wait for a connection to it")]
    TooManyPending,
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
    /// It stopped being ready before the first byte of a response, and the request has left it for another.
    #[error("it stopped being ready before it answered")]
    Unready,
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
    /// The connection goes away, and the request was not processed on it.
    #[error("it closes the connection, and has not processed the request")]
    GoneAway,
    /// It says that it has not processed the request.
    #[error("it refused the request")]
    Refused,
    /// It says so of a request of whose body it has been sent a part, which is gone.
    #[error("it refused the request in the middle of its body")]
    RefusedMidway,
    /// It was to speak HTTP/2 and speaks something else.
    #[error("it does not speak HTTP/2")]
    NotHttp2,
    /// Its response breaks the rules of HTTP/2.
    #[error("its response is malformed: {0}")]
    MalformedStream(h2::Reason),
    /// The request cannot be said in what the endpoint speaks.
    #[error("the request has no form in HTTP/2")]
    Untranslatable,
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

    /// Why no connection that carries many requests could be had.
    pub(super) fn of_opening(error: OpenError) -> Self {
        match error {
            OpenError::Connect { code: Some(code), .. } => {
                Self::of_connecting(io::Error::from_raw_os_error(code))
            }
            OpenError::Connect { code: None, kind } => Self::of_connecting(kind.into()),
            OpenError::Timeout => Self::ConnectTimeout,
            OpenError::NotHttp2 => Self::NotHttp2,
        }
    }

    /// Why a request ended early whose response had not begun, on a connection that carries many.
    pub(super) fn of_stream(error: h2::Error) -> Self {
        match (error.reason(), error.is_remote()) {
            // The peer tells up to which request it has processed them, and fails only those behind (RFC 9113, section 6.8).
            (Some(_), true) if error.is_go_away() => Self::GoneAway,
            (Some(h2::Reason::REFUSED_STREAM), true) => Self::Refused,
            (Some(reason), false) if error.is_reset() => Self::MalformedStream(reason),
            (Some(_), _) => Self::Reset(io::Error::other(error)),
            (None, _) => Self::Closed,
        }
    }

    /// What to do about it, when a request may (not) be sent again after it may have been processed.
    pub(super) fn remedy(&self, repeatable: Repeatable) -> Remedy {
        match self {
            Self::IdleConnectionClosed | Self::Closed | Self::Reset(_) if repeatable == Repeatable::No => {
                Remedy::Answer
            }
            Self::IdleConnectionClosed | Self::GoneAway => Remedy::FreshConnection,
            // Without a connection nothing was sent, and no method forbids another try; nor where the endpoint says so.
            Self::Connect(_)
            | Self::ConnectTimeout
            | Self::TooManyPending
            | Self::NotHttp2
            | Self::Refused
            | Self::Unready
            | Self::Closed
            | Self::Reset(_) => Remedy::OtherEndpoint,
            // Another endpoint needs a socket too.
            Self::NoSocket(_)
            // After a timeout the endpoint may still be at work on it, and a second one would make that worse.
            | Self::SendTimeout
            | Self::ReadTimeout
            | Self::HeadTruncated
            | Self::Malformed(_)
            | Self::InterimFlood
            | Self::UnaskedUpgrade
            | Self::MalformedStream(_)
            | Self::RefusedMidway
            | Self::Untranslatable
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
            | Self::UnaskedUpgrade
            | Self::NotHttp2
            | Self::MalformedStream(_) => true,
            // To close an idle connection is anybody's right, and so is to say in time that no more is taken. Whoever found it not
            // ready has judged it.
            Self::NoSocket(_)
            | Self::Unready
            | Self::TooManyPending
            | Self::IdleConnectionClosed
            | Self::GoneAway
            | Self::Refused
            | Self::RefusedMidway
            | Self::Untranslatable
            | Self::ClientChunk
            | Self::ClientBodyTooLarge
            | Self::ClientStalled => false,
        }
    }

    /// Whether the endpoint got nothing of the request: another attempt adds no load to anybody who has answered it.
    pub(super) fn sent_nothing(&self) -> bool {
        match self {
            Self::Connect(_)
            | Self::NoSocket(_)
            | Self::ConnectTimeout
            | Self::TooManyPending
            | Self::NotHttp2
            | Self::Untranslatable => true,
            // An endpoint that refuses what it was sent may do so because it has too much.
            Self::GoneAway
            | Self::Refused
            | Self::Unready
            | Self::RefusedMidway
            | Self::IdleConnectionClosed
            | Self::Closed
            | Self::Reset(_)
            | Self::SendTimeout
            | Self::ReadTimeout
            | Self::HeadTruncated
            | Self::Malformed(_)
            | Self::MalformedStream(_)
            | Self::InterimFlood
            | Self::UnaskedUpgrade
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
    pub(super) fn answer(&self, service: &ServiceName) -> Answer {
        let detail = match self {
            Self::NoSocket(_) | Self::ClientChunk | Self::ClientBodyTooLarge | Self::ClientStalled => {
                self.to_string()
            }
            _ => format!("an endpoint of service `{service}` failed: {self}"),
        };
        match self.status() {
            503 => Answer::unavailable(detail, RETRY_AFTER),
            status => Answer::problem(status, detail),
        }
    }

    /// The status that the client is told.
    fn status(&self) -> u16 {
        match self {
            Self::ClientChunk => 400,
            Self::Untranslatable => 500,
            Self::ClientStalled => 408,
            Self::ClientBodyTooLarge => 413,
            // Nobody is there to answer, and nothing was sent: the client may come back.
            Self::Connect(_)
            | Self::NoSocket(_)
            | Self::TooManyPending
            | Self::GoneAway
            | Self::RefusedMidway
            | Self::Refused => 503,
            Self::ConnectTimeout | Self::SendTimeout | Self::ReadTimeout | Self::Unready => 504,
            Self::IdleConnectionClosed
            | Self::Closed
            | Self::Reset(_)
            | Self::HeadTruncated
            | Self::Malformed(_)
            | Self::InterimFlood
            | Self::UnaskedUpgrade
            | Self::NotHttp2
            | Self::MalformedStream(_) => 502,
        }
    }
}
