//! The response, from the endpoint to the client: its head judged and rewritten, its body passed on as it comes.

mod relay;

use std::{cell::Cell, time::Duration};

use phalanx_http1::{
    FieldSlots, HeadLimits, HeadScan, ResponseFault, Upgrade, Version,
    response::{self, ResponseBody},
    rewrite::{self, Delivery, Persistence},
};
use relay::Pipe;
pub(super) use relay::{COPIED_BYTES_MAX, RelayError};

use super::{failure::Failure, retries::Retries, upload::UploadState};
use crate::{
    connection::{Presence, Request},
    health::Outcome,
    worker::{Deadline, Inbox, Sink, Slot, Source, Worker},
};

/// Interim responses that are relayed for one request.
pub(super) const INTERIM_RESPONSES_MAX: usize = 16;

/// A response that the client has got whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delivered {
    pub(super) status: u16,
    /// Whether the endpoint's connection can carry another request.
    pub(super) is_reusable: bool,
    pub(super) persistence: Persistence,
}

/// What an endpoint's answer has come to.
pub(super) enum Relayed {
    Response(Delivered),
    /// A 101 that was asked for, which the client has been told, and what the endpoint has sent behind it.
    Switch(Box<Inbox>),
}

/// A response that the client has not got whole.
#[derive(Debug)]
pub(super) enum Broken {
    /// The client has been told nothing yet.
    Untold(Failure),
    /// The client has a part of it.
    Truncated { status: u16 },
    /// The client left, or takes nothing.
    ClientGone,
}

/// One download.
pub(super) struct Download<'a> {
    pub(super) worker: &'a Worker,
    pub(super) request: &'a Request,
    pub(super) slot: &'a Slot,
    /// Whether the request goes elsewhere before it is answered.
    pub(super) retries: &'a Retries<'a>,
    /// Whether the client still waits.
    pub(super) presence: &'a Presence,
    pub(super) deadline: &'a Deadline,
    pub(super) read_timeout: Duration,
    /// How far the request has been sent.
    pub(super) upload: &'a Cell<UploadState>,
    /// Set when the client is told the first byte of the final response.
    pub(super) has_begun: &'a Cell<bool>,
}

/// A final head, judged; what the client is told of it is in the output.
struct Head {
    status: u16,
    body: ResponseBody,
    delivery: Delivery,
    persistence: Persistence,
    /// Whether the endpoint leaves its connection open.
    keep_alive: bool,
}

