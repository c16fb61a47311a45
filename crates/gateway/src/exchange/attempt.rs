//! One attempt: a connection to one endpoint, the request sent, the response relayed.

use std::cell::Cell;

use phalanx_http1::rewrite::Persistence;
use tokio::net::TcpStream;

use super::{
    Sending,
    download::{Broken, Delivered, Download, Relayed},
    failure::Failure,
    multiplexed,
    retries::Retries,
    room::bound,
    tunnel::Tunnel,
    upload::{self, Upload, UploadState},
};
use crate::{
    connection::{After, Client, Forward, Request},
    table::Endpoint,
    worker::{
        GivenUp, Origin, Repeatable, Slot, UpstreamConnection, Worker, WriteError, write_all_unless_in_vain,
    },
};

/// Which connections an attempt may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Connections {
    /// An idle one if there is one for such a request, else a new one.
    IdleOrFresh(Repeatable),
    /// A new one.
    Fresh,
}

/// What an attempt has come to that did not fail.
pub(super) enum Attempted {
    /// The request is over.
    Over(After),
    /// The client has been told a 101 that it had asked for: what follows is bytes.
    Switch(Tunnel),
}

/// What was exchanged.
enum Exchanged {
    Response(Delivered),
    /// The client has been told a 101 that it had asked for.
    Switch(Tunnel),
}

/// Everything one attempt works with.
pub(super) struct Attempt<'a> {
    pub(super) worker: &'a Worker,
    pub(super) client: &'a mut Client,
    pub(super) request: &'a mut Request,
    pub(super) forward: &'a Forward,
    pub(super) slot: &'a Slot,
    pub(super) sending: Sending,
    pub(super) retries: &'a Retries<'a>,
}

