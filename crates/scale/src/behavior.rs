//! How fast the number may change, and how long it is held, in each direction.

use std::{fmt, time::Duration};

/// Rules for both directions. A policy that has none goes by older ones: see [`crate::rate::doubling`] and
/// [`crate::stabilize::down_only`].
#[derive(Clone, Debug, PartialEq)]
pub struct Behavior {
    /// For more replicas.
    pub up: Rules,
    /// For fewer.
    pub down: Rules,
}

/// The rules of one direction.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// The number follows the most careful proposal of so long.
    pub window: Duration,
    /// Which of several rates holds.
    pub select: Select,
    /// How fast the number may change.
    pub rates: Vec<Rate>,
    /// How far from the target is still on it, where that differs from the policy's tolerance.
    pub tolerance: Option<f64>,
}

/// Which of several rates holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Select {
    /// The one that allows the largest change.
    Max,
    /// The one that allows the smallest change.
    Min,
    /// None: the number does not change in this direction.
    Disabled,
}

/// So much within such a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How much.
    pub amount: Amount,
    /// Within which time.
    pub period: Duration,
}

/// How much the number may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// By so many replicas.
    Replicas(u32),
    /// By a share of what there was when the period began.
    Percent(u32),
}

/// One direction of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// More replicas.
    Up,
    /// Fewer replicas.
    Down,
}

/// The period of the default rates.
const PERIOD_DEFAULT: Duration = Duration::from_secs(15);

impl Rules {
    /// What Kubernetes fills in for more replicas: at once, four or as many again within 15 s.
    #[must_use]
    pub fn up_default() -> Self {
        let rates =
            [Amount::Replicas(4), Amount::Percent(100)].map(|amount| Rate { amount, period: PERIOD_DEFAULT });
        Self { window: Duration::ZERO, select: Select::Max, rates: rates.to_vec(), tolerance: None }
    }

    /// What Kubernetes fills in for fewer replicas: after `window`, all at once.
    #[must_use]
    pub fn down_default(window: Duration) -> Self {
        let rates = vec![Rate { amount: Amount::Percent(100), period: PERIOD_DEFAULT }];
        Self { window, select: Select::Max, rates, tolerance: None }
    }

    /// The longest period of the rates: a change that is older matters to none of them.
    #[must_use]
    pub fn period_longest(&self) -> Duration {
        self.rates.iter().map(|rate| rate.period).max().unwrap_or_default()
    }
}

impl Amount {
    /// Whether it allows no change at all.
    #[must_use]
    pub fn is_nothing(self) -> bool {
        matches!(self, Self::Replicas(0) | Self::Percent(0))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.amount {
            Amount::Replicas(replicas) => write!(formatter, "{replicas}/{:?}", self.period),
            Amount::Percent(percent) => write!(formatter, "{percent}%/{:?}", self.period),
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Up => "up",
            Self::Down => "down",
        })
    }
}
