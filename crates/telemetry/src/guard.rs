//! `phalanx_auth_requests_total{outcome}`: what a gateway made of the requests to routes that ask for a token.
//!
//! Each worker counts for itself; a [`GuardFamily`] sums them when it is scraped.
//! Elsewhere: who judges (`phalanx-gateway`).

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter},
};

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardOutcome {
    /// Its token was good.
    Allowed,
    /// It had no token, and passed as nobody's.
    Anonymous,
    /// It was a browser's question before a request, which brings no token, and passed.
    Preflight,
    /// It had no token.
    NoToken,
    /// Its token was none of those that are taken.
    Invalid,
    /// Its token had expired.
    Expired,
    /// Its token had been revoked.
    Revoked,
    /// Its token had none of the roles.
    Forbidden,
    /// It could not be judged: there were no keys, or nothing was known of revocations.
    Unavailable,
}

impl GuardOutcome {
    /// All, each at its own index.
    const ALL: [Self; 9] = [
        Self::Allowed,
        Self::Anonymous,
        Self::Preflight,
        Self::NoToken,
        Self::Invalid,
        Self::Expired,
        Self::Revoked,
        Self::Forbidden,
        Self::Unavailable,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Anonymous => "anonymous",
            Self::Preflight => "preflight",
            Self::NoToken => "no_token",
            Self::Invalid => "invalid",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Forbidden => "forbidden",
            Self::Unavailable => "unavailable",
        }
    }
}

/// What one worker has judged.
#[derive(Debug, Default)]
pub struct GuardCounters {
    requests: [AtomicU64; GuardOutcome::ALL.len()],
}

impl GuardCounters {
    /// Counts a request.
    pub fn judged(&self, outcome: GuardOutcome) {
        self.requests[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }
}

/// The counters of all workers. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct GuardFamily {
    workers: Arc<Mutex<Vec<Arc<GuardCounters>>>>,
}

impl GuardFamily {
    /// A family without workers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counters for one more worker.
    #[must_use]
    pub fn join(&self) -> Arc<GuardCounters> {
        let counters = Arc::default();
        self.workers().push(Arc::clone(&counters));
        counters
    }

    /// What exposes this family in a [`Registry`](crate::registry::Registry).
    #[must_use]
    pub fn collector(&self) -> Box<dyn Collector> {
        Box::new(self.clone())
    }

    fn count(&self, outcome: GuardOutcome) -> u64 {
        let count = |worker: &Arc<GuardCounters>| worker.requests[outcome as usize].load(Ordering::Relaxed);
        self.workers().iter().map(count).sum()
    }

    fn workers(&self) -> MutexGuard<'_, Vec<Arc<GuardCounters>>> {
        self.workers.lock().expect("nothing panics while it holds this lock")
    }
}

impl Collector for GuardFamily {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Requests to routes that ask for a token.";
        let mut requests =
            encoder.encode_descriptor("phalanx_auth_requests", help, None, MetricType::Counter)?;
        for outcome in GuardOutcome::ALL {
            let labels = [("outcome", outcome.label())];
            ConstCounter::new(self.count(outcome)).encode(requests.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::Exposition;

    #[test]
    fn workers_are_summed_and_every_outcome_is_there_from_the_beginning() {
        let family = GuardFamily::new();
        let (one, other) = (family.join(), family.join());
        for (index, outcome) in GuardOutcome::ALL.into_iter().enumerate() {
            (0..index).for_each(|_| one.judged(outcome));
        }
        other.judged(GuardOutcome::Allowed);
        other.judged(GuardOutcome::Forbidden);

        let exposition = Exposition::of(family.collector());
        for (outcome, expected) in
            [("allowed", 1.0), ("anonymous", 1.0), ("forbidden", 8.0), ("unavailable", 8.0)]
        {
            let value = exposition.value("phalanx_auth_requests_total", &[("outcome", outcome)]);
            assert_eq!(value, Some(expected), "{outcome}");
        }
        assert_eq!(exposition.named("phalanx_auth_requests_total").count(), GuardOutcome::ALL.len());
    }
}
