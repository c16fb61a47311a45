//! Decisions every few seconds, as Knative's autoscaler makes them: for loads that rise faster than a `HorizontalPodAutoscaler`
//! looks, and for services that end while nobody asks for them.
//!
//! What counts is the whole service's value of a signal (requests at a time, requests a second) through what one replica should
//! have of it, averaged over two windows. The long one, *stable*, says how many replicas there should be. The short one, *panic*,
//! and the newest value alone, say whether there is a burst: when that asks for `panic_threshold` times the replicas that
//! are ready, the number follows the burst and never goes down, until a whole stable window has passed without a reason to panic.
//!
//! Where this differs from Knative: the newest value counts as a burst of its own, because one gateway counts exactly where
//! many queues there are only sampled; going down needs a whole stable window in which nothing failed to be read, and never
//! goes below what the short window asks for.
//! Invariants: the number lies between min and max; it never goes down in a panic, nor on values that are missing, nor by more
//! than half at a time; the last replica stays while there was a request within [`Wanted::idle`].
//! Elsewhere: who acts on it; the windows (`window.rs`).
//! Cannot fail: what cannot be known is a reason to hold.

mod policy;
mod reasons;
mod window;

use std::time::Duration;

use self::window::Window;
pub use self::{
    policy::{
        Aim, IDLE_BEYOND_WINDOW, PANIC_THRESHOLD_DEFAULT, PANIC_THRESHOLD_MAX, PANIC_THRESHOLD_MIN,
        PANIC_WINDOW_DEFAULT, PANIC_WINDOW_MIN, Policy, PolicyFault, PolicyFaults, STABLE_WINDOW_DEFAULT,
        STABLE_WINDOW_MAX, STABLE_WINDOW_MIN, Wanted,
    },
    reasons::{Course, Limiting, MetricReason, Proposal, Reasons},
};
use crate::number;

/// Of the replicas that are ready so many times as many may be asked for at once. Knative's own.
const UP_FACTOR: u32 = 1_000;
/// At most every second replica ends at once. Knative's own.
const DOWN_DIVISOR: u32 = 2;

/// What is observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The replicas that are asked for so far.
    pub replicas: u32,
    /// Those that take requests.
    pub ready: u32,
    /// Those of the replicas asked for that fail again and again: no capacity, and none that may be hoped for.
    pub crashing: u32,
    /// The value of the whole service for each of the policy's aims, in thousandths; nothing where it could not be read.
    pub readings: Vec<Option<i64>>,
    /// Whether anybody asks for the service.
    pub traffic: Traffic,
}

/// Whether there was a request since the decision before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// There was, or one is still open, waits or is held.
    Some,
    /// There was none.
    None,
    /// Nobody knows.
    Unknown,
}

/// How many replicas there should be, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// So many.
    pub replicas: u32,
    /// Because of this.
    pub reasons: Reasons,
}

/// What is remembered between decisions. In memory only: after a restart a whole stable window passes before anything goes down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    windows: Vec<Window>,
    /// Since when every value was read.
    read_since: Option<Duration>,
    /// When there last was a reason to panic; nothing outside of a panic.
    panicked: Option<Duration>,
    /// When there last was a request, as far as anybody knows.
    busy: Option<Duration>,
}

/// What all metrics ask for together.
#[derive(Clone, Copy)]
struct Asked {
    stable: u32,
    burst: u32,
}

/// Decides how many replicas there should be, and remembers what was observed.
#[must_use]
pub fn decide(policy: &Policy, state: &mut State, observed: &Observed, now: Duration) -> Decision {
    let wanted = policy.wanted();
    let from = observed.replicas;
    state.record(wanted, observed, now);
    let metrics = state.propose(wanted, observed, now);
    let asked = asked(&metrics);
    if let Some(asked) = asked {
        state.panic_or_calm(wanted, asked, observed.ready, now);
    }
    let (to, course) = match asked {
        // What is out of bounds is brought back at once, whatever else is known.
        _ if from > wanted.max => (wanted.max, Course::AboveMax),
        _ if from < wanted.min => (wanted.min, Course::BelowMin),
        None if from == 0 && observed.traffic == Traffic::Some => (1, Course::Woken),
        None => (from, Course::Blind),
        Some(asked) => {
            let proposed = state.proposed(asked, from);
            let (to, limiting) = state.limited(wanted, observed, proposed, now);
            (to, Course::Measured { proposed, limiting })
        }
    };
    let panic_until = state.panicked.map(|at| at.saturating_add(wanted.stable_window));
    let host_limit = policy.host_limit();
    let crashing = observed.crashing;
    let reasons = Reasons { from, to, metrics, crashing, course, panic_until, host_limit, now };
    Decision { replicas: to, reasons }
}