impl Download<'_> {
    /// Relays one final response and the interim ones before it.
    pub(super) async fn run(&self, from: &mut impl Source, to: &mut impl Sink) -> Result<Relayed, Broken> {
        let mut pipe = Pipe {
            input: self.worker.buffers.inbox(),
            out: self.worker.buffers.output(),
            from,
            to,
            presence: self.presence,
            deadline: self.deadline,
            read_timeout: self.read_timeout,
            upload: self.upload,
        };
        let head = self.head(&mut pipe).await.map_err(|error| match error {
            RelayError::Endpoint(failure) => Broken::Untold(failure),
            RelayError::Client => Broken::ClientGone,
        })?;
        self.count_answer(head.status);
        match relay::body(head.body, head.delivery, &mut pipe, self.has_begun).await {
            Ok(()) if head.status == 101 => Ok(Relayed::Switch(Box::new(pipe.input))),
            Ok(()) => Ok(Relayed::Response(Delivered {
                status: head.status,
                // Bytes behind the response answer a request that nobody made.
                is_reusable: head.keep_alive
                    && pipe.input.filled().is_empty()
                    && self.upload.get() == UploadState::Done,
                persistence: head.persistence,
            })),
            Err(RelayError::Endpoint(failure)) if !self.has_begun.get() => Err(Broken::Untold(failure)),
            Err(RelayError::Endpoint(_)) => Err(Broken::Truncated { status: head.status }),
            Err(RelayError::Client) => Err(Broken::ClientGone),
        }
    }

    /// Waits for the final head; what the client is to be told of it is then in the pipe's output.
    async fn head<R, W>(&self, pipe: &mut Pipe<'_, R, W>) -> Result<Head, RelayError>
    where
        R: Source,
        W: Sink,
    {
        let mut scan = HeadScan::new();
        let mut interim_responses = 0;
        loop {
            let parsed = match pipe.input.filled() {
                [] => Ok(None),
                received => self.parse(received, &mut scan, &mut pipe.out),
            };
            match parsed.map_err(|fault| RelayError::Endpoint(Failure::Malformed(fault)))? {
                None => {
                    let has_answered = interim_responses > 0 || !pipe.input.filled().is_empty();
                    let leaves = || !has_answered && self.retries.leaves(self.slot);
                    pipe.read_unless(leaves).await.map_err(|error| match error {
                        // It may have done what was asked.
                        RelayError::Endpoint(Failure::Closed | Failure::Reset(_)) if has_answered => {
                            RelayError::Endpoint(Failure::HeadTruncated)
                        }
                        error => error,
                    })?;
                }
                Some((Parsed::Interim, head_bytes)) => {
                    interim_responses += 1;
                    if interim_responses > INTERIM_RESPONSES_MAX {
                        return Err(RelayError::Endpoint(Failure::InterimFlood));
                    }
                    pipe.input.consume(head_bytes);
                    scan = HeadScan::new();
                    // HTTP/1.0 has no interim responses (RFC 9110, section 15.2).
                    if self.request.version == Version::Http11 {
                        pipe.send().await?;
                    }
                    pipe.out.clear();
                }
                Some((Parsed::UnaskedSwitch, _)) => {
                    return Err(RelayError::Endpoint(Failure::UnaskedUpgrade));
                }
                Some((Parsed::Final(head), head_bytes)) => {
                    pipe.input.consume(head_bytes);
                    return Ok(head);
                }
            }
        }
    }

    /// Parses the head that `bytes` begin with and writes what the client is told of it to `out`.
    fn parse(
        &self,
        bytes: &[u8],
        scan: &mut HeadScan,
        out: &mut Vec<u8>,
    ) -> Result<Option<(Parsed, usize)>, ResponseFault> {
        let mut slots = FieldSlots::new();
        let Some((head, head_bytes)) =
            response::parse(bytes, scan, &mut slots, &HeadLimits::RESPONSE, self.request.kind)?
        else {
            return Ok(None);
        };
        if head.is_interim() {
            if head.status == 100 {
                self.request.awaits_continue.set(false);
            }
            rewrite::interim(&head, out);
            return Ok(Some((Parsed::Interim, head_bytes)));
        }
        let is_asked_for =
            |upgrade: &Option<Upgrade>| upgrade.as_ref().is_some_and(|upgrade| upgrade.is_answered_by(&head));
        if head.status == 101 && !is_asked_for(&self.request.upgrade) {
            return Ok(Some((Parsed::UnaskedSwitch, head_bytes)));
        }
        let delivery = Delivery::of(head.body, self.request.version);
        let persistence = self.persistence(delivery);
        match head.status {
            101 => rewrite::switch(&head, out),
            _ => rewrite::response(&head, self.request.version, delivery, persistence, out),
        }
        let (status, body, keep_alive) = (head.status, head.body, head.keep_alive);
        Ok(Some((Parsed::Final(Head { status, body, delivery, persistence, keep_alive }), head_bytes)))
    }

    /// Notes that the head of a final response has come.
    pub(super) fn count_answer(&self, status: u16) {
        let elapsed = self.request.attempt_elapsed();
        self.request.answered_after.set(Some(elapsed));
        self.slot.upstream.counters.answered(elapsed);
        if status >= 500 {
            self.slot.upstream.counters.answered_server_error();
        }
        self.slot.upstream.observe(elapsed, self.worker.deadlines.now());
        self.slot.conclude(self.worker, Outcome::Answered);
    }

    /// Whether the client's connection goes on after a response that is delivered so.
    pub(super) fn persistence(&self, delivery: Delivery) -> Persistence {
        let goes_on = self.request.keep_alive
            && self.upload.get() == UploadState::Done
            && !self.worker.is_draining()
            && delivery != Delivery::UntilClose;
        if goes_on { Persistence::KeepAlive } else { Persistence::Close }
    }
}

enum Parsed {
    Interim,
    /// A 101 that nobody asked for.
    UnaskedSwitch,
    Final(Head),
}
