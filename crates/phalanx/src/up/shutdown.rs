//! Stops everything in order: readiness fails, the gateway stops accepting and drains, the replicas stop, the admin API goes
//! last, so that the end can be watched.

use super::{Running, Task, unexpected};
use crate::{exit::Failure, signals::Signals};

/// Stops in order; a further signal stops at once.
pub(super) async fn in_order(mut running: Running, signals: &mut Signals) -> Result<(), Failure> {
    running.overview.begin_draining();
    running.gateway.stop();
    loop {
        tokio::select! {
            signal = signals.stop() => {
                running.fleet.stop_now();
                return Err(Failure::Signal(signal));
            }
            ended = running.tasks.join_next() => match ended {
                Some(Ok(Task::Workers(Ok(())))) => {
                    running.stop_fleet.cancel();
                    if !running.has_fleet {
                        running.stop_rest.cancel();
                    }
                }
                Some(Ok(Task::Fleet(outcome))) => {
                    tracing::info!(orderly = outcome.orderly, forced = outcome.forced, "all replicas have ended");
                    running.stop_rest.cancel();
                }
                Some(Ok(Task::Other)) => {}
                Some(failed) => {
                    running.fleet.stop_now();
                    return Err(Failure::Runtime(unexpected(failed)));
                }
                None => return Ok(()),
            },
        }
    }
}
