//! Both sides of a gateway: what starts one, clients that send raw bytes, and origins that record what they get.

mod dns;
mod gateway;
mod message;
mod origin;
mod peer;
mod streams;
mod tokens;

use std::time::Duration;

pub(crate) use dns::{
    Data, DnsReply, DnsServer, Kind, NO_DATA, NO_SUCH_NAME, Record, SERVER_FAILURE, dns_addresses,
};
pub(crate) use gateway::{Setup, TestGateway};
pub(crate) use message::{IDS, LARGE_BYTES, Message, forwarded, large_body, ok};
pub(crate) use origin::{ClosedPort, Origin, Recorder, Reply};
pub(crate) use peer::{Ending, Peer};
pub(crate) use streams::{StreamConnection, StreamOrigin, StreamRecorder, StreamRequest};
pub(crate) use tokens::{AUTH, payload, signed, signed_with, token};

/// What becomes of a connection after a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connection {
    Kept,
    Closed,
}

/// Every wait ends here: far more than anything takes, so to reach it is a failure.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a condition is looked at that nobody is told of.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// The output of `future`, which is to come; `what` tells what did not.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("did not come in time: {what}"))
}

/// Returns once `is_so`.
pub(crate) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    within(what, async {
        while !is_so() {
            looks.tick().await;
        }
    })
    .await;
}
