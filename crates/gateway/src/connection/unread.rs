//! The body of a request that was answered without it: skipped, so that the next request can follow, or not worth it.
//!
//! Invariant: a request begins only where the body before it has ended; a connection on which that is not certain is closed.

use std::time::Duration;

use phalanx_http1::{
    chunked::{ChunkFault, Decoder, Event},
    request::RequestBody,
};

use super::{Client, Request};
use crate::worker::Inbox;

/// The largest body that is skipped, chunks and all: more than another connection costs.
const UNREAD_BYTES_MAX: usize = 64 * 1024;
/// How long it may take to arrive.
const UNREAD_TIME_MAX: Duration = Duration::from_secs(10);

/// What is to come of a body that nobody wants.
pub(super) enum Unread {
    Length(usize),
    Chunked { decoder: Decoder, bytes_left_max: usize },
}

/// How far a body has been skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Begun,
    Ended,
}

/// A body that is too large, or whose end cannot be told.
struct NotWorthIt;

impl From<ChunkFault> for NotWorthIt {
    fn from(_: ChunkFault) -> Self {
        Self
    }
}

impl Client {
    /// Skips what is here of a body that nobody wants; whether the connection can go on behind it. What is to come of it is
    /// skipped by [`Client::skip_unread`], once the client has its answer.
    pub(super) fn forgo_body(&mut self, request: &Request) -> bool {
        let mut unread = match request.body {
            RequestBody::Length(length) => match usize::try_from(length) {
                Ok(length) if length <= UNREAD_BYTES_MAX => Unread::Length(length),
                _ => return false,
            },
            RequestBody::Chunked => {
                Unread::Chunked { decoder: Decoder::new(), bytes_left_max: UNREAD_BYTES_MAX }
            }
        };
        match unread.skip(&mut self.input) {
            Ok(Progress::Ended) => true,
            // A client that was not asked for its body may send it, or may not.
            Ok(Progress::Begun) if request.awaits_continue.get() => false,
            Ok(Progress::Begun) => {
                self.unread = Some(Box::new(unread));
                true
            }
            Err(NotWorthIt) => false,
        }
    }

    /// Skips the rest of a body that nobody wanted; whether the next request begins here.
    pub(super) async fn skip_unread(&mut self) -> bool {
        let Some(mut unread) = self.unread.take() else { return true };
        let (input, stream) = (&mut self.input, &mut self.stream);
        let skipping = async {
            loop {
                match unread.skip(input) {
                    Ok(Progress::Ended) => return true,
                    Ok(Progress::Begun) => {}
                    Err(NotWorthIt) => return false,
                }
                if !matches!(input.fill(stream).await, Ok(1..)) {
                    return false;
                }
            }
        };
        matches!(self.reading.within(UNREAD_TIME_MAX, skipping).await, Ok(true))
    }
}

impl Unread {
    /// Consumes what `input` holds of the body.
    fn skip(&mut self, input: &mut Inbox) -> Result<Progress, NotWorthIt> {
        match self {
            Self::Length(left) => {
                let here = input.filled().len().min(*left);
                input.consume(here);
                *left -= here;
                Ok(if *left == 0 { Progress::Ended } else { Progress::Begun })
            }
            Self::Chunked { decoder, bytes_left_max } => loop {
                let event = decoder.next(input.filled())?;
                let (Event::Framing { consumed } | Event::Data { consumed } | Event::End { consumed }) =
                    event;
                *bytes_left_max = bytes_left_max.checked_sub(consumed).ok_or(NotWorthIt)?;
                input.consume(consumed);
                match event {
                    Event::End { .. } => return Ok(Progress::Ended),
                    Event::Framing { consumed: 0 } => return Ok(Progress::Begun),
                    Event::Framing { .. } | Event::Data { .. } => {}
                }
            },
        }
    }
}
