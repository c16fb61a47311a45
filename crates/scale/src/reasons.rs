//! Why a number was decided: for people as one line, for machines as data, and by the names that Kubernetes gives.
//!
//! The line is what log, metric and dashboard show: `4 → 6: cpu 95% > 80% asks 8; limited by policy 50%/1m (ScaleUpLimit)`.

mod line;

use std::time::Duration;

use crate::{
    behavior::Rate,
    events::EventLog,
    host::HostLimit,
    metric::{Metric, MetricError},
    proposal::Proposal,
    stabilize::Stabilized,
};

/// Why a number was decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Reasons {
    /// The replicas that were asked for before.
    pub from: u32,
    /// The replicas that are asked for.
    pub to: u32,
    /// What each metric said, in the order of the policy; nothing if none was asked.
    pub metrics: Vec<MetricReason>,
    /// The replicas that crashed again and again, and were not counted on.
    pub crashing: u32,
    /// The way to the number.
    pub course: Course,
    /// What lowered `max`, if anything did.
    pub host_limit: Option<HostLimit>,
    /// When it was decided.
    pub now: Duration,
}

/// What a metric said.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricReason {
    /// The metric and its target.
    pub metric: Metric,
    /// What it proposed, or why nothing.
    pub outcome: Result<Proposal, MetricError>,
}

/// The way to a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// There are no replicas, and whoever took them away shall bring them back.
    Paused,
    /// There were more than ever allowed.
    AboveMax,
    /// There were fewer than ever allowed.
    BelowMin,
    /// The metrics do not tell enough to act on.
    Blind,
    /// A metric decided.
    Measured(Pass),
}

/// What became of the largest proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Whose it was, as an index of the metrics.
    pub winner: usize,
    /// The proposal.
    pub proposed: u32,
    /// What the past made of it.
    pub stabilized: Stabilized,
    /// What rates and bounds made of that.
    pub limiting: Limiting,
}

/// What keeps the number from where it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limiting {
    /// It is there.
    Nothing,
    /// Never fewer than this.
    Min(u32),
    /// Never more than this.
    Max(u32),
    /// Without rules of behaviour, never more than twice as many at once.
    Doubling(u32),
    /// A rate of growth.
    Up(RateReason),
    /// A rate of decline.
    Down(RateReason),
}

/// How a rate limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateReason {
    /// To so many replicas.
    pub to: u32,
    /// Which does; none where the direction is disabled.
    pub rate: Option<Rate>,
    /// When the rate allows more again, if ever.
    pub again: Option<Duration>,
}

/// What keeps the number, and until when it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cooldown {
    /// What does.
    pub cause: Cause,
    /// Until then.
    pub until: Duration,
    /// For so long from the decision on.
    pub left: Duration,
}

/// What keeps a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A stabilization window: proposals of the past disagree.
    Window,
    /// A rate: changes of the past used it up.
    Rate,
}

/// A condition as Kubernetes reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition {
    /// What it is about.
    pub kind: &'static str,
    /// Whether it holds.
    pub status: Status,
    /// Why.
    pub reason: &'static str,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It does.
    True,
    /// It does not.
    False,
}

impl Limiting {
    /// What `desired` becomes.
    #[must_use]
    pub fn apply(self, desired: u32) -> u32 {
        match self {
            Self::Nothing => desired,
            Self::Min(to)
            | Self::Max(to)
            | Self::Doubling(to)
            | Self::Up(RateReason { to, .. })
            | Self::Down(RateReason { to, .. }) => to,
        }
    }

    /// Its name in Kubernetes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "DesiredWithinRange",
            Self::Min(_) => "TooFewReplicas",
            Self::Max(_) => "TooManyReplicas",
            Self::Doubling(_) | Self::Up(_) => "ScaleUpLimit",
            Self::Down(_) => "ScaleDownLimit",
        }
    }

    fn status(self) -> Status {
        if self == Self::Nothing { Status::False } else { Status::True }
    }
}

impl RateReason {
    pub(crate) fn new(to: u32, rate: Option<Rate>, changes: &EventLog, now: Duration) -> Self {
        // With nothing to wait for yet, what is decided here is the change that will have to be waited for.
        let over = |Rate { period, .. }| changes.next_over(period, now).unwrap_or(now.saturating_add(period));
        Self { to, rate, again: rate.map(over) }
    }
}

impl Reasons {
    /// The metric whose proposal was followed.
    #[must_use]
    pub fn winner(&self) -> Option<&MetricReason> {
        match self.course {
            Course::Measured(Pass { winner, .. }) => self.metrics.get(winner),
            Course::Paused | Course::AboveMax | Course::BelowMin | Course::Blind => None,
        }
    }

    /// The first metric that failed, with its error.
    #[must_use]
    pub fn first_failure(&self) -> Option<(&Metric, &MetricError)> {
        self.metrics.iter().find_map(|reason| Some((&reason.metric, reason.outcome.as_ref().err()?)))
    }

    /// What keeps the number from where the metrics want it, and until when.
    #[must_use]
    pub fn cooldown(&self) -> Option<Cooldown> {
        let Course::Measured(pass) = self.course else { return None };
        let (cause, until) = match (pass.limiting, pass.stabilized.held_until) {
            (Limiting::Up(RateReason { again, .. }) | Limiting::Down(RateReason { again, .. }), _) => {
                (Cause::Rate, again?)
            }
            (_, Some(until)) => (Cause::Window, until),
            (_, None) => return None,
        };
        // Without rules a proposal still holds at the very end of its window: there is nothing left to wait for.
        let left = until.saturating_sub(self.now);
        (!left.is_zero()).then_some(Cooldown { cause, until, left })
    }

    /// The conditions that Kubernetes would report, where the decision says something about them.
    #[must_use]
    pub fn conditions(&self) -> Vec<Condition> {
        let condition = |kind, status, reason| Condition { kind, status, reason };
        let mut conditions = vec![condition("AbleToScale", Status::True, self.able_to_scale())];
        conditions.extend(self.scaling_active());
        if let Course::Measured(Pass { limiting, .. }) = self.course {
            conditions.push(condition("ScalingLimited", limiting.status(), limiting.name()));
        }
        conditions
    }

    fn able_to_scale(&self) -> &'static str {
        match self.course {
            Course::Paused | Course::Blind => "SucceededGetScale",
            _ if self.from != self.to => "SucceededRescale",
            Course::Measured(Pass { proposed, stabilized, .. }) => stabilized.name(proposed),
            // Never the case: whatever is out of bounds changes.
            Course::AboveMax | Course::BelowMin => "ReadyForNewScale",
        }
    }

    fn scaling_active(&self) -> Option<Condition> {
        let condition = |status, reason| Condition { kind: "ScalingActive", status, reason };
        match self.course {
            Course::Paused => Some(condition(Status::False, "ScalingDisabled")),
            Course::AboveMax | Course::BelowMin => None,
            Course::Blind => {
                let (metric, _) = self.first_failure()?;
                Some(condition(Status::False, metric.target.failure()))
            }
            Course::Measured(_) => Some(condition(Status::True, "ValidMetricFound")),
        }
    }
}
