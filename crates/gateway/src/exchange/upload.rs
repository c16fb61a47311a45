//! The body of a request, from the client to the endpoint as it comes. Its framing is judged on the way and written anew.

use std::{rc::Rc, time::Duration};

use phalanx_http1::{chunked::Decoder, request::RequestBody};
use tokio::net::tcp::{ReadHalf, WriteHalf};

use super::{chunks::rechunk, download::Broken, failure::Failure};
use crate::worker::{Buffers, Deadline, Elapsed, Inbox, WriteError, write_all};

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

/// Why a body did not arrive whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interrupted {
    /// The client left.
    ClientGone,
    /// The client sent nothing for too long.
    ClientStalled,
    /// The client's framing is malformed.
    Malformed,
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
            Self::EndpointGone => Broken::Untold(Failure::Closed),
            Self::EndpointStalled => Broken::Untold(Failure::SendTimeout),
        }
    }
}

/// One upload.
pub(super) struct Upload<'a> {
    pub(super) buffers: &'a Rc<Buffers>,
    pub(super) deadline: &'a Deadline,
    pub(super) send_timeout: Duration,
    pub(super) body: RequestBody,
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
        match self.body {
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
        loop {
            let here =
                usize::try_from(left).map_or(input.filled().len(), |left| left.min(input.filled().len()));
            self.write(to, head, &input.filled()[..here]).await?;
            head = &[];
            input.consume(here);
            left -= here as u64;
            if left == 0 {
                return Ok(());
            }
            self.read(input, from).await?;
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
        let mut out = self.buffers.output();
        out.extend_from_slice(head);
        loop {
            let is_complete = rechunk(&mut decoder, input, &mut out).map_err(|_| Interrupted::Malformed)?;
            self.write(to, &out, &[]).await?;
            out.clear();
            if is_complete {
                return Ok(());
            }
            self.read(input, from).await?;
        }
    }

    async fn write(&self, to: &mut WriteHalf<'_>, first: &[u8], second: &[u8]) -> Result<(), Interrupted> {
        write_all(to, first, second, self.deadline, self.send_timeout).await.map_err(|error| match error {
            WriteError::Io => Interrupted::EndpointGone,
            WriteError::Stalled => Interrupted::EndpointStalled,
        })
    }

    /// Reads once from the client.
    pub(super) async fn read(&self, input: &mut Inbox, from: &mut ReadHalf<'_>) -> Result<(), Interrupted> {
        match self.deadline.within(BODY_STALL_MAX, input.fill(from)).await {
            Ok(Ok(1..)) => Ok(()),
            Ok(Ok(0) | Err(_)) => Err(Interrupted::ClientGone),
            Err(Elapsed) => Err(Interrupted::ClientStalled),
        }
    }
}
