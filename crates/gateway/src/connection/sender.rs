//! Who sent a request: the peer, or whom a peer names that is trusted to.

use std::net::IpAddr;

use phalanx_http1::{Provenance, request::RequestHead};

use crate::worker::{Output, Worker};

/// The other end of a client connection.
pub(crate) struct Peer {
    /// Its address, as it stands in `X-Forwarded-For`.
    pub(crate) ip: Box<str>,
    trust: Trust,
}

/// Whether what a peer says of those before it is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// It is a client: what it says of others it can have made up.
    None,
    /// It is one of `trusted_proxies`.
    Proxy,
}

impl Peer {
    pub(super) fn new(worker: &Worker, address: IpAddr) -> Self {
        let address = address.to_canonical();
        let trust = if worker.trusts(address) { Trust::Proxy } else { Trust::None };
        Self { ip: address.to_string().into(), trust }
    }

    /// What this peer says of those before it, where that is believed. It is asked for each request, since a proxy sends those
    /// of many clients on one connection.
    pub(super) fn witness<'b>(&self, worker: &Worker, head: &RequestHead<'_, 'b>) -> Option<Witness<'b>> {
        match self.trust {
            Trust::None => None,
            Trust::Proxy => {
                let Provenance { hops, scheme, host } =
                    Provenance::of(head, |address| worker.trusts(address));
                let mut text = worker.buffers.output();
                hops.write(&mut text);
                text.extend_from_slice(self.ip.as_bytes());
                Some(Witness { hops: text, scheme, host })
            }
        }
    }

    /// Who sent a request, by what [`Peer::witness`] has found.
    pub(super) fn sender<'a>(&'a self, witness: Option<&'a Witness<'_>>) -> Sender<'a> {
        let hops = witness.map_or(self.ip.as_bytes(), |witness| &witness.hops);
        Sender {
            client_ip: hops.split(|byte| *byte == b',').next().unwrap_or_default(),
            hops,
            scheme: witness.and_then(|witness| witness.scheme).unwrap_or("http"),
            host: witness.and_then(|witness| witness.host),
        }
    }
}

/// What a trusted peer says.
pub(super) struct Witness<'b> {
    /// Whom the request came through, as text: the client first, the peer last.
    hops: Output,
    scheme: Option<&'static str>,
    host: Option<&'b [u8]>,
}

/// Who sent a request, and how.
pub(super) struct Sender<'a> {
    /// The client's address, as text.
    pub(super) client_ip: &'a [u8],
    /// Whom the request came through, as text: the client first, the peer last.
    pub(super) hops: &'a [u8],
    pub(super) scheme: &'static str,
    /// Which host the client asked for, where a trusted peer says so.
    pub(super) host: Option<&'a [u8]>,
}
