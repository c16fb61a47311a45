//! Reasons as one line for people.

use std::fmt::{self, Display, Formatter};

use crate::{
    Thousandths, line,
    metric::{Measured, Target},
    reasons::{Cause, Cooldown, Course, Limiting, MetricReason, Pass, RateReason, Reasons},
};

impl Display for Reasons {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        line::numbers_to(formatter, self.from, self.to)?;
        match self.course {
            Course::Paused => write!(formatter, "paused while there are no replicas (ScalingDisabled)"),
            Course::AboveMax => {
                write!(formatter, "there were more than max {}", self.to)?;
                line::host_limit_to(formatter, self.host_limit)
            }
            Course::BelowMin => write!(formatter, "there were fewer than min {}", self.to),
            Course::Blind => {
                self.metrics_to(formatter)?;
                write!(formatter, "; never down while a metric fails")
            }
            Course::Measured(pass) => {
                self.metrics_to(formatter)?;
                self.pass_to(pass, formatter)
            }
        }
    }
}

impl Reasons {
    fn metrics_to(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        line::metrics_to(formatter, &self.metrics, self.crashing)
    }

    fn pass_to(&self, pass: Pass, formatter: &mut Formatter<'_>) -> fmt::Result {
        if self.metrics.len() > 1
            && let Some(winner) = self.winner()
        {
            write!(formatter, "; {} wins", winner.metric.name)?;
        }
        let Pass { proposed, stabilized, limiting, .. } = pass;
        if stabilized.replicas != proposed {
            let name = stabilized.name(proposed);
            write!(formatter, "; stabilized at {} ({name})", stabilized.replicas)?;
        }
        if limiting != Limiting::Nothing {
            write!(formatter, "; limited by {limiting}")?;
            if let Limiting::Max(_) = limiting {
                line::host_limit_to(formatter, self.host_limit)?;
            }
            write!(formatter, " ({})", limiting.name())?;
        }
        match self.cooldown() {
            Some(Cooldown { cause: Cause::Window, left, .. }) => write!(formatter, "; held for {left:?}"),
            Some(Cooldown { cause: Cause::Rate, left, .. }) => write!(formatter, "; more in {left:?}"),
            None => Ok(()),
        }
    }
}

impl Display for MetricReason {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let name = &self.metric.name;
        let proposal = match &self.outcome {
            Ok(proposal) => proposal,
            Err(error) => {
                return write!(formatter, "{name} failed: {error} ({})", self.metric.target.failure());
            }
        };
        let (measured, target) = (proposal.measured, Aim::of(&self.metric.target));
        let sign = match Aim::at(measured).partial_cmp(&target) {
            Some(std::cmp::Ordering::Greater) => '>',
            Some(std::cmp::Ordering::Less) => '<',
            Some(std::cmp::Ordering::Equal) | None => '=',
        };
        write!(formatter, "{name} {} {sign} {target} asks {}", Aim::at(measured), proposal.replicas)
    }
}

impl Display for Limiting {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => write!(formatter, "nothing"),
            Self::Min(min) => write!(formatter, "min {min}"),
            Self::Max(max) => write!(formatter, "max {max}"),
            Self::Doubling(_) => write!(formatter, "doubling"),
            Self::Up(RateReason { rate: Some(rate), .. })
            | Self::Down(RateReason { rate: Some(rate), .. }) => {
                write!(formatter, "policy {rate}")
            }
            Self::Up(_) => write!(formatter, "scaling up being disabled"),
            Self::Down(_) => write!(formatter, "scaling down being disabled"),
        }
    }
}

/// A value and its unit. Those of one metric have the same.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Aim {
    Percent(i64),
    Milli(i64),
}

impl Aim {
    fn of(target: &Target) -> Self {
        let milli = || Self::Milli(target.milli().unwrap_or_default());
        target.percent().map_or_else(milli, |percent| Self::Percent(i64::from(percent)))
    }

    fn at(measured: Measured) -> Self {
        match measured {
            Measured::Utilization { percent, .. } => Self::Percent(i64::from(percent)),
            Measured::Average { milli } | Measured::Value { milli } => Self::Milli(milli),
        }
    }
}

impl Display for Aim {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Percent(percent) => write!(formatter, "{percent}%"),
            Self::Milli(milli) => Thousandths(milli).fmt(formatter),
        }
    }
}
