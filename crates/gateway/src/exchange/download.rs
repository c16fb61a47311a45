//! The response, from the endpoint to the client: its head judged and rewritten, its body passed on as it comes.

use std::{cell::Cell, sync::Arc, time::Duration};

use phalanx_http1::{
    FieldSlots, HeadLimits, HeadScan, ResponseFault, Version,
    chunked::{self, Decoder, Event},
    response::{self, ResponseBody},
    rewrite::{self, Delivery, Persistence},
};
use phalanx_telemetry::upstream::EndpointCounters;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    failure::Failure,
    upload::{transcode, write_chunk},
};
use crate::{
    connection::{CLIENT_WRITE_STALL_MAX, Request},
    worker::{Deadline, Elapsed, Lease, Output, Worker, write_all},
};

/// Interim responses that are relayed for one request.
const INTERIM_RESPONSES_MAX: usize = 16;
/// Up to this size the body goes out with the head from one piece of memory: copying it is cheaper than a second slice.
const COPIED_BYTES_MAX: usize = 2048;

/// A response that the client has got whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delivered {
    pub(super) status: u16,
    /// Whether the endpoint's connection can carry another request.
    pub(super) is_reusable: bool,
    pub(super) persistence: Persistence,
}

/// A response that the client has not got whole.
#[derive(Debug)]
pub(super) enum Broken {
    /// The client has been told nothing yet.
    Untold(Failure),
    /// The client has a part of it.
    Truncated { status: u16 },
    /// The client left, or takes nothing.
    ClientGone,
}

/// One download.
pub(super) struct Download<'a> {
    pub(super) worker: &'a Worker,
    pub(super) request: &'a Request,
    pub(super) counters: &'a Arc<EndpointCounters>,
    pub(super) deadline: &'a Deadline,
    pub(super) read_timeout: Duration,
    /// Whether the endpoint has been sent the whole request.
    pub(super) upload_is_done: &'a Cell<bool>,
    /// Set when the client is told the first byte of the final response.
    pub(super) has_begun: &'a Cell<bool>,
}

/// A final head, judged; what the client is told of it is in the output.
struct Head {
    status: u16,
    body: ResponseBody,
    delivery: Delivery,
    persistence: Persistence,
    /// Whether the endpoint leaves its connection open.
    keep_alive: bool,
}

/// Bytes that were not passed on.
enum RelayError {
    /// The endpoint's side ended or is malformed.
    Endpoint(Failure),
    /// The client's side ended.
    Client,
}

