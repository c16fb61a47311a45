//! Whether a client still waits for its answer.
//!
//! A reset says that it does not. That it has ended its sending alone says nothing: it may have closed, or it may read on (RFC
//! 9112, section 9.6). Whoever has closed answers what it is sent with a reset. So a client that has ended its sending is believed
//! to read for a while, and that begins anew with whatever it is sent.

use std::{
    cell::Cell,
    future::Future as _,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{
    io::{Interest, Ready},
    net::TcpStream,
    task::coop,
};

/// How long a client that has ended its sending is believed to read without being sent anything. Together with the ticks by which
/// it is noticed, less than a second.
const SILENCE_MAX: Duration = Duration::from_millis(500);

/// What is known of a client's presence.
#[derive(Default)]
pub(crate) struct Presence {
    /// Since when, on the worker's coarse clock, nothing has moved although the client has ended its sending.
    silent_since: Cell<Option<Duration>>,
}

impl Presence {
    /// Notes that bytes have gone to the client, or from it to an endpoint.
    pub(crate) fn renew(&self) {
        self.silent_since.set(None);
    }

    /// Whether the client behind `socket` is to be taken for gone at `now`. Bytes that it has sent ahead say nothing.
    pub(crate) fn has_left(&self, socket: &TcpStream, now: Duration) -> bool {
        let readiness = readiness(socket);
        if readiness.is_write_closed() {
            return true;
        }
        if !readiness.is_read_closed() {
            return false;
        }
        let since = self.silent_since.get().unwrap_or(now);
        self.silent_since.set(Some(since));
        now.saturating_sub(since) >= SILENCE_MAX
    }
}

/// How the socket stood at the last turn of the event loop. Costs no system call.
fn readiness(socket: &TcpStream) -> Ready {
    // A task that has used up its budget would be told that nothing is ready, whatever is.
    let readiness = pin!(coop::unconstrained(socket.ready(Interest::READABLE | Interest::WRITABLE)));
    match readiness.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(readiness)) => readiness,
        Poll::Ready(Err(_)) | Poll::Pending => Ready::EMPTY,
    }
}
