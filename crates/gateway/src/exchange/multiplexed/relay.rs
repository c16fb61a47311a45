//! The response of a stream, written to the client as HTTP/1.1: what is here of it goes out at once and together.

use std::{
    cell::Cell,
    future::Future as _,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use h2::{RecvStream, client::ResponseFuture};
use http::{HeaderMap, Response, StatusCode, header::CONTENT_LENGTH};
use phalanx_http1::{
    HeadLimits, ResponseFault, Version,
    chunked::write_size,
    response::{RequestKind, ResponseBody},
    rewrite::{Delivery, Persistence},
    translate::{self, ListedResponse},
};

use crate::{
    connection::CLIENT_WRITE_STALL_MAX,
    exchange::{
        chunks::write_chunk,
        download::{Broken, COPIED_BYTES_MAX, Delivered, Download, INTERIM_RESPONSES_MAX, RelayError},
        failure::Failure,
        upload::UploadState,
    },
    worker::{BUFFER_BYTES, GivenUp, Output, Sink, write_all},
};

/// How long an endpoint may keep a client waiting that asks before it sends its body.
const CONTINUE_PATIENCE: Duration = Duration::from_secs(1);
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Whether the client waits to be asked for the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expectation {
    /// It does not, or has been asked.
    None,
    /// It does.
    Pending,
}

/// Relays one final response and the interim ones before it.
pub(super) async fn run(
    download: &Download<'_>,
    response: ResponseFuture,
    expectation: Expectation,
    to: &mut impl Sink,
) -> Result<Delivered, Broken> {
    let out = download.worker.buffers.output();
    let mut relay = Relay { download, to, out, taken_bytes: 0 };
    let response = relay.head(response, expectation).await.map_err(|error| match error {
        RelayError::Endpoint(failure) => Broken::Untold(failure),
        RelayError::Client => Broken::ClientGone,
    })?;
    let status = response.status().as_u16();
    let framing = relay.begin(&response).map_err(|fault| Broken::Untold(Failure::Malformed(fault)))?;
    download.count_answer(status);
    download.has_begun.set(true);
    match relay.body(framing, response.into_body()).await {
        Ok(()) => Ok(Delivered { status, is_reusable: false, persistence: framing.persistence }),
        Err(RelayError::Endpoint(_)) => Err(Broken::Truncated { status }),
        Err(RelayError::Client) => Err(Broken::ClientGone),
    }
}

/// How a response reaches the client.
#[derive(Clone, Copy, Debug)]
struct Framing {
    body: ResponseBody,
    delivery: Delivery,
    persistence: Persistence,
}

struct Relay<'a, W> {
    download: &'a Download<'a>,
    to: &'a mut W,
    /// To be sent before anything else.
    out: Output,
    /// How much of the body is in the output: the endpoint may send as much again once it has gone out.
    taken_bytes: usize,
}

enum Head {
    Interim(Response<()>),
    Final(Response<RecvStream>),
}

