//! The probes of a replica that has passed its startup probe, each on its own schedule.
//!
//! Invariant: none waits for the answer to another.

use std::time::Instant;

use super::{Action, Answer, ProbeKind, Rules, checks::Checks};

/// Readiness, and liveness where there is such a probe.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vitals {
    readiness: Checks,
    liveness: Option<Checks>,
}

/// What follows from the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Ready,
    NotReady { failures: u32 },
    Hangs { failures: u32 },
}

impl Vitals {
    /// Of a process that was started at `started` and may be probed from `now` on.
    pub(super) fn new(rules: &Rules, started: Instant, now: Instant) -> Self {
        Self {
            readiness: Checks::first_at(now.max(started + rules.readiness.initial_delay)),
            liveness: rules
                .liveness
                .as_ref()
                .map(|probe| Checks::first_at(now.max(started + probe.initial_delay))),
        }
    }

    /// The readiness probe, which goes on when the other one has to stop.
    pub(super) fn readiness(self) -> Checks {
        self.readiness
    }

    pub(super) fn due_at(&self) -> Option<Instant> {
        self.readiness.due_at().into_iter().chain(self.liveness.and_then(|liveness| liveness.due_at())).min()
    }

    /// The probes to make at `now`.
    pub(super) fn ask(&mut self, now: Instant) -> Vec<Action> {
        let readiness = self.readiness.ask(now).map(|()| Action::Probe(ProbeKind::Readiness));
        let liveness = self.liveness.as_mut().and_then(|liveness| liveness.ask(now));
        readiness.into_iter().chain(liveness.map(|()| Action::Probe(ProbeKind::Liveness))).collect()
    }

    /// Takes an answer; `Some` once it stands for something.
    pub(super) fn answered(
        &mut self,
        kind: ProbeKind,
        answer: Option<Answer>,
        rules: &Rules,
        now: Instant,
    ) -> Option<Finding> {
        match kind {
            ProbeKind::Startup => None,
            ProbeKind::Readiness => Some(match self.readiness.answered(answer, &rules.readiness, now)? {
                Answer::Good => Finding::Ready,
                Answer::Bad => Finding::NotReady { failures: self.readiness.in_a_row() },
            }),
            ProbeKind::Liveness => {
                let liveness = self.liveness.as_mut()?;
                match liveness.answered(answer, rules.liveness.as_ref()?, now)? {
                    Answer::Good => None,
                    Answer::Bad => Some(Finding::Hangs { failures: liveness.in_a_row() }),
                }
            }
        }
    }
}
