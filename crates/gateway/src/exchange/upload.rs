//! The body of a request, from the client to the endpoint as it comes. Its framing is judged on the way and written anew.

mod rate;

use std::{cell::Cell, future::Future, pin::pin, rc::Rc, task::Poll, time::Duration};

use phalanx_config::ForwardPolicy;
use phalanx_http1::{chunked::Decoder, request::RequestBody};
pub(super) use rate::BodyRate;
use rate::TooSlow;
use tokio::net::tcp::{ReadHalf, WriteHalf};

use super::{chunks::rechunk, download::Broken, failure::Failure};
use crate::{
    connection::{Presence, Request},
    worker::{Buffers, Deadline, Elapsed, Inbox, WriteError, write_all_unless_in_vain},
};

/// The longest time for which a client sends nothing of a body.
const BODY_STALL_MAX: Duration = Duration::from_secs(60);

/// How far a request has been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UploadState {
    /// Some of it is still to come.
    Running,
    /// The endpoint has all of it.
    Done,
    /// The endpoint no longer reads.
    Refused,
}

impl UploadState {
    /// What it means for the requests behind this one.
    pub(super) fn settle(self, request: &mut Request) {
        if self == Self::Done {
            // Whoever discards the body of a failed request must not find it in the next one.
            request.body = RequestBody::Length(0);
        } else {
            // Where the next request begins is unknown.
            request.keep_alive = false;
        }
    }
}

/// Why a body did not arrive whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interrupted {
    /// The client left.
    ClientGone,
    /// The client sent nothing, or too little, for too long.
    ClientStalled,
    /// The client's framing is malformed.
    Malformed,
    /// The client sent more than the route takes.
    TooLarge,
    /// The endpoint no longer reads.
    EndpointGone,
    /// The endpoint takes nothing.
    EndpointStalled,
}

impl Interrupted {
    /// What it means for the exchange, once its response has (not) begun.
    pub(super) fn broken(self, response_has_begun: bool) -> Broken {
        match self {
            Self::ClientGone => Broken::ClientGone,
            _ if response_has_begun => Broken::ClientGone,
            Self::ClientStalled => Broken::Untold(Failure::ClientStalled),
            Self::Malformed => Broken::Untold(Failure::ClientChunk),
            Self::TooLarge => Broken::Untold(Failure::ClientBodyTooLarge),
            Self::EndpointGone => Broken::Untold(Failure::Closed),
            Self::EndpointStalled => Broken::Untold(Failure::SendTimeout),
        }
    }
}

/// Uploads while the response is relayed: either may end first. What the response has come to, unless the client's side ended.
pub(super) async fn race<T>(
    upload: impl Future<Output = Result<(), Interrupted>>,
    download: impl Future<Output = Result<T, Broken>>,
    state: &Cell<UploadState>,
    request: &Request,
    response_is_open: &Cell<bool>,
) -> Result<T, Broken> {
    let (mut upload, mut download) = (pin!(upload), pin!(download));
    std::future::poll_fn(|context| {
        if state.get() == UploadState::Running
            && let Poll::Ready(ended) = upload.as_mut().poll(context)
        {
            match ended {
                Ok(()) => {
                    state.set(UploadState::Done);
                    // How long the client took to send is not the endpoint's time.
                    request.attempt_begins();
                }
                // The endpoint may have answered before it stopped reading: the download tells.
                Err(Interrupted::EndpointGone) => state.set(UploadState::Refused),
                Err(interrupted) => return Poll::Ready(Err(interrupted.broken(response_is_open.get()))),
            }
        }
        download.as_mut().poll(context)
    })
    .await
}

/// One upload.
pub(super) struct Upload<'a> {
    pub(super) buffers: &'a Rc<Buffers>,
    /// Whether the client still waits.
    pub(super) presence: &'a Presence,
    pub(super) deadline: &'a Deadline,
    pub(super) policy: &'a ForwardPolicy,
    pub(super) request: &'a Request,
}

