//! Two connections that have switched protocols: bytes pass both ways, and mean nothing to the gateway.
//!
//! Invariant: an end that a peer did not make is never made to look like one. Whatever cuts a tunnel, a reset, a peer that
//! takes nothing, silence or the drain deadline, resets both connections.
//! Elsewhere: whether the protocols are switched at all (`super::download`).

use std::{io, time::Duration};

use phalanx_config::Timeouts;
use tokio::{
    io::AsyncWriteExt as _,
    net::tcp::{ReadHalf, WriteHalf},
};

use crate::{
    connection::{CLIENT_WRITE_STALL_MAX, Client},
    worker::{Deadline, Inbox, UpstreamConnection, Worker, WriteError, write_all},
};

/// A tunnel.
pub(super) struct Tunnel {
    endpoint: UpstreamConnection,
    /// What the endpoint has sent and the client has not got.
    received: Inbox,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Both sides have said that nothing more comes, and were heard.
    Ended,
}

/// A tunnel that a peer did not end.
#[derive(Debug)]
struct Cut;

impl From<io::Error> for Cut {
    fn from(_: io::Error) -> Self {
        Self
    }
}

impl From<WriteError> for Cut {
    fn from(_: WriteError) -> Self {
        Self
    }
}

impl Tunnel {
    /// A tunnel to an endpoint that has answered 101, and what it has sent behind that.
    pub(super) fn new(endpoint: UpstreamConnection, received: Inbox) -> Self {
        Self { endpoint, received, state: State::Open }
    }

    /// Passes bytes on until both sides have ended, or something cuts the tunnel.
    pub(super) async fn run(mut self, worker: &Worker, client: &mut Client, timeouts: Timeouts) {
        let Client { stream, input, reading, writing, response_is_open, .. } = client;
        let (from_client, to_client) = stream.split();
        let (from_endpoint, to_endpoint) = self.endpoint.stream().split();
        let silence = worker.deadlines.deadline();
        let silence = Silence { deadline: &silence, limit: timeouts.tunnel };
        let up =
            Way { from: from_client, to: to_endpoint, stall: reading, stall_max: timeouts.send, silence };
        let down = Way {
            from: from_endpoint,
            to: to_client,
            stall: writing,
            stall_max: CLIENT_WRITE_STALL_MAX,
            silence,
        };
        let both = async { tokio::try_join!(up.pass(input), down.pass(&mut self.received)) };
        if let Ok(Ok(((), ()))) = silence.deadline.within(silence.limit, both).await {
            self.state = State::Ended;
            response_is_open.set(false);
        }
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        if self.state == State::Open {
            // The client's connection sees to itself, since its response is open.
            let _ = self.endpoint.stream().set_zero_linger();
        }
    }
}

/// The time in which neither side sends anything.
#[derive(Clone, Copy)]
struct Silence<'a> {
    deadline: &'a Deadline,
    limit: Duration,
}

/// One of the two ways through a tunnel.
struct Way<'a> {
    from: ReadHalf<'a>,
    to: WriteHalf<'a>,
    stall: &'a Deadline,
    stall_max: Duration,
    silence: Silence<'a>,
}

impl Way<'_> {
    /// Passes on what `input` holds and then what comes, until an end, which is passed on too.
    async fn pass(mut self, input: &mut Inbox) -> Result<(), Cut> {
        loop {
            let here = input.filled().len();
            if here > 0 {
                write_all(&mut self.to, input.filled(), &[], self.stall, self.stall_max).await?;
                input.consume(here);
            }
            if input.fill(&mut self.from).await? == 0 {
                return Ok(self.to.shutdown().await?);
            }
            self.silence.deadline.arm(self.silence.limit);
        }
    }
}
