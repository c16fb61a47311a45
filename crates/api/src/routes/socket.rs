//! `GET /ws`: a WebSocket that tells a user what changes of what is his.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    response::Response,
};
use futures_util::{StreamExt as _, stream};
use phalanx_telemetry::clock;

use crate::{
    access::Caller,
    bearer,
    problem::Problem,
    router::Service,
    sockets::{Handshake, NoSeat, Subscription},
};

/// Opens a WebSocket, on which changes of the caller's cart are told as JSON texts.
///
/// Scripts in browsers offer the token as a subprotocol: `new WebSocket(url, ["bearer", token])`. The close code says why a
/// socket ends: 1001 this replica is stopping, 1008 no answer to a ping, 1009 message too big, 1013 try again, 4401 session
/// ended.
#[utoipa::path(
    get,
    path = "/ws",
    tag = "cart",
    responses(
        (status = 101, description = "The socket is open."),
        (status = 426, description = "The request asks for no WebSocket of version 13."),
    ),
)]
pub(crate) async fn open(
    State(service): State<Arc<Service>>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let (mut parts, _) = request.into_parts();
    let handshake = Handshake::of(&mut parts, bearer::SUBPROTOCOL)?;
    if service.stop.is_cancelled() {
        return Err(Problem::NotReady { detail: "this replica is stopping" });
    }
    let seat = service.sockets.seat(caller.account)?;
    let (response, upgrade) = handshake.accept();
    let subscription = Subscription {
        changes: stream::pending().boxed(),
        session_ended: Box::pin(expired(caller.expires_at)),
    };
    service.sockets.keep(upgrade, seat, subscription);
    Ok(response)
}

/// Waits for a moment, in Unix seconds.
async fn expired(at: u64) {
    // The clock may be set while we sleep.
    while let Some(left) = at.checked_sub(clock::unix_seconds()).filter(|left| *left > 0) {
        tokio::time::sleep(Duration::from_secs(left)).await;
    }
}

impl From<NoSeat> for Problem {
    fn from(NoSeat: NoSeat) -> Self {
        Self::Overloaded
    }
}
