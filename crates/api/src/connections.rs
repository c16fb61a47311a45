//! The connections of a replica: accepting them, serving HTTP/1.1 or HTTP/2 on each, and ending them in order.
//!
//! Order of the end: the listener closes, idle connections close, those with a request close after its answer, and what is
//! left at the deadline is cut. Readiness is 503 from the first moment, since it looks at the same token.

mod peer;
mod preface;
mod streams;

use std::{error::Error, io, net::SocketAddr, pin::pin, time::Duration};

use axum::Router;
use hyper::server::conn::{http1, http2};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use peer::WithPeer;
use preface::{Rewound, Spoken};
use streams::Streams;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

/// From one answer to the end of the next request's head. Longer than proxies keep idle connections, so that it is they
/// who close, and no request meets a connection that is going away.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
const HEAD_BYTES_MAX: usize = 16 << 10;
const HEAD_FIELDS_MAX: usize = 100;
/// Requests at a time on one connection; there is work for one core here, and more of them would only wait.
const STREAMS_MAX: u32 = 256;
/// What a client may send of one body that nobody has read, and of all bodies of its connection: they are small here.
const STREAM_WINDOW_BYTES: u32 = 64 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;
/// What of one answer waits for its client.
const SEND_BUFFER_BYTES_MAX: usize = 64 << 10;
/// How often a client that may have vanished is asked, and how long it may not answer.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PONG_TIMEOUT: Duration = Duration::from_secs(20);
/// Out of descriptors, `accept` fails at once and for ever; the pause leaves the loop to the connections that exist.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How the service ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were cut at the deadline with a request still open, and WebSockets.
    pub connections_cut: usize,
}

/// What answers the requests of one connection.
type Routes = WithPeer<TowerToHyperService<Router>>;

enum Event {
    Accepted(io::Result<(TcpStream, SocketAddr)>),
    Ended,
}

/// Serves `router` until `stop`, then drains.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    connections_max: usize,
    drain_deadline: Duration,
    stop: CancellationToken,
) -> Drained {
    let mut connections = JoinSet::new();
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => Event::Ended,
            accepted = listener.accept(), if connections.len() < connections_max => Event::Accepted(accepted),
        };
        match event {
            Event::Accepted(Ok((stream, peer))) => {
                let service = WithPeer::new(TowerToHyperService::new(router.clone()), peer);
                connections.spawn(connection(stream, service, stop.clone()));
            }
            Event::Accepted(Err(error)) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            Event::Ended => {}
        }
    }
    drop(listener);
    drain(connections, drain_deadline).await
}

async fn connection(stream: TcpStream, service: Routes, stop: CancellationToken) {
    // An answer is one write: waiting to fill a packet would only delay it.
    let _ = stream.set_nodelay(true);
    let opened = tokio::select! {
        opened = tokio::time::timeout(HEAD_TIMEOUT, Rewound::after_preface(stream)) => opened,
        // Nothing that means anything has come.
        () = stop.cancelled() => return,
    };
    let ended = match opened {
        Ok(Ok((stream, Spoken::Http1))) => serve_http1(stream, service, &stop).await,
        Ok(Ok((stream, Spoken::Http2))) => serve_http2(stream, service, &stop).await,
        Ok(Err(_)) | Err(_) => return,
    };
    if let Err(error) = ended {
        tracing::debug!(error = &error as &dyn Error, "a connection broke");
    }
}

async fn serve_http1(stream: Rewound, service: Routes, stop: &CancellationToken) -> hyper::Result<()> {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(HEAD_FIELDS_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    let serving = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
    let mut serving = pin!(serving);
    tokio::select! {
        ended = serving.as_mut() => ended,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    }
}

async fn serve_http2(stream: Rewound, service: Routes, stop: &CancellationToken) -> hyper::Result<()> {
    let streams = Streams::default();
    let mut builder = http2::Builder::new(streams.executor());
    // What bounds resets, settings and empty frames are the library's own defaults.
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).expect("16 KiB"))
        .max_send_buf_size(SEND_BUFFER_BYTES_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PONG_TIMEOUT);
    let service = streams.counted(service);
    let serving = builder.serve_connection(TokioIo::new(stream), service);
    let mut serving = pin!(serving);
    tokio::select! {
        ended = serving.as_mut() => return ended,
        () = stop.cancelled() => {}
        () = unused(&streams) => {}
    }
    serving.as_mut().graceful_shutdown();
    serving.await
}

/// Returns when no request has begun for a while.
async fn unused(streams: &Streams) {
    loop {
        let begun = streams.begun();
        tokio::time::sleep(HEAD_TIMEOUT).await;
        if streams.begun() == begun {
            return;
        }
    }
}

async fn drain(mut connections: JoinSet<()>, deadline: Duration) -> Drained {
    let ended = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(deadline, ended).await;
    let connections_cut = connections.len();
    if connections_cut > 0 {
        tracing::warn!(connections_cut, "connections were still open at the drain deadline");
    }
    connections.shutdown().await;
    Drained { connections_cut }
}
