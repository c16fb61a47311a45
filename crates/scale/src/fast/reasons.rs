//! Why a number was decided fast: as data, and for people as one line.
//!
//! `2 → 8: in_flight 210/100 asks 3, lately 790/100 asks 8; panic, so never down for 60s`

use std::{
    fmt::{self, Display, Formatter},
    time::Duration,
};

use crate::{Thousandths, fast::Aim, host::HostLimit, line};

/// Why a number was decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Reasons {
    /// The replicas that were asked for before.
    pub from: u32,
    /// The replicas that are asked for.
    pub to: u32,
    /// What each metric said, in the order of the policy.
    pub metrics: Vec<MetricReason>,
    /// The replicas that crashed again and again, and were not counted on.
    pub crashing: u32,
    /// The way to the number.
    pub course: Course,
    /// Until when there is a panic, if there is one and no further reason for it comes.
    pub panic_until: Option<Duration>,
    /// What lowered `max`, if anything did.
    pub host_limit: Option<HostLimit>,
    /// When it was decided.
    pub now: Duration,
}

/// What a metric said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricReason {
    /// The metric and its target.
    pub aim: Aim,
    /// What it asks for, unless it could not be read.
    pub proposal: Option<Proposal>,
}

/// What a metric asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The mean of the stable window, in thousandths.
    pub stable_milli: i64,
    /// The mean of the panic window or the newest value, whichever is more, in thousandths.
    pub burst_milli: i64,
    /// What the first asks for.
    pub stable: u32,
    /// What the second asks for.
    pub burst: u32,
}

/// The way to a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// There were more than ever allowed.
    AboveMax,
    /// There were fewer than ever allowed.
    BelowMin,
    /// No metric could be read.
    Blind,
    /// No metric could be read, and somebody waits for the first replica.
    Woken,
    /// The metrics decided.
    Measured {
        /// What they proposed.
        proposed: u32,
        /// What became of it.
        limiting: Limiting,
    },
}

/// What keeps the number from where the metrics want it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limiting {
    /// Nothing.
    Nothing,
    /// Never fewer.
    Min,
    /// Never more.
    Max,
    /// Never more than so many times the ready ones at once.
    Up,
    /// Never fewer than half of those there are at once.
    Half,
    /// Never down before a whole stable window was read.
    Unread {
        /// When it will have been, if it is being read.
        until: Option<Duration>,
    },
    /// The last replica stays for a while after the last request.
    Idle {
        /// Until when, if no further one comes.
        until: Duration,
    },
    /// Somebody waits for the first replica.
    Waking,
}

impl Display for Reasons {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        line::numbers_to(formatter, self.from, self.to)?;
        match self.course {
            Course::AboveMax => {
                write!(formatter, "there were more than max {}", self.to)?;
                return line::host_limit_to(formatter, self.host_limit);
            }
            Course::BelowMin => return write!(formatter, "there were fewer than min {}", self.to),
            Course::Blind | Course::Woken | Course::Measured { .. } => {}
        }
        line::metrics_to(formatter, &self.metrics, self.crashing)?;
        if let Some(until) = self.panic_until {
            write!(formatter, "; panic, so never down for {:?}", self.left(until))?;
        }
        match self.course {
            Course::Blind => write!(formatter, "; never down while nothing is known"),
            Course::Woken => write!(formatter, "; a request waits for the first replica"),
            Course::Measured { limiting, .. } => self.limiting_to(limiting, formatter),
            Course::AboveMax | Course::BelowMin => Ok(()),
        }
    }
}

impl Reasons {
    fn limiting_to(&self, limiting: Limiting, formatter: &mut Formatter<'_>) -> fmt::Result {
        match limiting {
            Limiting::Nothing => Ok(()),
            Limiting::Min => write!(formatter, "; limited by min {} (TooFewReplicas)", self.to),
            Limiting::Max => {
                write!(formatter, "; limited by max {}", self.to)?;
                line::host_limit_to(formatter, self.host_limit)?;
                write!(formatter, " (TooManyReplicas)")
            }
            Limiting::Up => write!(formatter, "; limited by the rate of growth (ScaleUpLimit)"),
            Limiting::Half => write!(formatter, "; limited to half at once (ScaleDownLimit)"),
            Limiting::Unread { until: Some(until) } => {
                write!(
                    formatter,
                    "; never down before a whole window was read; held for {:?}",
                    self.left(until)
                )
            }
            Limiting::Unread { until: None } => write!(formatter, "; never down while a metric is missing"),
            Limiting::Idle { until } => {
                write!(
                    formatter,
                    "; the last replica stays for {:?} after the last request",
                    self.left(until)
                )
            }
            Limiting::Waking => write!(formatter, "; a request waits for the first replica"),
        }
    }

    fn left(&self, until: Duration) -> Duration {
        until.saturating_sub(self.now)
    }
}

impl Display for MetricReason {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Aim { signal, milli } = self.aim;
        let Some(Proposal { stable_milli, burst_milli, stable, burst }) = self.proposal else {
            return write!(formatter, "{signal} is missing");
        };
        let (lately, target) = (Thousandths(burst_milli), Thousandths(milli));
        write!(formatter, "{signal} {}/{target} asks {stable}", Thousandths(stable_milli))?;
        write!(formatter, ", lately {lately}/{target} asks {burst}")
    }
}
