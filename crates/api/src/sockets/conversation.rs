//! What is said on one WebSocket: texts to the client, pings, and a reason when it ends. What the client says is only counted.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _, future::BoxFuture, stream::BoxStream};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{self, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::{self, MissedTickBehavior, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Bytes, Error, Message,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};
use tokio_util::sync::CancellationToken;

#[cfg(test)]
mod tests;

/// Nobody has more to say to us, fragments or not.
const MESSAGE_BYTES_MAX: usize = 4 << 10;
/// From one ping to the next.
const MESSAGES_MAX: usize = 200;
/// Bytes that the client does not take wait here, so that they cannot pile up.
const WRITE_BUFFER_BYTES_MAX: usize = 256 << 10;
/// A client that takes nothing for so long has gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// For the client's own farewell.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Closing on unread bytes would reset the connection, and the client would see that instead of the reason.
const DISCARDED_BYTES_MAX: u64 = 1 << 20;

/// Close codes from 4000 on are an application's own; this one is 401's.
const SESSION_ENDED: u16 = 4401;

/// What a socket is for.
pub(crate) struct Subscription {
    /// What is sent, a text message each. When it ends, the client is asked to come back.
    pub(crate) changes: BoxStream<'static, String>,
    /// Done when the client may no longer listen.
    pub(crate) session_ended: BoxFuture<'static, ()>,
}

enum Event {
    Stopped,
    SessionEnded,
    Change(Option<String>),
    Received(Option<Result<Message, Error>>),
    PingDue,
}

/// Why we end a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Stopping,
    SessionEnded,
    /// What there is to tell cannot be found out at present.
    Interrupted,
    Silent,
    Talkative,
    MessageTooBig,
    NotUtf8,
    ProtocolError,
}

impl End {
    fn frame(self) -> CloseFrame {
        let (code, reason) = match self {
            Self::Stopping => (CloseCode::Away, "this replica is stopping"),
            Self::SessionEnded => (CloseCode::Library(SESSION_ENDED), "session ended"),
            Self::Interrupted => (CloseCode::Again, "try again"),
            Self::Silent => (CloseCode::Policy, "no answer to a ping"),
            Self::Talkative => (CloseCode::Policy, "too many messages"),
            Self::MessageTooBig => (CloseCode::Size, "message too big"),
            Self::NotUtf8 => (CloseCode::Invalid, "not UTF-8"),
            Self::ProtocolError => (CloseCode::Protocol, "protocol error"),
        };
        CloseFrame { code, reason: reason.into() }
    }

    /// What a failed read means; `None` if nobody is left to be told.
    fn after(error: &Error) -> Option<Self> {
        match error {
            Error::Capacity(_) => Some(Self::MessageTooBig),
            Error::Utf8(_) => Some(Self::NotUtf8),
            Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => None,
            Error::Protocol(_) => Some(Self::ProtocolError),
            _ => None,
        }
    }
}

/// Holds a connection that has become a WebSocket until one of its ends comes.
pub(super) async fn hold(
    upgraded: Upgraded,
    subscription: Subscription,
    ping_interval: Duration,
    stop: CancellationToken,
) {
    converse(TokioIo::new(upgraded), subscription, ping_interval, &stop).await;
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    subscription: Subscription,
    ping_interval: Duration,
    stop: &CancellationToken,
) {
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX))
        .read_buffer_size(MESSAGE_BYTES_MAX)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX);
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
    if let Some(end) = talk(&mut socket, subscription, ping_interval, stop).await {
        tracing::debug!(?end, "a socket is closed");
        let _ = timeout(CLOSE_TIMEOUT, close(socket, end)).await;
    }
}

/// Returns why we end it, or `None` when the client did.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocketStream<S>,
    Subscription { mut changes, mut session_ended }: Subscription,
    ping_interval: Duration,
    stop: &CancellationToken,
) -> Option<End> {
    let mut pings = time::interval(ping_interval);
    pings.reset();
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = true;
    let mut messages = 0;
    loop {
        let event = tokio::select! {
            biased;
            () = stop.cancelled() => Event::Stopped,
            () = &mut session_ended => Event::SessionEnded,
            received = socket.next() => Event::Received(received),
            change = changes.next() => Event::Change(change),
            _ = pings.tick() => Event::PingDue,
        };
        let message = match event {
            Event::Stopped => return Some(End::Stopping),
            Event::SessionEnded => return Some(End::SessionEnded),
            Event::Received(None) => return None,
            Event::Received(Some(Err(error))) => return End::after(&error),
            Event::Received(Some(Ok(_))) if messages == MESSAGES_MAX => return Some(End::Talkative),
            // Pings and the client's close are answered by the library at the next call.
            Event::Received(Some(Ok(_))) => {
                (heard, messages) = (true, messages + 1);
                continue;
            }
            Event::Change(None) => return Some(End::Interrupted),
            Event::Change(Some(text)) => Message::text(text),
            Event::PingDue if !heard => return Some(End::Silent),
            Event::PingDue => {
                (heard, messages) = (false, 0);
                Message::Ping(Bytes::new())
            }
        };
        if !matches!(timeout(WRITE_TIMEOUT, socket.send(message)).await, Ok(Ok(()))) {
            return None;
        }
    }
}

async fn close<S: AsyncRead + AsyncWrite + Unpin>(mut socket: WebSocketStream<S>, end: End) {
    if socket.close(Some(end.frame())).await.is_err() {
        return;
    }
    while let Some(Ok(_)) = socket.next().await {}
    // After a failed read the library reads no more.
    if matches!(end, End::MessageTooBig | End::NotUtf8 | End::ProtocolError) {
        let stream = socket.get_mut();
        let _ = stream.shutdown().await;
        let _ = io::copy(&mut stream.take(DISCARDED_BYTES_MAX), &mut io::sink()).await;
    }
}
