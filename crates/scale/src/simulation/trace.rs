//! A load of the past: requests a second over time.

use std::time::Duration;

/// The longest trace.
pub const TRACE_MAX: Duration = Duration::from_secs(31 * 24 * 3600);
/// How long the only point of a trace lasts.
const ALONE: Duration = Duration::from_secs(60);

/// A load over time. Each value lasts until the next, and the last as long as the one before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Since the first point.
    points: Vec<(Duration, i64)>,
    length: Duration,
}

/// Why points are no trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// There is none.
    #[error("a trace needs at least one point")]
    Empty,
    /// Time does not go on.
    #[error("point {index} is not later than the one before")]
    NotLater {
        /// Which, from 0.
        index: usize,
    },
    /// Fewer requests than none.
    #[error("point {index} has a negative load")]
    Negative {
        /// Which, from 0.
        index: usize,
    },
    /// Longer than anybody wants to wait for.
    #[error("a trace may be {TRACE_MAX:?} long")]
    TooLong,
}

impl Trace {
    /// A trace of these points: when, and how many requests a second, in thousandths.
    ///
    /// # Errors
    /// If they are none.
    pub fn new(points: Vec<(Duration, i64)>) -> Result<Self, TraceError> {
        let (begin, _) = *points.first().ok_or(TraceError::Empty)?;
        if let Some(index) = points.iter().position(|(_, load)| *load < 0) {
            return Err(TraceError::Negative { index });
        }
        if let Some(index) = points.windows(2).position(|pair| pair[1].0 <= pair[0].0) {
            return Err(TraceError::NotLater { index: index + 1 });
        }
        let points: Vec<_> = points.into_iter().map(|(at, load)| (at.saturating_sub(begin), load)).collect();
        let length = match points[..] {
            [.., (before, _), (last, _)] => last.saturating_add(last - before),
            _ => ALONE,
        };
        if length > TRACE_MAX { Err(TraceError::TooLong) } else { Ok(Self { points, length }) }
    }

    /// How long it is.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.length
    }

    /// How many points it has.
    #[must_use]
    pub fn points(&self) -> usize {
        self.points.len()
    }

    /// The lowest and the highest load, in thousandths.
    #[must_use]
    pub fn range_milli(&self) -> (i64, i64) {
        let loads = || self.points.iter().map(|(_, load)| *load);
        (loads().min().unwrap_or_default(), loads().max().unwrap_or_default())
    }

    pub(super) fn cursor(&self) -> Cursor<'_> {
        Cursor { rest: &self.points, load: 0 }
    }
}

/// Goes through a trace once.
pub(super) struct Cursor<'a> {
    rest: &'a [(Duration, i64)],
    load: i64,
}

impl Cursor<'_> {
    /// The load at a time, which is not before the one asked for last.
    pub(super) fn at(&mut self, now: Duration) -> i64 {
        while let [(at, load), rest @ ..] = self.rest
            && *at <= now
        {
            self.load = *load;
            self.rest = rest;
        }
        self.load
    }
}
