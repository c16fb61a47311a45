//! What becomes of a replica whose task was lost to a fault in Phalanx: its process was killed as the task unwound, and here the rest
//! is cleared up that the task would have.
//!
//! Invariant: when this is done, no request goes to the process any more, and it is no zombie.

use std::time::Duration;

use phalanx_telemetry::clock;
use tokio::time::sleep;

use crate::{
    balancer::{Balancer, Withdrawal},
    process,
    replica::{Identity, Stops, Surroundings, acknowledged},
    state::{ReplicaState, Standing},
};

/// Clears up, and returns after `pause`, or earlier where the replica is to stop.
pub(crate) async fn recover<B: Balancer>(
    identity: &Identity,
    last: Option<ReplicaState>,
    pause: Duration,
    surroundings: &Surroundings<B>,
    stops: &Stops,
) {
    if let Some(last) = last {
        let until = clock::now() + pause;
        let shown = ReplicaState {
            standing: Standing::BackingOff { until },
            since: clock::now(),
            process: None,
            last_exit: Some("lost to a fault in phalanx".into()),
            ..last
        };
        surroundings.board.put(&identity.service, shown);
        if let Some(process) = last.process {
            let withdrawn =
                surroundings.balancer.withdraw(&identity.service, process.address, Withdrawal::Ended);
            acknowledged(withdrawn, "withdraw", identity, stops).await;
            process::reap(process.pid).await;
        }
    }
    tokio::select! {
        () = stops.stop_now.cancelled() => {}
        () = stops.stop.cancelled() => {}
        () = sleep(pause) => {}
    }
}
