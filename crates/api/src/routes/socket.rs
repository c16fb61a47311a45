//! `GET /ws`: a WebSocket that tells a user what changes of what is his.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    response::Response,
};
use futures_util::{StreamExt as _, stream, stream::BoxStream};
use phalanx_auth::{FieldWatch, Fields, TooManyWatches};
use phalanx_telemetry::clock;
use tokio::time::timeout;

use super::cart::{self, Cart};
use crate::{
    access::Caller,
    bearer,
    problem::Problem,
    service::Service,
    sockets::{Handshake, NoSeat, Subscription},
};

/// Opens a WebSocket, on which the caller's cart is told, and told again after each change.
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
    let owner = cart::owner(&caller);
    let changes = changes(service.carts.clone(), service.carts.watch(&owner)?, owner);
    let session_ended = Box::pin(session_ended(Arc::clone(&service), caller));
    let subscription = Subscription { changes, session_ended };
    service.sockets.keep(upgrade, seat, subscription);
    Ok(response)
}

/// The cart as it is, and after each change as it is then. Of changes that come fast only the last may be told.
fn changes(carts: Fields, watch: FieldWatch, owner: String) -> BoxStream<'static, String> {
    let told: Option<u64> = None;
    let next = move |(carts, mut watch, owner, told): (Fields, FieldWatch, String, Option<u64>)| async move {
        loop {
            watch.changed().await;
            match carts.get(&owner).await {
                Ok(contents) if Some(contents.version) > told => {
                    let told = Some(contents.version);
                    let text =
                        serde_json::to_string(&Cart::from(contents)).expect("texts and numbers serialize");
                    return Some((text, (carts, watch, owner, told)));
                }
                Ok(_) => {}
                // The watch wakes when questions are answered again.
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::debug!(error, "a change of a cart cannot be told yet");
                }
            }
        }
    };
    stream::unfold((carts, watch, owner, told), next).boxed()
}

/// Waits until what the caller has shown ends, or is revoked.
async fn session_ended(service: Arc<Service>, caller: Caller) {
    let mut learnt = service.revocations().changes();
    while !caller.is_revoked(&service) {
        // The clock may be set while we sleep.
        let left = caller.expires_at().saturating_sub(clock::unix_seconds());
        if left == 0 {
            return;
        }
        // Its end would be that of the service, which ends sockets by itself.
        let _ = timeout(Duration::from_secs(left), learnt.changed()).await;
    }
}

impl From<NoSeat> for Problem {
    fn from(NoSeat: NoSeat) -> Self {
        Self::Overloaded
    }
}

impl From<TooManyWatches> for Problem {
    fn from(_: TooManyWatches) -> Self {
        Self::Overloaded
    }
}