impl Attempt<'_> {
    /// Makes the attempt. A failure leaves the client untold, and the request as it was unless its body was being streamed.
    pub(super) async fn run(mut self, connections: Connections) -> Result<Attempted, Failure> {
        // HTTP/2 has no upgrades (RFC 9113, section 8.6).
        let needs_http1 = self.request.upgrade.is_some() && self.slot.upstream.may_speak_http1();
        let outcome = match self.slot.upstream.multiplex().filter(|_| !needs_http1) {
            // In a place of its own: most connections need no room for it.
            Some(multiplex) => {
                let exchange = multiplexed::exchange(&mut self, multiplex, connections);
                match Box::pin(exchange).await {
                    // It was found out just now, and nothing has been sent.
                    Err(Broken::Untold(Failure::NotHttp2)) if self.slot.upstream.multiplex().is_none() => {
                        self.exchange_alone(connections).await
                    }
                    outcome => outcome.map(Exchanged::Response),
                }
            }
            None => self.exchange_alone(connections).await,
        };
        match outcome {
            Ok(Exchanged::Response(delivered)) => {
                self.client.response_is_open.set(false);
                self.request.status = delivered.status;
                Ok(Attempted::Over(match delivered.persistence {
                    Persistence::KeepAlive => After::Next,
                    Persistence::Close => After::Linger,
                }))
            }
            Ok(Exchanged::Switch(tunnel)) => {
                self.request.status = 101;
                Ok(Attempted::Switch(tunnel))
            }
            Err(Broken::Untold(failure)) => Err(failure),
            Err(Broken::Truncated { status }) => {
                self.request.status = status;
                self.slot.upstream.counters.truncated();
                Ok(Attempted::Over(After::Abandon))
            }
            Err(Broken::ClientGone) => Ok(self.abandon()),
        }
    }

    /// Ends the work for a client that has left; the status stays that of one.
    fn abandon(&self) -> Attempted {
        tracing::debug!(client = %self.client.peer.ip, service = %self.forward.service.name, "a client left before its answer ended");
        Attempted::Over(After::Abandon)
    }

    /// Over a connection that carries nothing else meanwhile.
    async fn exchange_alone(&mut self, connections: Connections) -> Result<Exchanged, Broken> {
        let (mut connection, origin) = self.connect(connections).await?;
        self.slot.upstream.look(self.worker, origin);
        let outcome = match self.sending {
            Sending::Whole(body_bytes) => self.exchange_whole(&mut connection, body_bytes).await,
            // In a place of its own: it is twice as large as the other, and every busy connection would make room for it.
            Sending::Stream => Box::pin(self.exchange_stream(&mut connection)).await,
        };
        match outcome {
            Ok(Relayed::Response(delivered)) => {
                if delivered.is_reusable {
                    self.slot.upstream.put_idle(connection, self.worker.deadlines.now());
                }
                Ok(Exchanged::Response(delivered))
            }
            Ok(Relayed::Switch(received)) => Ok(Exchanged::Switch(Tunnel::new(connection, *received))),
            Err(Broken::Untold(Failure::Closed | Failure::Reset(_))) if origin == Origin::Idle => {
                Err(Broken::Untold(Failure::IdleConnectionClosed))
            }
            Err(broken) => Err(broken),
        }
    }

    async fn connect(&self, connections: Connections) -> Result<(UpstreamConnection, Origin), Broken> {
        if let Connections::IdleOrFresh(repeatable) = connections
            && let Some(connection) = self.slot.upstream.take_idle(repeatable, self.worker.deadlines.now())
        {
            return Ok((connection, Origin::Idle));
        }
        let _connecting =
            Connecting::begin(&self.slot.upstream.endpoint, self.forward).map_err(Broken::Untold)?;
        let connecting = TcpStream::connect(self.slot.upstream.endpoint.address);
        let stream = self
            .client
            .awaiting(self.forward.policy.timeouts.connect, connecting)
            .await
            .map_err(|given_up| match given_up {
                GivenUp::Elapsed => Broken::Untold(Failure::ConnectTimeout),
                GivenUp::InVain => Broken::ClientGone,
            })?
            .map_err(|error| Broken::Untold(Failure::of_connecting(error)))?;
        // A request is written whole, so waiting for more to send would only delay it.
        let _ = stream.set_nodelay(true);
        Ok((UpstreamConnection::new(stream, self.slot.upstream.counters.clone()), Origin::Fresh))
    }

    /// Sends head and body, and then relays the response.
    async fn exchange_whole(
        &mut self,
        connection: &mut UpstreamConnection,
        body_bytes: usize,
    ) -> Result<Relayed, Broken> {
        let Client { stream: client, input, presence, reading, writing, response_is_open, .. } =
            &mut *self.client;
        let body = &input.filled()[..body_bytes];
        let upstream = connection.stream();
        let stall_max = self.forward.policy.timeouts.send;
        let has_left = |now| presence.has_left(client, now);
        match write_all_unless_in_vain(upstream, &self.forward.head, body, reading, stall_max, has_left).await
        {
            // An endpoint may answer and close without reading the body; what it said is still there to be read.
            Ok(()) | Err(WriteError::Io) => {}
            Err(WriteError::Stalled) => return Err(Broken::Untold(Failure::SendTimeout)),
            Err(WriteError::InVain) => return Err(Broken::ClientGone),
        }
        let download = Download {
            worker: self.worker,
            request: self.request,
            slot: self.slot,
            retries: self.retries,
            presence,
            deadline: writing,
            read_timeout: self.forward.policy.timeouts.read,
            upload: &Cell::new(UploadState::Done),
            has_begun: response_is_open,
        };
        let outcome = download.run(upstream, client).await;
        if !matches!(outcome, Err(Broken::Untold(_))) {
            input.consume(body_bytes);
        }
        outcome
    }

    /// Sends the body as it comes while the response is relayed as it comes: either may end first.
    async fn exchange_stream(&mut self, connection: &mut UpstreamConnection) -> Result<Relayed, Broken> {
        let upload_state = Cell::new(UploadState::Running);
        let outcome = {
            let Client { stream: client, input, presence, reading, writing, response_is_open, .. } =
                &mut *self.client;
            let (mut from_client, mut to_client) = client.split();
            let (mut from_upstream, mut to_upstream) = connection.stream().split();
            let upload = Upload {
                buffers: &self.worker.buffers,
                presence,
                deadline: reading,
                policy: &self.forward.policy,
                request: self.request,
            };
            let download = Download {
                worker: self.worker,
                request: self.request,
                slot: self.slot,
                retries: self.retries,
                presence,
                deadline: writing,
                read_timeout: self.forward.policy.timeouts.read,
                upload: &upload_state,
                has_begun: response_is_open,
            };
            let upload = upload.run(&self.forward.head, input, &mut from_client, &mut to_upstream);
            let download = download.run(&mut from_upstream, &mut to_client);
            upload::race(upload, download, &upload_state, self.request, response_is_open).await
        };
        upload_state.get().settle(self.request);
        outcome
    }
}

/// A request that waits for a connection, counted until it is dropped.
pub(super) struct Connecting<'a> {
    endpoint: &'a Endpoint,
}

impl<'a> Connecting<'a> {
    /// Counts it, unless too many wait already.
    pub(super) fn begin(endpoint: &'a Endpoint, forward: &Forward) -> Result<Self, Failure> {
        if endpoint.begin_connecting(bound(forward)) {
            Ok(Self { endpoint })
        } else {
            Err(Failure::TooManyPending)
        }
    }
}

impl Drop for Connecting<'_> {
    fn drop(&mut self) {
        self.endpoint.connected();
    }
}
