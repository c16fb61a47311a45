//! The life of one replica: which event leads to which phase, and what is to be done about it.
//!
//! Invariants: a replica whose process has ended leaves the balancer before anything else is done. A replica that stops
//! leaves the balancer, then drains, then gets TERM, then KILL. Between two runs lies a pause.
//! Elsewhere: acting on it (`crate::replica`). The liveness probe of a serving replica belongs here, beside its readiness.
//! Cannot fail: an event that does not concern the phase, such as the answer to a probe of a replica that drains, changes
//! nothing.

mod back_off;
mod checks;
#[cfg(test)]
mod tests;
mod vocabulary;

use std::{
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

pub use self::back_off::BackOff;
pub(crate) use self::checks::Answer;
use self::checks::Checks;
pub(crate) use self::vocabulary::{Action, Event, Gate, Rules, Tell};
use crate::state::Standing;

/// A replica that takes longer than this to become ready is told about, again at twice the time, and so on.
const PROGRESS_FIRST: Duration = Duration::from_secs(5);

/// From so many runs in a row that ended before they were ready, it is a crash loop.
const CRASH_LOOP_FROM: u32 = 3;

/// The life of one replica.
#[derive(Debug)]
pub(crate) struct Life {
    rules: Arc<Rules>,
    ordinal: u32,
    phase: Phase,
    /// Failed runs since one was ready for long; the length of the pause grows with them.
    failures: u32,
    /// Failed runs since one was ready at all; a crash loop shows in them.
    failures_before_ready: u32,
}

#[derive(Debug)]
enum Phase {
    /// Waits for a place among those that start at the same time.
    Queued,
    /// The process is being started.
    Spawning,
    /// Has not been ready in this run.
    Starting { started: Instant, gate: Gate, checks: Checks, progress_after: Duration },
    /// In the balancer.
    Serving { started: Instant, ready: Instant, checks: Checks },
    /// Has been ready in this run, and is out of the balancer until it is again.
    Unready { started: Instant, checks: Checks },
    /// Out of the balancer for good, with requests in flight.
    Draining { until: Instant },
    /// Has got TERM.
    Terminating { until: Instant, then: Then },
    /// Has got KILL.
    Killing { then: Then },
    /// Has no process until its next start.
    Pausing { until: Instant },
    /// Has no process and gets none.
    Stopped,
}

/// What comes after the end of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Stop,
    Restart { pause: Duration },
}

type Step = (Phase, Vec<Action>);

impl Life {
    pub(crate) fn new(rules: Arc<Rules>, ordinal: u32) -> Self {
        Self { rules, ordinal, phase: Phase::Queued, failures: 0, failures_before_ready: 0 }
    }

    /// Takes an event and says what is to be done about it.
    pub(crate) fn on(&mut self, event: Event, now: Instant) -> Vec<Action> {
        let phase = mem::replace(&mut self.phase, Phase::Stopped);
        let (next, actions) = match event {
            Event::Placed => Self::placed(phase),
            Event::Started => self.started(phase, now),
            Event::StartFailed => self.start_failed(phase, now),
            Event::Probed(answer) => self.probed(phase, answer, now),
            Event::Exited => self.exited(phase, now),
            Event::Drained => self.drained(phase, now),
            Event::Due => self.due(phase, now),
            Event::Stop => self.stop(phase, now),
            Event::StopNow => Self::stop_now(phase),
        };
        self.phase = next;
        actions
    }

    /// When [`Event::Due`] is to come; `None`: only another event leads on.
    pub(crate) fn due_at(&self) -> Option<Instant> {
        match self.phase {
            Phase::Starting { started, checks, progress_after, .. } => {
                let progress = started + progress_after;
                Some(checks.due_at().map_or(progress, |check| check.min(progress)))
            }
            Phase::Serving { checks, .. } | Phase::Unready { checks, .. } => checks.due_at(),
            Phase::Draining { until } | Phase::Terminating { until, .. } | Phase::Pausing { until } => {
                Some(until)
            }
            Phase::Queued | Phase::Spawning | Phase::Killing { .. } | Phase::Stopped => None,
        }
    }

    /// Whether [`Event::Placed`] is awaited.
    pub(crate) fn wants_place(&self) -> bool {
        matches!(self.phase, Phase::Queued)
    }

    /// Whether it still needs the place it got. Places bound how many programs boot at once; one that takes long waits for
    /// something rather than computes, and shall not keep the others from starting.
    pub(crate) fn holds_place(&self) -> bool {
        match self.phase {
            Phase::Spawning => true,
            Phase::Starting { progress_after, .. } => progress_after == PROGRESS_FIRST,
            _ => false,
        }
    }

    /// Whether [`Event::Drained`] is awaited.
    pub(crate) fn is_draining(&self) -> bool {
        matches!(self.phase, Phase::Draining { .. })
    }