/// The largest of what the metrics ask for, in each window; nothing if none of them says anything.
fn asked(metrics: &[MetricReason]) -> Option<Asked> {
    let proposals = metrics.iter().filter_map(|metric| metric.proposal);
    proposals.map(|Proposal { stable, burst, .. }| Asked { stable, burst }).reduce(|most, next| Asked {
        stable: most.stable.max(next.stable),
        burst: most.burst.max(next.burst),
    })
}

impl State {
    fn record(&mut self, wanted: &Wanted, observed: &Observed, now: Duration) {
        self.windows.resize_with(wanted.aims.len(), Window::default);
        let mut all_read = true;
        for (index, window) in self.windows.iter_mut().enumerate() {
            match observed.readings.get(index).copied().flatten() {
                Some(milli) => window.record(milli, now, wanted.stable_window),
                None => all_read = false,
            }
        }
        match all_read {
            true => _ = self.read_since.get_or_insert(now),
            false => self.read_since = None,
        }
        // A first decision does not know what was before it, and nobody who does not know says that it was quiet.
        if observed.traffic != Traffic::None || self.busy.is_none() {
            self.busy = Some(now);
        }
    }

    fn propose(&self, wanted: &Wanted, observed: &Observed, now: Duration) -> Vec<MetricReason> {
        let proposal = |index: usize, aim: &Aim| {
            // A metric that is silent proposes nothing, though its windows may hold something yet.
            let newest = observed.readings.get(index).copied().flatten()?;
            let window = self.windows.get(index)?;
            let stable_milli = window.mean(wanted.stable_window, now)?;
            let burst_milli = window.mean(wanted.panic_window, now)?.max(newest);
            let asks = |milli| number::beside_crashing(replicas_for(milli, aim.milli), observed.crashing);
            let (stable, burst) = (asks(stable_milli), asks(burst_milli));
            Some(Proposal { stable_milli, burst_milli, stable, burst })
        };
        let reason = |(index, aim): (usize, &Aim)| MetricReason { aim: *aim, proposal: proposal(index, aim) };
        wanted.aims.iter().enumerate().map(reason).collect()
    }

    fn panic_or_calm(&mut self, wanted: &Wanted, asked: Asked, ready: u32, now: Duration) {
        let threshold = u64::from(wanted.panic_threshold_milli) * u64::from(ready.max(1));
        if u64::from(asked.burst) * 1_000 >= threshold {
            self.panicked = Some(now);
        } else if self.panicked.is_some_and(|at| at.saturating_add(wanted.stable_window) < now) {
            self.panicked = None;
        }
    }

    /// What the windows want, before anything limits it.
    fn proposed(&self, asked: Asked, from: u32) -> u32 {
        match self.panicked {
            Some(_) => asked.stable.max(asked.burst).max(from),
            // Below what there is only as far as the last seconds agree: a load that rises again is not taken from.
            None => asked.stable.max(asked.burst.min(from)),
        }
    }

    fn limited(&self, wanted: &Wanted, observed: &Observed, proposed: u32, now: Duration) -> (u32, Limiting) {
        let from = observed.replicas;
        let (mut to, mut limiting) = (proposed, Limiting::Nothing);
        if to < from {
            let unread_until = self.read_since.map(|since| since.saturating_add(wanted.stable_window));
            let half = from / DOWN_DIVISOR;
            if unread_until.is_none_or(|until| until > now) {
                (to, limiting) = (from, Limiting::Unread { until: unread_until });
            } else if to < half {
                (to, limiting) = (half, Limiting::Half);
            }
        }
        let idle_at = self.busy.map_or(now, |at| at.saturating_add(wanted.idle));
        if to == 0 && from == 0 && observed.traffic == Traffic::Some {
            (to, limiting) = (1, Limiting::Waking);
        } else if to == 0 && from > 0 && idle_at > now {
            (to, limiting) = (1, Limiting::Idle { until: idle_at });
        }
        let up = observed.ready.max(1).saturating_mul(UP_FACTOR).max(from);
        if to > up {
            (to, limiting) = (up, Limiting::Up);
        }
        match to {
            to if to > wanted.max => (wanted.max, Limiting::Max),
            to if to < wanted.min => (wanted.min, Limiting::Min),
            to => (to, limiting),
        }
    }
}

/// How many replicas bring a value of the whole service to what each should have.
fn replicas_for(milli: i64, each_milli: i64) -> u32 {
    let (milli, each) = (milli.max(0), each_milli.max(1));
    number::replicas(milli / each + i64::from(milli % each != 0))
}

#[cfg(test)]
mod tests;
