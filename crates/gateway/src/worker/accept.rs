//! The listeners of one worker, and when it takes connections from them.

use std::{io, net::SocketAddr, task::Poll, time::Duration};

use tokio::net::{TcpListener, TcpStream};

use crate::client_places::ClientPlaces;

/// How long a worker takes no connections after the kernel had none to give, as when file descriptors run out.
const PAUSE: Duration = Duration::from_millis(100);

/// The listeners of one worker.
pub(super) struct Acceptor {
    listeners: Vec<TcpListener>,
    /// The one that was asked last.
    last: usize,
    /// On the worker's coarse clock.
    paused_until: Duration,
}

impl Acceptor {
    pub(super) fn new(listeners: Vec<std::net::TcpListener>) -> io::Result<Self> {
        let listeners = listeners.into_iter().map(TcpListener::from_std).collect::<Result<_, _>>()?;
        Ok(Self { listeners, last: 0, paused_until: Duration::ZERO })
    }

    /// Whether it takes connections.
    pub(super) fn accepts(&self, now: Duration) -> bool {
        now >= self.paused_until
    }

    /// The next connection of any listener, each in turn.
    pub(super) async fn next(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        std::future::poll_fn(|context| {
            for _ in 0..self.listeners.len() {
                self.last = (self.last + 1) % self.listeners.len();
                if let Poll::Ready(accepted) = self.listeners[self.last].poll_accept(context) {
                    return Poll::Ready(accepted);
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Takes in that a connection could not be accepted.
    pub(super) fn failed(&mut self, error: &io::Error, now: Duration, client_places: &ClientPlaces) {
        // That a client has left before its turn says nothing of the next.
        if error.kind() == io::ErrorKind::ConnectionAborted {
            return;
        }
        self.paused_until = now + PAUSE;
        if client_places.tells_fault() {
            tracing::warn!(%error, "cannot accept connections; trying again");
        }
    }

    /// Closes the listeners, and takes what the kernel has already completed: it would be reset with them. The kernel is asked
    /// itself, since the event loop may not have been told yet.
    pub(super) fn close(self) -> impl Iterator<Item = (TcpStream, SocketAddr)> {
        let listeners = self.listeners.into_iter().filter_map(|listener| listener.into_std().ok());
        let accepted = listeners.flat_map(|listener| std::iter::from_fn(move || listener.accept().ok()));
        accepted.filter_map(|(stream, peer)| {
            stream.set_nonblocking(true).ok()?;
            Some((TcpStream::from_std(stream).ok()?, peer))
        })
    }
}
