//! Accepts connections of admin clients and answers them until it is told to stop.
//!
//! Invariant: every connection is a task of [`serve`], and none outlives it.

use std::{io, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinError, JoinSet},
    time,
};
use tokio_util::sync::CancellationToken;

use crate::{Source, control::Control, routes};

/// A few scrapers, a dashboard and a person need a dozen; the next ones wait in the listener's backlog.
const CONNECTIONS_MAX: usize = 256;
/// Also how long a connection may idle between two requests: longer than the 15 s a scraper usually pauses.
const HEAD_READ_TIMEOUT: Duration = Duration::from_secs(30);
const HEAD_BYTES_MAX: usize = 16 * 1024;
const DRAIN_DEADLINE: Duration = Duration::from_secs(5);
/// Accepting fails where descriptors run out, and fails again at once until one is freed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

enum Event {
    Accepted(io::Result<TcpStream>),
    Ended(Result<(), JoinError>),
}

/// Serves the admin API until `stop`, then lets open requests finish for at most five seconds.
pub async fn serve(
    listener: TcpListener,
    source: Arc<dyn Source>,
    control: Arc<dyn Control>,
    stop: CancellationToken,
) {
    let routes = routes::router(source, control, stop.clone());
    let mut connections = JoinSet::new();
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = connections.join_next() => Event::Ended(ended),
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => {
                Event::Accepted(accepted.map(|(stream, _)| stream))
            }
        };
        match event {
            Event::Accepted(Ok(stream)) => {
                connections.spawn(answer(stream, routes.clone(), stop.clone()));
            }
            Event::Accepted(Err(error)) => {
                tracing::warn!(%error, "admin connection not accepted");
                time::sleep(ACCEPT_PAUSE).await;
            }
            Event::Ended(ended) => report(ended),
        }
    }
    drop(listener);
    let drained = async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    };
    // Whatever the deadline finds open is aborted as the set is dropped.
    if time::timeout(DRAIN_DEADLINE, drained).await.is_err() {
        tracing::warn!("admin connections cut at the drain deadline");
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "admin connection panicked");
    }
}

async fn answer(stream: TcpStream, routes: Router, stop: CancellationToken) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_READ_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "admin connection broke");
    }
}
