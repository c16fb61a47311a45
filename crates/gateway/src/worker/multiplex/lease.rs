//! Room for one request on a connection, and what is sent in it.

use std::rc::Rc;

use bytes::Bytes;
use h2::{
    SendStream,
    client::{ResponseFuture, SendRequest},
};

use super::{Multiplex, connection::Link};

/// Room for one request on a connection, until it is dropped.
pub(crate) struct Lease {
    pub(super) pool: Rc<Multiplex>,
    pub(super) link: Rc<Link>,
    pub(super) requests: SendRequest<Bytes>,
    pub(super) was_idle: bool,
}

impl Lease {
    /// Whether the connection carried nothing else when this began.
    pub(crate) fn was_idle(&self) -> bool {
        self.was_idle
    }

    /// Sends the head of a request; without a body it `ends` with that.
    pub(crate) fn send(
        &mut self,
        request: http::Request<()>,
        body: BodyFollows,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        self.requests.send_request(request, body == BodyFollows::No)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.link.end_stream();
        if self.pool.waiting.get() > 0 {
            self.pool.changed.notify_one();
        } else if self.pool.is_withdrawn.get() && self.link.streams.get() == 0 {
            self.pool.retire(&self.link);
        }
    }
}

/// Whether anything follows the head of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyFollows {
    Yes,
    No,
}