impl Download<'_> {
    /// Relays one final response and the interim ones before it.
    pub(super) async fn run(
        &self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Result<Delivered, Broken> {
        let mut input = self.worker.buffers.lease();
        let mut out = self.worker.buffers.output();
        let head = self.head(&mut input, &mut out, from, to).await.map_err(|error| match error {
            RelayError::Endpoint(failure) => Broken::Untold(failure),
            RelayError::Client => Broken::ClientGone,
        })?;
        self.counters.answered(self.request.elapsed());
        match self.body(&head, &mut input, &mut out, from, to).await {
            Ok(()) => Ok(Delivered {
                status: head.status,
                // Bytes behind the response answer a request that nobody made.
                is_reusable: head.keep_alive && input.filled().is_empty() && self.upload_is_done.get(),
                persistence: head.persistence,
            }),
            Err(RelayError::Endpoint(failure)) if !self.has_begun.get() => Err(Broken::Untold(failure)),
            Err(RelayError::Endpoint(_)) => Err(Broken::Truncated { status: head.status }),
            Err(RelayError::Client) => Err(Broken::ClientGone),
        }
    }

    async fn head(
        &self,
        input: &mut Lease,
        out: &mut Output,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Result<Head, RelayError> {
        let mut scan = HeadScan::new();
        let mut interim_responses = 0;
        loop {
            let parsed = self.parse(input.filled(), &mut scan, out);
            match parsed.map_err(|fault| RelayError::Endpoint(Failure::Malformed(fault)))? {
                None => {
                    let is_within = !input.filled().is_empty();
                    self.read(input, from).await.map_err(|failure| match failure {
                        Failure::Closed if is_within => RelayError::Endpoint(Failure::HeadTruncated),
                        failure => RelayError::Endpoint(failure),
                    })?;
                }
                Some((Parsed::Interim, head_bytes)) => {
                    interim_responses += 1;
                    if interim_responses > INTERIM_RESPONSES_MAX {
                        return Err(RelayError::Endpoint(Failure::InterimFlood));
                    }
                    input.consume(head_bytes);
                    scan = HeadScan::new();
                    // HTTP/1.0 has no interim responses (RFC 9110, section 15.2).
                    if self.request.version == Version::Http11 {
                        self.write(to, out, &[]).await?;
                    }
                    out.clear();
                }
                Some((Parsed::Final(head), head_bytes)) => {
                    if head.status == 101 {
                        return Err(RelayError::Endpoint(Failure::UnaskedUpgrade));
                    }
                    input.consume(head_bytes);
                    return Ok(head);
                }
            }
        }
    }

    /// Parses the head that `bytes` begin with and writes what the client is told of it to `out`.
    fn parse(
        &self,
        bytes: &[u8],
        scan: &mut HeadScan,
        out: &mut Vec<u8>,
    ) -> Result<Option<(Parsed, usize)>, ResponseFault> {
        let mut slots = FieldSlots::new();
        let Some((head, head_bytes)) =
            response::parse(bytes, scan, &mut slots, &HeadLimits::RESPONSE, self.request.kind)?
        else {
            return Ok(None);
        };
        if head.is_interim() {
            rewrite::interim(&head, out);
            return Ok(Some((Parsed::Interim, head_bytes)));
        }
        let delivery = Delivery::of(head.body, self.request.version);
        let goes_on = self.request.keep_alive
            && self.upload_is_done.get()
            && !self.worker.is_draining()
            && delivery != Delivery::UntilClose;
        let persistence = if goes_on { Persistence::KeepAlive } else { Persistence::Close };
        rewrite::response(&head, self.request.version, delivery, persistence, out);
        let (status, body, keep_alive) = (head.status, head.body, head.keep_alive);
        Ok(Some((Parsed::Final(Head { status, body, delivery, persistence, keep_alive }), head_bytes)))
    }

    /// Passes the body on; `out` holds the head, which goes with its first bytes.
    async fn body(
        &self,
        head: &Head,
        input: &mut Lease,
        out: &mut Output,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), RelayError> {
        match head.body {
            ResponseBody::None => self.begin(to, out, &[]).await,
            ResponseBody::Length(length) => self.length(length, input, out, from, to).await,
            ResponseBody::Chunked => self.chunked(head.delivery, input, out, from, to).await,
            ResponseBody::UntilClose => self.until_close(head.delivery, input, out, from, to).await,
        }
    }

    async fn length(
        &self,
        length: u64,
        input: &mut Lease,
        out: &mut Output,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), RelayError> {
        let mut left = length;
        loop {
            let here =
                usize::try_from(left).map_or(input.filled().len(), |left| left.min(input.filled().len()));
            if here <= COPIED_BYTES_MAX {
                out.extend_from_slice(&input.filled()[..here]);
                self.begin(to, out, &[]).await?;
            } else {
                self.begin(to, out, &input.filled()[..here]).await?;
            }
            out.clear();
            input.consume(here);
            left -= here as u64;
            if left == 0 {
                return Ok(());
            }
            self.read(input, from).await.map_err(RelayError::Endpoint)?;
        }
    }

    async fn chunked(
        &self,
        delivery: Delivery,
        input: &mut Lease,
        out: &mut Output,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), RelayError> {
        let mut decoder = Decoder::new();
        loop {
            let decoded = match delivery {
                Delivery::Chunked => transcode(&mut decoder, input, out),
                _ => unchunk(&mut decoder, input, out),
            };
            let is_complete =
                decoded.map_err(|_| RelayError::Endpoint(Failure::Malformed(ResponseFault::Chunk)))?;
            self.begin(to, out, &[]).await?;
            out.clear();
            if is_complete {
                return Ok(());
            }
            self.read(input, from).await.map_err(RelayError::Endpoint)?;
        }
    }

    async fn until_close(
        &self,
        delivery: Delivery,
        input: &mut Lease,
        out: &mut Output,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), RelayError> {
        loop {
            let here = input.filled().len();
            match delivery {
                Delivery::Chunked if here > 0 => write_chunk(input.filled(), out),
                _ => out.extend_from_slice(input.filled()),
            }
            self.begin(to, out, &[]).await?;
            out.clear();
            input.consume(here);
            match self.read(input, from).await {
                Ok(()) => {}
                Err(Failure::Closed) => break,
                Err(failure) => return Err(RelayError::Endpoint(failure)),
            }
        }
        match delivery {
            Delivery::Chunked => self.begin(to, chunked::END, &[]).await,
            _ => Ok(()),
        }
    }

    /// Writes a part of the final response, after which the client can no longer be told anything else.
    async fn begin(
        &self,
        to: &mut (impl AsyncWrite + Unpin),
        first: &[u8],
        second: &[u8],
    ) -> Result<(), RelayError> {
        self.has_begun.set(true);
        self.write(to, first, second).await
    }

    async fn write(
        &self,
        to: &mut (impl AsyncWrite + Unpin),
        first: &[u8],
        second: &[u8],
    ) -> Result<(), RelayError> {
        let written = write_all(to, first, second, self.deadline, CLIENT_WRITE_STALL_MAX).await;
        written.map_err(|_| RelayError::Client)
    }

    async fn read(&self, input: &mut Lease, from: &mut (impl AsyncRead + Unpin)) -> Result<(), Failure> {
        match self.deadline.within(self.read_timeout, input.fill(from)).await {
            Ok(Ok(1..)) => Ok(()),
            Ok(Ok(0)) => Err(Failure::Closed),
            Ok(Err(error)) => Err(Failure::Reset(error)),
            Err(Elapsed) => Err(Failure::ReadTimeout),
        }
    }
}

enum Parsed {
    Interim,
    Final(Head),
}

/// Appends to `out` the data that `input` holds of a chunked body; whether the body is complete.
fn unchunk(decoder: &mut Decoder, input: &mut Lease, out: &mut Vec<u8>) -> Result<bool, chunked::ChunkFault> {
    loop {
        match decoder.next(input.filled())? {
            Event::Framing { consumed: 0 } => return Ok(false),
            Event::Framing { consumed } => input.consume(consumed),
            Event::Data { consumed } => {
                out.extend_from_slice(&input.filled()[..consumed]);
                input.consume(consumed);
            }
            Event::End { consumed } => {
                input.consume(consumed);
                return Ok(true);
            }
        }
    }
}
