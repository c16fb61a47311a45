//! One attempt: a connection to one endpoint, the request sent, the response relayed.

use std::{cell::Cell, future::Future as _, pin::pin, rc::Rc, task::Poll};

use phalanx_http1::{request::RequestBody, rewrite::Persistence};
use tokio::net::TcpStream;

use super::{
    Sending,
    download::{Broken, Delivered, Download},
    failure::Failure,
    multiplexed,
    upload::{self, Upload, UploadState},
};
use crate::{
    connection::{After, Client, Forward, Request},
    worker::{Elapsed, Origin, Repeatable, Upstream, UpstreamConnection, Worker, WriteError, write_all},
};

/// Which connections an attempt may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Connections {
    /// An idle one if there is one for such a request, else a new one.
    IdleOrFresh(Repeatable),
    /// A new one.
    Fresh,
}

/// Everything one attempt works with.
pub(super) struct Attempt<'a> {
    pub(super) worker: &'a Worker,
    pub(super) client: &'a mut Client,
    pub(super) request: &'a mut Request,
    pub(super) forward: &'a Forward,
    pub(super) upstream: &'a Rc<Upstream>,
    pub(super) sending: Sending,
}

impl Attempt<'_> {
    /// Makes the attempt. A failure leaves the client untold, and the request as it was unless its body was being streamed.
    pub(super) async fn run(mut self, connections: Connections) -> Result<After, Failure> {
        // From before it connects: whoever waits until the endpoint has drained waits for this request too.
        let _in_flight = InFlight::begin(self.upstream);
        let outcome = match self.upstream.multiplex() {
            // In a place of its own: most connections need no room for it. An upgrade, which HTTP/2 does not have, has no
            // business here.
            Some(multiplex) => {
                let outcome = Box::pin(multiplexed::exchange(&mut self, multiplex, connections)).await;
                match outcome {
                    // It was found out just now, and nothing has been sent.
                    Err(Broken::Untold(Failure::NotHttp2)) if self.upstream.multiplex().is_none() => {
                        self.exchange_alone(connections).await
                    }
                    outcome => outcome,
                }
            }
            None => self.exchange_alone(connections).await,
        };
        match outcome {
            Ok(delivered) => {
                self.client.response_is_open.set(false);
                self.request.status = delivered.status;
                Ok(match delivered.persistence {
                    Persistence::KeepAlive => After::Next,
                    Persistence::Close => After::Linger,
                })
            }
            Err(Broken::Untold(failure)) => Err(failure),
            Err(Broken::Truncated { status }) => {
                self.request.status = status;
                self.upstream.counters.failed();
                Ok(After::Abandon)
            }
            // The status stays that of a client that left.
            Err(Broken::ClientGone) => Ok(After::Abandon),
        }
    }

    /// Over a connection that carries nothing else meanwhile.
    async fn exchange_alone(&mut self, connections: Connections) -> Result<Delivered, Broken> {
        let (mut connection, origin) = self.connect(connections).await.map_err(Broken::Untold)?;
        self.upstream.look(self.worker, origin);
        let outcome = match self.sending {
            Sending::Whole(body_bytes) => self.exchange_whole(&mut connection, body_bytes).await,
            // In a place of its own: it is twice as large as the other, and every busy connection would make room for it.
            Sending::Stream => Box::pin(self.exchange_stream(&mut connection)).await,
        };
        match outcome {
            Ok(delivered) => {
                if delivered.is_reusable {
                    self.upstream.put_idle(connection, self.worker.deadlines.now());
                }
                Ok(delivered)
            }
            Err(Broken::Untold(Failure::Closed | Failure::Reset(_))) if origin == Origin::Idle => {
                Err(Broken::Untold(Failure::IdleConnectionClosed))
            }
            broken => broken,
        }
    }

    async fn connect(&self, connections: Connections) -> Result<(UpstreamConnection, Origin), Failure> {
        if let Connections::IdleOrFresh(repeatable) = connections
            && let Some(connection) = self.upstream.take_idle(repeatable, self.worker.deadlines.now())
        {
            return Ok((connection, Origin::Idle));
        }
        let connecting = TcpStream::connect(self.upstream.endpoint.address);
        let stream = self
            .client
            .reading
            .within(self.forward.policy.timeouts.connect, connecting)
            .await
            .map_err(|Elapsed| Failure::ConnectTimeout)?
            .map_err(Failure::of_connecting)?;
        // A request is written whole, so waiting for more to send would only delay it.
        let _ = stream.set_nodelay(true);
        Ok((UpstreamConnection::new(stream, self.upstream.counters.clone()), Origin::Fresh))
    }

    /// Sends head and body, and then relays the response.
    async fn exchange_whole(
        &mut self,
        connection: &mut UpstreamConnection,
        body_bytes: usize,
    ) -> Result<Delivered, Broken> {
        let Client { stream: client, input, reading, writing, response_is_open, .. } = &mut *self.client;
        let body = &input.filled()[..body_bytes];
        let upstream = connection.stream();
        match write_all(upstream, &self.forward.head, body, reading, self.forward.policy.timeouts.send).await
        {
            // An endpoint may answer and close without reading the body; what it said is still there to be read.
            Ok(()) | Err(WriteError::Io) => {}
            Err(WriteError::Stalled) => return Err(Broken::Untold(Failure::SendTimeout)),
        }
        let download = Download {
            worker: self.worker,
            request: self.request,
            upstream: self.upstream,
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
    async fn exchange_stream(&mut self, connection: &mut UpstreamConnection) -> Result<Delivered, Broken> {
        let upload_state = Cell::new(UploadState::Running);
        let outcome = {
            let Client { stream: client, input, reading, writing, response_is_open, .. } = &mut *self.client;
            let (mut from_client, mut to_client) = client.split();
            let (mut from_upstream, mut to_upstream) = connection.stream().split();
            let upload = Upload {
                buffers: &self.worker.buffers,
                deadline: reading,
                send_timeout: self.forward.policy.timeouts.send,
                body: self.request.body,
            };
            let download = Download {
                worker: self.worker,
                request: self.request,
                upstream: self.upstream,
                deadline: writing,
                read_timeout: self.forward.policy.timeouts.read,
                upload: &upload_state,
                has_begun: response_is_open,
            };
            let mut upload = pin!(upload.run(&self.forward.head, input, &mut from_client, &mut to_upstream));
            let mut download = pin!(download.run(&mut from_upstream, &mut to_client));
            std::future::poll_fn(|context| {
                if upload_state.get() == UploadState::Running
                    && let Poll::Ready(ended) = upload.as_mut().poll(context)
                {
                    match ended {
                        Ok(()) => {
                            upload_state.set(UploadState::Done);
                            // How long the client took to send is not the endpoint's time.
                            self.request.attempt_begins();
                        }
                        // The endpoint may have answered before it stopped reading: the download tells.
                        Err(upload::Interrupted::EndpointGone) => upload_state.set(UploadState::Refused),
                        Err(interrupted) => {
                            return Poll::Ready(Err(interrupted.broken(response_is_open.get())));
                        }
                    }
                }
                download.as_mut().poll(context)
            })
            .await
        };
        if upload_state.get() == UploadState::Done {
            // Whoever discards the body of a failed request must not find it in the next one.
            self.request.body = RequestBody::Length(0);
        } else {
            // Where the next request begins is unknown.
            self.request.keep_alive = false;
        }
        outcome
    }
}

/// A request in flight to an endpoint, counted until it is dropped.
struct InFlight<'a> {
    upstream: &'a Upstream,
}

impl<'a> InFlight<'a> {
    fn begin(upstream: &'a Upstream) -> Self {
        upstream.counters.request_begun();
        upstream.endpoint.request_begun();
        Self { upstream }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.upstream.endpoint.request_ended();
        self.upstream.counters.request_ended();
    }
}
