//! What was measured of each replica at the decision before: what a rate is counted from.
//!
//! Invariant: no rate is counted over two runs of a replica, nor over less than the time between two decisions. A replica that was
//! not seen before has none.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    autoscaler::load::ServiceLoad,
    state::{ReplicaState, ServiceState, Standing},
    usage::Usage,
};

/// The shortest time that requests are counted over.
pub(super) const COUNTED_MIN: Duration = Duration::from_secs(1);

/// The runs of the replicas of one service.
#[derive(Debug, Default)]
pub(super) struct Runs(HashMap<Arc<str>, Run>);

/// One run of a replica.
#[derive(Clone, Copy, Debug)]
struct Run {
    pid: u32,
    /// When it was first seen, or since when it was then what it was: no later than the first decision after its start.
    started: Instant,
    usage: Option<Usage>,
    requests: Option<(u64, Instant)>,
}

/// A rate, and the time that it was counted over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) milli: i64,
    pub(super) taken: Instant,
    pub(super) window: Duration,
}

impl Runs {
    /// When the present run of a replica began, as far as it is known.
    pub(super) fn started(&self, replica: &ReplicaState) -> Instant {
        self.run(replica).map_or(replica.since, |run| run.started)
    }

    /// Processor time in thousandths of a core since the decision before.
    pub(super) fn cpu(&self, replica: &ReplicaState, usage: &Usage) -> Option<Rate> {
        let earlier = self.run(replica)?.usage?;
        let milli = usage.cpu_milli_since(&earlier)?;
        Some(Rate {
            milli: i64::try_from(milli).unwrap_or(i64::MAX),
            taken: usage.taken,
            window: usage.taken.saturating_duration_since(earlier.taken),
        })
    }

    /// Requests a second since the decision before.
    pub(super) fn requests(&self, replica: &ReplicaState, requests: u64, now: Instant) -> Option<Rate> {
        let (earlier, at) = self.run(replica)?.requests?;
        rate(earlier, at, requests, now)
    }

    /// Remembers what was measured, and forgets those that are gone.
    pub(super) fn remember(
        &mut self,
        state: &ServiceState,
        load: &ServiceLoad,
        used: &HashMap<Arc<str>, Usage>,
        now: Instant,
    ) {
        let run = |replica: &ReplicaState| {
            let process = replica.process?;
            let endpoint = load.endpoints.iter().find(|endpoint| endpoint.address == process.address);
            Some(Run {
                pid: process.pid,
                started: self.started(replica),
                usage: used.get(&replica.instance).copied(),
                requests: endpoint
                    .filter(|_| replica.standing == Standing::Ready)
                    .map(|endpoint| (endpoint.requests, now)),
            })
        };
        let runs = state.replicas.iter();
        self.0 = runs.filter_map(|replica| Some((Arc::clone(&replica.instance), run(replica)?))).collect();
    }

    fn run(&self, replica: &ReplicaState) -> Option<&Run> {
        let pid = replica.process?.pid;
        self.0.get(&replica.instance).filter(|run| run.pid == pid)
    }
}

/// A rate between two counts; none where the count began anew. What came within less than a second counts as within one: over
/// less, one request more or less would be everything.
pub(super) fn rate(earlier: u64, at: Instant, count: u64, now: Instant) -> Option<Rate> {
    let window = now.checked_duration_since(at)?.max(COUNTED_MIN);
    let more = u128::from(count.checked_sub(earlier)?);
    let milli = (more * 1_000 * 1_000_000_000).checked_div(window.as_nanos())?;
    Some(Rate { milli: i64::try_from(milli).unwrap_or(i64::MAX), taken: now, window })
}