impl<W: Sink> Relay<'_, W> {
    /// Waits for the final head, and passes on what comes before it.
    async fn head(
        &mut self,
        mut response: ResponseFuture,
        mut expectation: Expectation,
    ) -> Result<Response<RecvStream>, RelayError> {
        let mut interim_responses = 0;
        loop {
            if expectation == Expectation::Pending {
                self.download.deadline.arm(CONTINUE_PATIENCE);
            }
            let is_left = Cell::new(false);
            let leaves = || {
                is_left.set(interim_responses == 0 && self.download.retries.leaves(self.download.slot));
                is_left.get()
            };
            let head = self.waiting_unless(leaves, |context| poll_head(&mut response, context)).await;
            match head {
                Err(GivenUp::InVain) if is_left.get() => {
                    return Err(RelayError::Endpoint(Failure::Unready));
                }
                Err(GivenUp::Elapsed)
                    if expectation == Expectation::Pending
                        && self.download.upload.get() == UploadState::Running =>
                {
                    expectation = Expectation::None;
                    self.download.request.awaits_continue.set(false);
                    self.out.extend_from_slice(CONTINUE);
                    self.send(&[]).await?;
                }
                Err(given_up) => return Err(relay_error(given_up)),
                Ok(Err(error)) => {
                    return Err(RelayError::Endpoint(match Failure::of_stream(error) {
                        // It may have done what was asked.
                        Failure::Closed | Failure::Reset(_) if interim_responses > 0 => {
                            Failure::HeadTruncated
                        }
                        failure => failure,
                    }));
                }
                Ok(Ok(Head::Interim(head))) => {
                    expectation = Expectation::None;
                    if head.status() == StatusCode::CONTINUE {
                        self.download.request.awaits_continue.set(false);
                    }
                    interim_responses += 1;
                    if interim_responses > INTERIM_RESPONSES_MAX {
                        return Err(RelayError::Endpoint(Failure::InterimFlood));
                    }
                    self.interim(&head).await?;
                }
                Ok(Ok(Head::Final(head))) => return Ok(head),
            }
        }
    }

    async fn interim(&mut self, head: &Response<()>) -> Result<(), RelayError> {
        if head.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(RelayError::Endpoint(Failure::UnaskedUpgrade));
        }
        // HTTP/1.0 has no interim responses (RFC 9110, section 15.2).
        if self.download.request.version == Version::Http10 {
            return Ok(());
        }
        translate::interim(listed(head.status(), None, head.headers()), &mut self.out);
        self.send(&[]).await
    }

    /// Judges the final head, and writes what the client is told of it to the output.
    fn begin(&mut self, response: &Response<RecvStream>) -> Result<Framing, ResponseFault> {
        let (status, fields) = (response.status(), response.headers());
        let fields_max = HeadLimits::RESPONSE.fields_max;
        if fields.len() > fields_max {
            return Err(ResponseFault::TooManyFields { fields_max });
        }
        if !(100..600).contains(&status.as_u16()) {
            return Err(ResponseFault::Status { status: status.as_u16() });
        }
        let content_length = content_length(fields)?;
        let request = self.download.request;
        let body = match (status.as_u16(), request.kind, content_length) {
            (204 | 304, _, _) | (_, RequestKind::Head, _) => ResponseBody::None,
            (_, _, Some(length)) => ResponseBody::Length(length),
            // It has ended with its head.
            (_, _, None) if response.body().is_end_stream() => ResponseBody::Length(0),
            (_, _, None) => ResponseBody::Chunked,
        };
        let delivery = Delivery::of(body, request.version);
        let persistence = self.download.persistence(delivery);
        // RFC 9110, section 8.6.
        let announced = content_length.filter(|_| status != StatusCode::NO_CONTENT);
        let head = listed(status, announced, fields);
        translate::response(head, request.version, delivery, persistence, &mut self.out);
        Ok(Framing { body, delivery, persistence })
    }

    /// Passes the body on. The output holds the head, which goes with what is here of it.
    async fn body(&mut self, framing: Framing, mut body: RecvStream) -> Result<(), RelayError> {
        let mut left = match framing.body {
            ResponseBody::None => Some(0),
            ResponseBody::Length(length) => Some(length),
            ResponseBody::Chunked | ResponseBody::UntilClose => None,
        };
        while left != Some(0) {
            let Some(data) = self.data(&mut body).await? else { break };
            left = left.map(|left| left.saturating_sub(data.len() as u64));
            self.pass_on(&data, framing.delivery, &mut body).await?;
        }
        match left {
            // The library compares what came with what was announced; this holds if it does not.
            Some(1..) => return Err(RelayError::Endpoint(Failure::HeadTruncated)),
            // Whoever has taken the end does not seem to have lost interest before it.
            Some(0) => drop(now(|context| body.poll_data(context)).await),
            None => self.end(framing.delivery, &mut body).await?,
        }
        self.send_body(&[], &mut body).await
    }

    /// The next piece of a body. Before it waits it sends what it has.
    async fn data(&mut self, body: &mut RecvStream) -> Result<Option<Bytes>, RelayError> {
        let data = match now(|context| body.poll_data(context)).await {
            Poll::Ready(data) => data,
            Poll::Pending => {
                self.send_body(&[], body).await?;
                self.waiting(|context| body.poll_data(context)).await.map_err(relay_error)?
            }
        };
        data.transpose().map_err(|error| RelayError::Endpoint(Failure::of_stream(error)))
    }

    async fn pass_on(
        &mut self,
        data: &[u8],
        delivery: Delivery,
        body: &mut RecvStream,
    ) -> Result<(), RelayError> {
        let is_chunk = delivery == Delivery::Chunked;
        if data.is_empty() {
            return Ok(());
        }
        self.taken_bytes += data.len();
        if data.len() > COPIED_BYTES_MAX {
            if is_chunk {
                write_size(data.len(), &mut self.out);
            }
            self.send_body(data, body).await?;
            if is_chunk {
                self.out.extend_from_slice(b"\r\n");
            }
            return Ok(());
        }
        match is_chunk {
            true => write_chunk(data, &mut self.out),
            false => self.out.extend_from_slice(data),
        }
        if self.out.len() >= BUFFER_BYTES { self.send_body(&[], body).await } else { Ok(()) }
    }

    /// Writes what stands behind a body whose length was not announced.
    async fn end(&mut self, delivery: Delivery, body: &mut RecvStream) -> Result<(), RelayError> {
        if delivery != Delivery::Chunked {
            return Ok(());
        }
        let trailers = self.waiting(|context| body.poll_trailers(context)).await.map_err(relay_error)?;
        let trailers = trailers.map_err(|error| RelayError::Endpoint(Failure::of_stream(error)))?;
        let trailers = trailers.iter().flat_map(HeaderMap::iter);
        translate::end_of_chunks(
            trailers.map(|(name, value)| (name.as_str(), value.as_bytes())),
            &mut self.out,
        );
        Ok(())
    }

    /// Sends the output and `data` behind it, and lets the endpoint send as much of the body again.
    async fn send_body(&mut self, data: &[u8], body: &mut RecvStream) -> Result<(), RelayError> {
        self.send(data).await?;
        // Refused only of more than was taken.
        let _ = body.flow_control().release_capacity(std::mem::take(&mut self.taken_bytes));
        Ok(())
    }

    async fn send(&mut self, data: &[u8]) -> Result<(), RelayError> {
        if self.out.is_empty() && data.is_empty() {
            return Ok(());
        }
        let deadline = self.download.deadline;
        let written = write_all(self.to, &self.out, data, deadline, CLIENT_WRITE_STALL_MAX).await;
        written.map_err(|_| RelayError::Client)?;
        self.download.presence.renew();
        self.out.clear();
        Ok(())
    }

    /// What the endpoint sends next.
    async fn waiting<T>(&self, poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Result<T, GivenUp> {
        self.waiting_unless(|| false, poll).await
    }

    /// The same, unless the request leaves the endpoint instead, which it is asked at every sweep.
    async fn waiting_unless<T>(
        &self,
        leaves: impl Fn() -> bool,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Result<T, GivenUp> {
        let download = self.download;
        let mut is_armed = false;
        let polling = std::future::poll_fn(|context| {
            // An endpoint that is still being sent the request, by a client that may be slow, owes no answer yet.
            if !is_armed && download.upload.get() != UploadState::Running {
                download.deadline.arm(download.read_timeout);
                is_armed = true;
            }
            poll(context)
        });
        // As long as the client sends its body, the upload sees whether it is there.
        let has_left = |now| {
            download.upload.get() != UploadState::Running && download.presence.has_left(self.to.socket(), now)
        };
        download.deadline.or_given_up(polling, |now| has_left(now) || leaves()).await
    }
}

fn relay_error(given_up: GivenUp) -> RelayError {
    match given_up {
        GivenUp::Elapsed => RelayError::Endpoint(Failure::ReadTimeout),
        GivenUp::InVain => RelayError::Client,
    }
}

/// What a poll says at this moment.
async fn now<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    std::future::poll_fn(|context| Poll::Ready(poll(context))).await
}

fn poll_head(response: &mut ResponseFuture, context: &mut Context<'_>) -> Poll<Result<Head, h2::Error>> {
    match response.poll_informational(context) {
        Poll::Ready(Some(interim)) => Poll::Ready(interim.map(Head::Interim)),
        Poll::Ready(None) => Pin::new(response).poll(context).map_ok(Head::Final),
        Poll::Pending => Poll::Pending,
    }
}

fn listed(
    status: StatusCode,
    content_length: Option<u64>,
    fields: &HeaderMap,
) -> ListedResponse<'static, impl Iterator<Item = (&[u8], &[u8])>> {
    ListedResponse {
        status: status.as_u16(),
        reason: status.canonical_reason().unwrap_or_default(),
        content_length,
        fields: fields.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes())),
    }
}

/// What `content-length` says. Several that agree are one, as the library has seen to.
fn content_length(fields: &HeaderMap) -> Result<Option<u64>, ResponseFault> {
    let length = fields.get(CONTENT_LENGTH).map(|value| {
        // Digits alone: what `parse` takes for a number may begin with a sign.
        value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
    });
    match length {
        None => Ok(None),
        Some(Some(length)) => Ok(Some(length)),
        Some(None) => Err(ResponseFault::ContentLength),
    }
}
