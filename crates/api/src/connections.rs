//! The connections of a replica: accepting them, serving HTTP/1.1 on each, and ending them in order.
//!
//! Order of the end: the listener closes, idle connections close, those with a request close after its answer, and what is
//! left at the deadline is cut. Readiness is 503 from the first moment, since it looks at the same token.

use std::{io, net::SocketAddr, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
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
/// Out of descriptors, `accept` fails at once and for ever; the pause leaves the loop to the connections that exist.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How the service ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were cut at the deadline with a request still open.
    pub connections_cut: usize,
}

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
            Event::Accepted(Ok((stream, _))) => {
                connections.spawn(connection(stream, router.clone(), stop.clone()));
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

async fn connection(stream: TcpStream, router: Router, stop: CancellationToken) {
    // An answer is one write: waiting to fill a packet would only delay it.
    let _ = stream.set_nodelay(true);
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(HEAD_FIELDS_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    let serving = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
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
