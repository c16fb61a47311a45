//! A request on its way through the gateway.

use std::time::Duration;

use phalanx_admission::queue::Ticket;

pub(crate) struct Request {
    pub(crate) worker: usize,
    pub(crate) came_at: Duration,
    pub(crate) shedding: Shedding,
    pub(crate) repeatable: Repeatable,
    pub(crate) key: u64,
    /// The endpoints that have got it.
    pub(crate) tried: Vec<usize>,
    pub(crate) stage: Stage,
}

/// Whether it waits, or is turned away, while there are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shedding {
    Sheds,
    Exempt,
}

/// Whether it may be sent again when an endpoint may have seen it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeatable {
    Yes,
    No,
}

/// Whether one that waits has been woken, and has not looked yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Awaited,
    Come,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Stage {
    Arrived,
    Waiting {
        ticket: Ticket,
        since: Duration,
        turn: Turn,
        /// When it looks for room although nobody has woken it.
        looks_at: Duration,
    },
    Attempting {
        endpoint: usize,
        since: Duration,
        trial: Option<u32>,
    },
    /// Between two attempts.
    Failed,
    Ended,
}

/// How it ended, which it does once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ending {
    Answered,
    /// With the 500 of an endpoint.
    Erred,
    /// With 502 or 504.
    Failed,
    /// With 503, because no endpoint may be used.
    NobodyServes,
    /// With 503, because the breaker is open.
    BreakerOpen,
    /// With 503, because there is no room and none to wait either.
    Shed,
    /// With 503, after waiting in vain.
    Late,
    /// The client's connection was reset in the middle of an answer.
    CutShort,
    ClientLeft,
}

impl Request {
    /// Whether it is counted by the gate until it is over.
    pub(crate) fn has_passed(&self) -> bool {
        self.shedding == Shedding::Sheds && !self.tried.is_empty()
    }

    /// The number of its current attempt.
    pub(crate) fn attempt(&self) -> u32 {
        u32::try_from(self.tried.len()).expect("attempts are few")
    }
}
