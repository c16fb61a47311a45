//! When the next probe is due, and what a row of answers amounts to.

use std::time::Instant;

use phalanx_config::Probe;

/// What one probe found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// As the probe wants it.
    Good,
    /// Anything else, silence too.
    Bad,
}

/// The schedule and the tally of one probe, by the rules of Kubernetes: answers count only in a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checks {
    next: Next,
    last: Answer,
    in_a_row: u32,
}

#[derive(Clone, Copy, Debug)]
enum Next {
    Due(Instant),
    Asked(Instant),
}

impl Checks {
    pub(super) fn first_at(first: Instant) -> Self {
        Self { next: Next::Due(first), last: Answer::Bad, in_a_row: 0 }
    }

    /// When to ask; `None` while an answer is awaited.
    pub(super) fn due_at(&self) -> Option<Instant> {
        match self.next {
            Next::Due(at) => Some(at),
            Next::Asked(_) => None,
        }
    }

    /// Whether to ask at `now`. If so, the answer is awaited from here on.
    pub(super) fn ask(&mut self, now: Instant) -> Option<()> {
        self.due_at().filter(|at| *at <= now)?;
        self.next = Next::Asked(now);
        Some(())
    }

    /// Takes an answer; `Some` once as many like it stood in a row as the probe wants. Where nobody could ask, `None`, the
    /// row stays as it is: that says nothing about the replica.
    pub(super) fn answered(&mut self, answer: Option<Answer>, probe: &Probe, now: Instant) -> Option<Answer> {
        // The period runs from question to question: a slow answer does not stretch it.
        let asked = match self.next {
            Next::Due(at) | Next::Asked(at) => at,
        };
        self.next = Next::Due(now.max(asked + probe.period));
        let answer = answer?;
        self.in_a_row = if answer == self.last { self.in_a_row.saturating_add(1) } else { 1 };
        self.last = answer;
        let wanted = match answer {
            Answer::Good => probe.success,
            Answer::Bad => probe.failure,
        };
        (self.in_a_row >= wanted).then_some(answer)
    }

    /// How many answers like the last one stood in a row.
    pub(super) fn in_a_row(&self) -> u32 {
        self.in_a_row
    }
}