impl Upload<'_> {
    /// Sends `head`, and then the body: first what `input` holds of it, then what comes.
    pub(super) async fn run(
        &self,
        head: &[u8],
        input: &mut Inbox,
        from: &mut ReadHalf<'_>,
        to: &mut WriteHalf<'_>,
    ) -> Result<(), Interrupted> {
        match self.request.body {
            RequestBody::Length(length) => self.run_length(length, head, input, from, to).await,
            RequestBody::Chunked => self.run_chunked(head, input, from, to).await,
        }
    }

    async fn run_length(
        &self,
        length: u64,
        mut head: &[u8],
        input: &mut Inbox,
        from: &mut ReadHalf<'_>,
        to: &mut WriteHalf<'_>,
    ) -> Result<(), Interrupted> {
        let mut left = length;
        let mut rate = BodyRate::new(self.policy.min_body_rate);
        loop {
            let here =
                usize::try_from(left).map_or(input.filled().len(), |left| left.min(input.filled().len()));
            self.write(to, head, &input.filled()[..here], from).await?;
            head = &[];
            input.consume(here);
            left -= here as u64;
            if left == 0 {
                return Ok(());
            }
            self.read(input, from, &mut rate).await?;
        }
    }

    async fn run_chunked(
        &self,
        head: &[u8],
        input: &mut Inbox,
        from: &mut ReadHalf<'_>,
        to: &mut WriteHalf<'_>,
    ) -> Result<(), Interrupted> {
        let mut decoder = Decoder::new();
        let mut rate = BodyRate::new(self.policy.min_body_rate);
        let mut out = self.buffers.output();
        out.extend_from_slice(head);
        loop {
            let is_complete = rechunk(&mut decoder, input, &mut out).map_err(|_| Interrupted::Malformed)?;
            // Before the end is passed on: the endpoint must not take for whole what the client is told was refused.
            if decoder.data_bytes() > self.policy.max_body {
                return Err(Interrupted::TooLarge);
            }
            self.write(to, &out, &[], from).await?;
            out.clear();
            if is_complete {
                return Ok(());
            }
            self.read(input, from, &mut rate).await?;
        }
    }

    async fn write(
        &self,
        to: &mut WriteHalf<'_>,
        first: &[u8],
        second: &[u8],
        client: &ReadHalf<'_>,
    ) -> Result<(), Interrupted> {
        let has_left = |now| self.presence.has_left(client.as_ref(), now);
        let stall_max = self.policy.timeouts.send;
        let written = write_all_unless_in_vain(to, first, second, self.deadline, stall_max, has_left).await;
        written.map_err(|error| match error {
            WriteError::Io => Interrupted::EndpointGone,
            WriteError::Stalled => Interrupted::EndpointStalled,
            WriteError::InVain => Interrupted::ClientGone,
        })?;
        self.presence.renew();
        Ok(())
    }

    /// Reads once from the client.
    pub(super) async fn read(
        &self,
        input: &mut Inbox,
        from: &mut ReadHalf<'_>,
        rate: &mut BodyRate,
    ) -> Result<(), Interrupted> {
        let mut silent = Duration::ZERO;
        loop {
            let began = self.deadline.now();
            let limit = rate.until_judged().min(BODY_STALL_MAX - silent);
            let filled = self.deadline.within(limit, input.fill(from)).await;
            let elapsed = self.deadline.now() - began;
            if !self.request.awaits_continue.get() {
                rate.waited(elapsed).map_err(|TooSlow| Interrupted::ClientStalled)?;
            }
            match filled {
                Ok(Ok(count @ 1..)) => {
                    // It has not waited for the 100, or no longer does (RFC 9110, section 10.1.1).
                    self.request.awaits_continue.set(false);
                    rate.received(count);
                    return Ok(());
                }
                Ok(Ok(0) | Err(_)) => return Err(Interrupted::ClientGone),
                Err(Elapsed) => silent += elapsed,
            }
            if silent >= BODY_STALL_MAX {
                return Err(Interrupted::ClientStalled);
            }
        }
    }
}
