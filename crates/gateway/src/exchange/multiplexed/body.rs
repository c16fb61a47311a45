//! The body of a request, from the client into the frames of a stream, as fast as the endpoint takes it.

use std::{cell::Cell, task::ready};

use bytes::Bytes;
use h2::SendStream;
use http::{HeaderMap, HeaderName, HeaderValue};
use phalanx_http1::{chunked::Decoder, request::RequestBody};
use tokio::net::tcp::ReadHalf;

use crate::{
    exchange::{
        chunks::unchunk,
        upload::{BodyRate, Interrupted, Upload},
    },
    worker::{GivenUp, Inbox},
};

/// One upload.
pub(super) struct StreamUpload<'a> {
    pub(super) upload: &'a Upload<'a>,
    /// Set when a byte of the body is taken from the client's bytes.
    pub(super) has_read: &'a Cell<bool>,
    pub(super) to: SendStream<Bytes>,
}

/// Whether a piece is the last of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Last,
    NotLast,
}

impl StreamUpload<'_> {
    /// Sends the body: first what `input` holds of it, then what comes.
    pub(super) async fn run(mut self, input: &mut Inbox, from: &mut ReadHalf<'_>) -> Result<(), Interrupted> {
        match self.upload.request.body {
            RequestBody::Length(length) => self.run_length(length, input, from).await,
            RequestBody::Chunked => self.run_chunked(input, from).await,
        }
    }

    async fn run_length(
        &mut self,
        length: u64,
        input: &mut Inbox,
        from: &mut ReadHalf<'_>,
    ) -> Result<(), Interrupted> {
        let mut left = length;
        let mut rate = BodyRate::new(self.upload.policy.min_body_rate);
        loop {
            let here =
                usize::try_from(left).map_or(input.filled().len(), |left| left.min(input.filled().len()));
            left -= here as u64;
            let piece = if left == 0 { Piece::Last } else { Piece::NotLast };
            self.send(&input.filled()[..here], piece, from).await?;
            self.consume(input, here);
            if piece == Piece::Last {
                return Ok(());
            }
            self.upload.read(input, from, &mut rate).await?;
        }
    }

    async fn run_chunked(&mut self, input: &mut Inbox, from: &mut ReadHalf<'_>) -> Result<(), Interrupted> {
        let mut decoder = Decoder::new();
        let mut rate = BodyRate::new(self.upload.policy.min_body_rate);
        let mut data = self.upload.buffers.output();
        loop {
            if !input.filled().is_empty() {
                self.has_read.set(true);
            }
            let is_complete = unchunk(&mut decoder, input, &mut data).map_err(|_| Interrupted::Malformed)?;
            // Before the end is passed on: the endpoint must not take for whole what the client is told was refused.
            if decoder.data_bytes() > self.upload.policy.max_body {
                return Err(Interrupted::TooLarge);
            }
            if is_complete {
                return self.end(&decoder, &data, from).await;
            }
            self.send(&data, Piece::NotLast, from).await?;
            data.clear();
            self.upload.read(input, from, &mut rate).await?;
        }
    }

    /// Sends what is left of a chunked body, and its trailers.
    async fn end(
        &mut self,
        decoder: &Decoder,
        data: &[u8],
        client: &ReadHalf<'_>,
    ) -> Result<(), Interrupted> {
        let mut trailers = HeaderMap::new();
        let known = decoder.trailers(|name, value| {
            let name = HeaderName::from_bytes(name.as_bytes());
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
                trailers.append(name, value);
            }
        });
        known.map_err(|_| Interrupted::Malformed)?;
        if trailers.is_empty() {
            return self.send(data, Piece::Last, client).await;
        }
        self.send(data, Piece::NotLast, client).await?;
        self.to.send_trailers(trailers).map_err(|_| Interrupted::EndpointGone)
    }

    fn consume(&self, input: &mut Inbox, count: usize) {
        if count > 0 {
            self.has_read.set(true);
            input.consume(count);
        }
    }

    /// Sends all of `data`, in pieces as large as the endpoint takes them.
    async fn send(
        &mut self,
        mut data: &[u8],
        piece: Piece,
        client: &ReadHalf<'_>,
    ) -> Result<(), Interrupted> {
        while !data.is_empty() {
            let room = self.room(data.len(), client).await?;
            let (fits, rest) = data.split_at(room.min(data.len()));
            let is_end = piece == Piece::Last && rest.is_empty();
            self.to.send_data(Bytes::copy_from_slice(fits), is_end).map_err(|_| Interrupted::EndpointGone)?;
            data = rest;
            if is_end {
                return Ok(());
            }
        }
        match piece {
            // Its end came apart from its last byte, as of a chunked body it may.
            Piece::Last => self.to.send_data(Bytes::new(), true).map_err(|_| Interrupted::EndpointGone),
            Piece::NotLast => Ok(()),
        }
    }

    /// How much of `wanted` the endpoint takes now; at least one byte.
    async fn room(&mut self, wanted: usize, client: &ReadHalf<'_>) -> Result<usize, Interrupted> {
        self.to.reserve_capacity(wanted);
        let to = &mut self.to;
        let room = std::future::poll_fn(|context| {
            match to.capacity() {
                0 => {}
                room => return std::task::Poll::Ready(Some(Ok(room))),
            }
            let room = ready!(to.poll_capacity(context));
            std::task::Poll::Ready(room)
        });
        let Upload { deadline, presence, policy, .. } = self.upload;
        deadline.arm(policy.timeouts.send);
        let room = deadline.or_given_up(room, |now| presence.has_left(client.as_ref(), now)).await;
        let room = room.map_err(|given_up| match given_up {
            GivenUp::Elapsed => Interrupted::EndpointStalled,
            GivenUp::InVain => Interrupted::ClientGone,
        })?;
        presence.renew();
        match room {
            Some(Ok(room)) => Ok(room),
            Some(Err(_)) | None => Err(Interrupted::EndpointGone),
        }
    }
}