    /// Whether [`Event::Stop`] would change anything.
    pub(crate) fn heeds_stop(&self) -> bool {
        !matches!(
            self.phase,
            Phase::Draining { .. }
                | Phase::Terminating { then: Then::Stop, .. }
                | Phase::Killing { then: Then::Stop }
                | Phase::Stopped
        )
    }

    /// Whether [`Event::StopNow`] would change anything.
    pub(crate) fn heeds_stop_now(&self) -> bool {
        !matches!(self.phase, Phase::Killing { then: Then::Stop } | Phase::Stopped)
    }

    /// Whether this life is over.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Stopped)
    }

    /// The phase as others see it.
    pub(crate) fn standing(&self) -> Standing {
        match self.phase {
            Phase::Queued | Phase::Spawning | Phase::Starting { .. } => Standing::Starting,
            Phase::Serving { .. } => Standing::Ready,
            Phase::Unready { .. } => Standing::NotReady,
            Phase::Draining { .. } => Standing::Draining,
            Phase::Terminating { .. } | Phase::Killing { .. } => Standing::Stopping,
            Phase::Pausing { until } if self.failures_before_ready >= CRASH_LOOP_FROM => {
                Standing::CrashLoop { until }
            }
            Phase::Pausing { until } => Standing::BackingOff { until },
            Phase::Stopped => Standing::Stopped,
        }
    }

    fn placed(phase: Phase) -> Step {
        match phase {
            Phase::Queued => (Phase::Spawning, vec![Action::Start]),
            phase => unconcerned(phase),
        }
    }

    fn started(&self, phase: Phase, now: Instant) -> Step {
        let Phase::Spawning = phase else { return unconcerned(phase) };
        let checks = Checks::first_at(now + self.rules.startup.initial_delay);
        let gate = Gate::Startup;
        (Phase::Starting { started: now, gate, checks, progress_after: PROGRESS_FIRST }, vec![])
    }

    fn start_failed(&mut self, phase: Phase, now: Instant) -> Step {
        let Phase::Spawning = phase else { return unconcerned(phase) };
        let pause = self.failed_before_ready();
        (Phase::Pausing { until: now + pause }, vec![Action::Tell(Tell::StartFailed { pause })])
    }

    fn probed(&mut self, phase: Phase, answer: Answer, now: Instant) -> Step {
        match phase {
            Phase::Starting { started, gate, mut checks, progress_after } => {
                match (gate, checks.answered(answer, self.rules.probe(gate), now)) {
                    (Gate::Startup, Some(Answer::Good)) => {
                        let checks = Checks::first_at(now.max(started + self.rules.readiness.initial_delay));
                        (Phase::Starting { started, gate: Gate::Readiness, checks, progress_after }, vec![])
                    }
                    (Gate::Startup, Some(Answer::Bad)) => self.startup_failed(checks.in_a_row(), now),
                    (Gate::Readiness, Some(Answer::Good)) => self.ready(started, checks, now),
                    (Gate::Readiness, Some(Answer::Bad)) | (_, None) => {
                        unconcerned(Phase::Starting { started, gate, checks, progress_after })
                    }
                }
            }
            Phase::Serving { started, ready, mut checks } => {
                match checks.answered(answer, &self.rules.readiness, now) {
                    Some(Answer::Bad) => {
                        self.served(ready, now);
                        let tell = Tell::NotReady { failures: checks.in_a_row() };
                        (Phase::Unready { started, checks }, vec![Action::Withdraw, Action::Tell(tell)])
                    }
                    Some(Answer::Good) | None => unconcerned(Phase::Serving { started, ready, checks }),
                }
            }
            Phase::Unready { started, mut checks } => {
                match checks.answered(answer, &self.rules.readiness, now) {
                    Some(Answer::Good) => self.ready(started, checks, now),
                    Some(Answer::Bad) | None => unconcerned(Phase::Unready { started, checks }),
                }
            }
            phase => unconcerned(phase),
        }
    }

    fn exited(&mut self, phase: Phase, now: Instant) -> Step {
        match phase {
            Phase::Starting { started, .. } => {
                let pause = self.failed_before_ready();
                Self::crashed(started, pause, now, vec![])
            }
            Phase::Serving { started, ready, .. } => {
                self.served(ready, now);
                let pause = self.failed();
                Self::crashed(started, pause, now, vec![Action::Withdraw])
            }
            Phase::Unready { started, .. } => {
                let pause = self.failed();
                Self::crashed(started, pause, now, vec![])
            }
            Phase::Terminating { then: Then::Restart { pause }, .. }
            | Phase::Killing { then: Then::Restart { pause } } => {
                (Phase::Pausing { until: now + pause }, vec![Action::CleanUp])
            }
            Phase::Draining { .. }
            | Phase::Terminating { then: Then::Stop, .. }
            | Phase::Killing { then: Then::Stop } => {
                (Phase::Stopped, vec![Action::CleanUp, Action::Tell(Tell::Stopped)])
            }
            phase @ (Phase::Queued | Phase::Spawning | Phase::Pausing { .. } | Phase::Stopped) => {
                unconcerned(phase)
            }
        }
    }

    fn drained(&self, phase: Phase, now: Instant) -> Step {
        match phase {
            Phase::Draining { .. } => self.terminate(Then::Stop, now, vec![]),
            phase => unconcerned(phase),
        }
    }

    fn due(&self, phase: Phase, now: Instant) -> Step {
        match phase {
            Phase::Starting { started, gate, mut checks, mut progress_after } => {
                let mut actions: Vec<_> = checks.ask(now).map(|()| Action::Probe(gate)).into_iter().collect();
                if started + progress_after <= now {
                    actions.push(Action::Tell(Tell::StillStarting { elapsed: progress_after }));
                    progress_after *= 2;
                }
                (Phase::Starting { started, gate, checks, progress_after }, actions)
            }
            Phase::Serving { started, ready, mut checks } => {
                let actions = checks.ask(now).map(|()| Action::Probe(Gate::Readiness)).into_iter().collect();
                (Phase::Serving { started, ready, checks }, actions)
            }
            Phase::Unready { started, mut checks } => {
                let actions = checks.ask(now).map(|()| Action::Probe(Gate::Readiness)).into_iter().collect();
                (Phase::Unready { started, checks }, actions)
            }
            Phase::Draining { until } if until <= now => {
                let cut = Tell::DrainCut { deadline: self.rules.drain_deadline };
                self.terminate(Then::Stop, now, vec![Action::Tell(cut)])
            }
            Phase::Terminating { until, then } if until <= now => {
                let killed = Tell::Killed { grace: self.rules.shutdown_grace };
                (Phase::Killing { then }, vec![Action::Kill, Action::Tell(killed)])
            }
            Phase::Pausing { until } if until <= now => (Phase::Queued, vec![]),
            phase => unconcerned(phase),
        }
    }

    fn stop(&self, phase: Phase, now: Instant) -> Step {
        let until = now + self.rules.drain_deadline;
        match phase {
            Phase::Queued | Phase::Pausing { .. } => (Phase::Stopped, vec![Action::Tell(Tell::Stopped)]),
            Phase::Spawning | Phase::Starting { .. } => self.terminate(Then::Stop, now, vec![]),
            Phase::Serving { .. } => (Phase::Draining { until }, vec![Action::Withdraw]),
            // It may still have requests that were sent while it was ready.
            Phase::Unready { .. } => (Phase::Draining { until }, vec![]),
            Phase::Terminating { until, .. } => (Phase::Terminating { until, then: Then::Stop }, vec![]),
            Phase::Killing { .. } => (Phase::Killing { then: Then::Stop }, vec![]),
            phase @ (Phase::Draining { .. } | Phase::Stopped) => unconcerned(phase),
        }
    }

    /// Nothing is withdrawn: whoever asks for this ends the gateway as well, and no requests are worth a wait.
    fn stop_now(phase: Phase) -> Step {
        match phase {
            Phase::Queued | Phase::Pausing { .. } => (Phase::Stopped, vec![Action::Tell(Tell::Stopped)]),
            Phase::Stopped => unconcerned(phase),
            Phase::Spawning
            | Phase::Starting { .. }
            | Phase::Serving { .. }
            | Phase::Unready { .. }
            | Phase::Draining { .. }
            | Phase::Terminating { .. }
            | Phase::Killing { .. } => (Phase::Killing { then: Then::Stop }, vec![Action::Kill]),
        }
    }

    fn ready(&mut self, started: Instant, checks: Checks, now: Instant) -> Step {
        self.failures_before_ready = 0;
        let tell = Tell::Ready { elapsed: now.duration_since(started) };
        (Phase::Serving { started, ready: now, checks }, vec![Action::Admit, Action::Tell(tell)])
    }

    fn startup_failed(&mut self, failures: u32, now: Instant) -> Step {
        let pause = self.failed_before_ready();
        let tell = Tell::StartupFailed { failures, pause };
        self.terminate(Then::Restart { pause }, now, vec![Action::Tell(tell)])
    }

    fn crashed(started: Instant, pause: Duration, now: Instant, mut actions: Vec<Action>) -> Step {
        let tell = Tell::Exited { ran_for: now.duration_since(started), pause };
        actions.extend([Action::CleanUp, Action::Tell(tell)]);
        (Phase::Pausing { until: now + pause }, actions)
    }

    fn terminate(&self, then: Then, now: Instant, mut actions: Vec<Action>) -> Step {
        actions.push(Action::Terminate);
        (Phase::Terminating { until: now + self.rules.shutdown_grace, then }, actions)
    }

    fn failed_before_ready(&mut self) -> Duration {
        self.failures_before_ready = self.failures_before_ready.saturating_add(1);
        self.failed()
    }

    fn failed(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.rules.back_off.pause(self.failures, self.ordinal)
    }

    fn served(&mut self, ready: Instant, now: Instant) {
        if now.duration_since(ready) >= self.rules.back_off.forgiven_after {
            self.failures = 0;
        }
    }
}

fn unconcerned(phase: Phase) -> Step {
    (phase, vec![])
}
