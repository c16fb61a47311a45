//! The body of a response, passed on as it comes: through one buffer, read after what it held has been written.

use std::{cell::Cell, time::Duration};

use crate::{
    connection::{CLIENT_WRITE_STALL_MAX, Presence},
    exchange::{
        chunks::{rechunk, unchunk, write_chunk},
        failure::Failure,
        upload::UploadState,
    },
    worker::{Deadline, GivenUp, Inbox, Output, Sink, Source, write_all},
};
use phalanx_http1::{
    ResponseFault,
    chunked::{self, Decoder},
    response::ResponseBody,
    rewrite::Delivery,
};

/// Up to this size a piece of a body goes out with the head from one piece of memory: copying it is cheaper than a second
/// slice.
pub(in crate::exchange) const COPIED_BYTES_MAX: usize = 2048;

/// Why bytes were not passed on.
pub(in crate::exchange) enum RelayError {
    /// The endpoint's side ended or is malformed.
    Endpoint(Failure),
    /// The client left, or takes nothing.
    Client,
}

/// The endpoint at one end, the client at the other.
pub(super) struct Pipe<'a, R, W> {
    pub(super) from: &'a mut R,
    pub(super) to: &'a mut W,
    /// Received and not yet passed on.
    pub(super) input: Inbox,
    /// To be sent before anything else.
    pub(super) out: Output,
    /// Whether the client still waits.
    pub(super) presence: &'a Presence,
    pub(super) deadline: &'a Deadline,
    pub(super) read_timeout: Duration,
    /// How far the request has been sent.
    pub(super) upload: &'a Cell<UploadState>,
}

impl<R: Source, W: Sink> Pipe<'_, R, W> {
    /// Reads once from the endpoint.
    async fn read(&mut self) -> Result<(), RelayError> {
        self.read_unless(|| false).await
    }

    /// The same, unless the request leaves the endpoint instead, which it is asked at every sweep.
    pub(super) async fn read_unless(&mut self, leaves: impl Fn() -> bool) -> Result<(), RelayError> {
        let mut is_armed = false;
        let reading = std::future::poll_fn(|context| {
            // An endpoint that is still being sent the request, by a client that may be slow, owes no answer yet.
            if !is_armed && self.upload.get() != UploadState::Running {
                self.deadline.arm(self.read_timeout);
                is_armed = true;
            }
            self.input.poll_fill(self.from, context)
        });
        // As long as the client sends its body, the upload sees whether it is there.
        let has_left =
            |now| self.upload.get() != UploadState::Running && self.presence.has_left(self.to.socket(), now);
        let is_left = Cell::new(false);
        let in_vain = |now| {
            has_left(now) || {
                is_left.set(leaves());
                is_left.get()
            }
        };
        match self.deadline.or_given_up(reading, in_vain).await {
            Ok(Ok(1..)) => Ok(()),
            Ok(Ok(0)) => Err(RelayError::Endpoint(Failure::Closed)),
            Ok(Err(error)) => Err(RelayError::Endpoint(Failure::Reset(error))),
            Err(GivenUp::Elapsed) => Err(RelayError::Endpoint(Failure::ReadTimeout)),
            Err(GivenUp::InVain) if is_left.get() => Err(RelayError::Endpoint(Failure::Unready)),
            Err(GivenUp::InVain) => Err(RelayError::Client),
        }
    }

    /// Sends the output.
    pub(super) async fn send(&mut self) -> Result<(), RelayError> {
        self.send_with_input(0).await
    }

    /// Sends the output, and behind it the first `input_bytes` of the input.
    async fn send_with_input(&mut self, input_bytes: usize) -> Result<(), RelayError> {
        let input = &self.input.filled()[..input_bytes];
        let written = write_all(self.to, &self.out, input, self.deadline, CLIENT_WRITE_STALL_MAX).await;
        written.map_err(|_| RelayError::Client)?;
        self.presence.renew();
        self.out.clear();
        self.input.consume(input_bytes);
        Ok(())
    }
}

/// Passes a body on. The output holds the head, which goes with the first bytes; `has_begun` is set before they go.
pub(super) async fn body<R, W>(
    body: ResponseBody,
    delivery: Delivery,
    pipe: &mut Pipe<'_, R, W>,
    has_begun: &Cell<bool>,
) -> Result<(), RelayError>
where
    R: Source,
    W: Sink,
{
    match body {
        ResponseBody::None => {
            has_begun.set(true);
            pipe.send().await
        }
        ResponseBody::Length(length) => {
            has_begun.set(true);
            relay_length(length, pipe).await
        }
        ResponseBody::Chunked => relay_chunked(delivery, pipe, has_begun).await,
        ResponseBody::UntilClose => {
            has_begun.set(true);
            relay_until_close(delivery, pipe).await
        }
    }
}

async fn relay_length<R, W>(length: u64, pipe: &mut Pipe<'_, R, W>) -> Result<(), RelayError>
where
    R: Source,
    W: Sink,
{
    let mut left = length;
    loop {
        let received = pipe.input.filled();
        let here = usize::try_from(left).map_or(received.len(), |left| left.min(received.len()));
        if here <= COPIED_BYTES_MAX {
            pipe.out.extend_from_slice(&received[..here]);
            pipe.input.consume(here);
            pipe.send().await?;
        } else {
            pipe.send_with_input(here).await?;
        }
        left -= here as u64;
        if left == 0 {
            return Ok(());
        }
        pipe.read().await?;
    }
}

async fn relay_chunked<R, W>(
    delivery: Delivery,
    pipe: &mut Pipe<'_, R, W>,
    has_begun: &Cell<bool>,
) -> Result<(), RelayError>
where
    R: Source,
    W: Sink,
{
    let mut decoder = Decoder::new();
    loop {
        let decoded = match delivery {
            Delivery::Chunked => rechunk(&mut decoder, &mut pipe.input, &mut pipe.out),
            Delivery::None | Delivery::Length(_) | Delivery::UntilClose => {
                unchunk(&mut decoder, &mut pipe.input, &mut pipe.out)
            }
        };
        // A fault in what came with the head can still be answered with 502.
        let is_complete =
            decoded.map_err(|_| RelayError::Endpoint(Failure::Malformed(ResponseFault::Chunk)))?;
        has_begun.set(true);
        pipe.send().await?;
        if is_complete {
            return Ok(());
        }
        pipe.read().await?;
    }
}

async fn relay_until_close<R, W>(delivery: Delivery, pipe: &mut Pipe<'_, R, W>) -> Result<(), RelayError>
where
    R: Source,
    W: Sink,
{
    loop {
        let received = pipe.input.filled();
        match delivery {
            Delivery::Chunked if !received.is_empty() => write_chunk(received, &mut pipe.out),
            _ => pipe.out.extend_from_slice(received),
        }
        let here = received.len();
        pipe.input.consume(here);
        pipe.send().await?;
        match pipe.read().await {
            Ok(()) => {}
            Err(RelayError::Endpoint(Failure::Closed)) => break,
            Err(error) => return Err(error),
        }
    }
    if delivery == Delivery::Chunked {
        pipe.out.extend_from_slice(chunked::END);
        pipe.send().await?;
    }
    Ok(())
}
