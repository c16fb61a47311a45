//! The client's side of a connection: its socket, the bytes it has sent ahead, its deadlines.

use std::{cell::Cell, net::SocketAddr, rc::Rc, time::Duration};

use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::{Presence, sender::Peer, unread::Unread};
use crate::worker::{Deadline, GivenUp, Inbox, Worker, WriteError, write_all};

/// The longest time for which a client takes no byte of an answer.
pub(crate) const CLIENT_WRITE_STALL_MAX: Duration = Duration::from_secs(60);
/// How long a client that was answered early may go on sending before the connection is closed under it.
const LINGER: Duration = Duration::from_secs(2);
/// How much of that is read.
const LINGER_BYTES_MAX: usize = 1024 * 1024;

/// A client.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    pub(crate) peer: Peer,
    /// Bytes received.
    pub(crate) input: Inbox,
    /// Whether it still waits for its answer.
    pub(crate) presence: Presence,
    /// What is to come of a body that nobody wants, before the next request.
    pub(super) unread: Option<Box<Unread>>,
    /// For what it sends, and for what is sent to an endpoint in its name.
    pub(crate) reading: Deadline,
    /// For what it is sent, and for what an endpoint sends.
    pub(crate) writing: Deadline,
    /// Whether it has been told the beginning of an endpoint's response, and not yet its end.
    pub(crate) response_is_open: Cell<bool>,
}

impl Client {
    pub(super) fn new(worker: &Rc<Worker>, stream: TcpStream, peer: SocketAddr) -> Self {
        Self {
            stream,
            peer: Peer::new(worker, peer.ip()),
            input: worker.buffers.inbox(),
            presence: Presence::default(),
            unread: None,
            reading: worker.deadlines.deadline(),
            writing: worker.deadlines.deadline(),
            response_is_open: Cell::new(false),
        }
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        write_all(&mut self.stream, bytes, &[], &self.writing, CLIENT_WRITE_STALL_MAX).await?;
        self.presence.renew();
        Ok(())
    }

    /// The output of `future`, which a request needs to go on, if it comes within `limit` and while the client waits for it.
    pub(crate) async fn awaiting<T>(
        &self,
        limit: Duration,
        future: impl Future<Output = T>,
    ) -> Result<T, GivenUp> {
        self.reading.arm(limit);
        self.reading.or_given_up(future, |now| self.presence.has_left(&self.stream, now)).await
    }

    /// Ends the connection so that the client reads the answer: to close while it still sends would reset the connection and
    /// with it what the client has not read yet (RFC 9112, section 9.6).
    pub(super) async fn linger(&mut self) {
        if self.stream.shutdown().await.is_err() {
            return;
        }
        let (stream, input) = (&mut self.stream, &mut self.input);
        let drained = async {
            let mut left = LINGER_BYTES_MAX;
            while left > 0 {
                let here = input.filled().len();
                input.consume(here);
                match input.fill(stream).await {
                    Ok(0) | Err(_) => break,
                    Ok(count) => left = left.saturating_sub(count),
                }
            }
        };
        let _ = self.reading.within(LINGER, drained).await;
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if self.response_is_open.get() {
            // Without a reset the end of a response that was cut, be it at the drain deadline, could look like any other end.
            let _ = self.stream.set_zero_linger();
        }
    }
}
