//! What happens next, and what happened last.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::Duration,
};

use phalanx_balance::{breaker, health::Standing};

use crate::{
    endpoint::{Condition, Outcome},
    request::Ending,
};

/// Something that happens by itself, at its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// A client sends a request to a worker.
    Arrives { worker: usize },
    /// An endpoint lets an attempt end.
    AttemptEnds { request: usize, attempt: u32, outcome: Outcome },
    /// An endpoint has not let it end in time.
    AttemptExpires { request: usize, attempt: u32 },
    /// A client does not wait any longer.
    ClientLeaves { request: usize },
    /// What an attempt came to reaches the main thread.
    Reported { endpoint: usize, report: Report },
    /// A table reaches a worker.
    Published { worker: usize, generation: usize },
    /// A request that waits has been woken, and is about to look for room.
    Woken { request: usize },
    /// A worker wakes the requests whose time to look has come.
    Sweeps { worker: usize },
    /// The main thread looks at what was counted.
    Ticks,
    /// The main thread sends active checks.
    Checks,
    /// Something happens to an endpoint.
    Trouble,
    /// Everything is well from here on.
    Calm,
}

/// What a worker tells of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Report {
    Failed,
    Succeeded,
}

/// What is worth reading when something went wrong.
#[derive(Clone, Copy, Debug)]
#[expect(dead_code, reason = "it is read where it is printed")]
pub(crate) enum Note {
    Happens(Event),
    Begins { request: usize, endpoint: usize },
    Waits { request: usize },
    Concludes { request: usize, outcome: Outcome },
    Ends { request: usize, ending: Ending },
    Condition { endpoint: usize, condition: Condition },
    Standing { endpoint: usize, standing: Standing },
    Breaker(breaker::State),
}

/// All that is going to happen.
#[derive(Default)]
pub(crate) struct Agenda {
    pub(crate) now: Duration,
    events: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    scheduled: u64,
    notes: VecDeque<(Duration, Note)>,
}

impl Agenda {
    const NOTES_MAX: usize = 60;

    pub(crate) fn after(&mut self, delay: Duration, event: Event) {
        self.scheduled += 1;
        self.events.push(Reverse((self.now + delay, self.scheduled, event)));
    }

    /// The next event before `end`, at whose time it then is.
    pub(crate) fn next_before(&mut self, end: Duration) -> Option<Event> {
        let Reverse((at, _, event)) = self.events.pop()?;
        if at >= end {
            return None;
        }
        self.now = at;
        match event {
            // What comes of these is noted, if anything does.
            Event::AttemptEnds { .. }
            | Event::AttemptExpires { .. }
            | Event::Woken { .. }
            | Event::Sweeps { .. }
            | Event::Ticks
            | Event::Checks => {}
            _ => self.note(Note::Happens(event)),
        }
        Some(event)
    }

    pub(crate) fn note(&mut self, note: Note) {
        if self.notes.len() == Self::NOTES_MAX {
            self.notes.pop_front();
        }
        self.notes.push_back((self.now, note));
    }

    pub(crate) fn print_notes(&self) {
        for (at, note) in &self.notes {
            println!("{:>9.4}  {note:?}", at.as_secs_f64());
        }
    }
}

/// A time that is exponentially distributed around `mean`.
pub(crate) fn exponential(random: &mut fastrand::Rng, mean: Duration) -> Duration {
    mean.mul_f64(-(1.0 - random.f64()).ln())
}
