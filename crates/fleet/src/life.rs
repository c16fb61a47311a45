//! The life of one replica: which event leads to which phase, and what is to be done about it.
//!
//! Invariants: a replica whose process has ended leaves the balancer before anything else is done, and so does one that hangs.
//! A replica that stops leaves the balancer for good, then drains, then gets TERM, then KILL. Between two runs lies a pause.
//! Elsewhere: acting on it (`crate::replica`).
//! Cannot fail: an event that does not concern the phase, such as the answer to a liveness probe of a replica that drains,
//! changes nothing.

mod back_off;
mod checks;
mod outlook;
#[cfg(test)]
mod tests;
mod vitals;
mod vocabulary;

use std::{
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

pub(crate) use self::back_off::Failures;
pub(crate) use self::checks::Answer;
pub(crate) use self::vocabulary::{Action, Event, ProbeKind, Record, Rules, Tell};
use self::{
    checks::Checks,
    vitals::{Finding, Vitals},
};

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
    /// The length of the pause grows with them.
    failures: Failures,
    /// Failed runs since one was ready at all; a crash loop shows in them.
    failures_before_ready: u32,
}

#[derive(Debug)]
enum Phase {
    /// Waits for a place among those that start at the same time.
    Queued,
    /// The process is being started.
    Spawning,
    /// Has not passed its startup probe.
    Starting { started: Instant, checks: Checks, progress_after: Duration },
    /// Has passed it in this run.
    Running { started: Instant, vitals: Vitals, traffic: Traffic },
    /// Out of the balancer for good, with requests in flight.
    Draining { until: Instant, readiness: Checks },
    /// Has got TERM.
    Terminating { until: Instant, then: Then },
    /// Has got KILL.
    Killing { then: Then },
    /// Has no process until its next start.
    Pausing { until: Instant },
    /// Has no process and gets none.
    Stopped,
}

/// Whether a replica that runs is in the balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Traffic {
    /// Has not been ready in this run.
    NotYet { progress_after: Duration },
    /// In the balancer.
    Admitted,
    /// Has been ready in this run, and is out of the balancer until it is again.
    Withdrawn,
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
        let failures = Failures::default();
        Self { rules, ordinal, phase: Phase::Queued, failures, failures_before_ready: 0 }
    }

    /// Takes an event and says what is to be done about it.
    pub(crate) fn on(&mut self, event: Event, now: Instant) -> Vec<Action> {
        let phase = mem::replace(&mut self.phase, Phase::Stopped);
        let (next, actions) = match event {
            Event::Placed => Self::placed(phase),
            Event::Started => self.started(phase, now),
            Event::StartFailed => self.start_failed(phase, now),
            Event::Probed(kind, answer) => self.probed(phase, kind, answer, now),
            Event::Exited => self.exited(phase, now),
            Event::Drained => self.drained(phase, now),
            Event::Due => self.due(phase, now),
            Event::Stop => self.stop(phase, now),
            Event::StopNow => Self::stop_now(phase),
        };
        self.phase = next;
        actions
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
        (Phase::Starting { started: now, checks, progress_after: PROGRESS_FIRST }, vec![])
    }

    fn start_failed(&mut self, phase: Phase, now: Instant) -> Step {
        let Phase::Spawning = phase else { return unconcerned(phase) };
        let pause = self.failed_before_ready(Duration::ZERO);
        (Phase::Pausing { until: now + pause }, vec![Action::Tell(Tell::StartFailed { pause })])
    }

    fn probed(&mut self, phase: Phase, kind: ProbeKind, answer: Option<Answer>, now: Instant) -> Step {
        match phase {
            Phase::Starting { started, mut checks, progress_after } if kind == ProbeKind::Startup => {
                match checks.answered(answer, &self.rules.startup, now) {
                    Some(Answer::Good) => {
                        let vitals = Vitals::new(&self.rules, started, now);
                        unconcerned(Phase::Running {
                            started,
                            vitals,
                            traffic: Traffic::NotYet { progress_after },
                        })
                    }
                    Some(Answer::Bad) => self.startup_failed(started, checks.in_a_row(), now),
                    None => unconcerned(Phase::Starting { started, checks, progress_after }),
                }
            }
            Phase::Running { started, mut vitals, traffic } => {
                match (vitals.answered(kind, answer, &self.rules, now), traffic) {
                    (Some(Finding::Hangs { failures }), traffic) => {
                        self.hangs(started, traffic, failures, now)
                    }
                    (Some(Finding::Ready), Traffic::NotYet { .. } | Traffic::Withdrawn) => {
                        self.ready(started, vitals, now)
                    }
                    (Some(Finding::NotReady { failures }), Traffic::Admitted) => {
                        let actions = vec![Action::Withdraw, Action::Tell(Tell::NotReady { failures })];
                        (Phase::Running { started, vitals, traffic: Traffic::Withdrawn }, actions)
                    }
                    _ => unconcerned(Phase::Running { started, vitals, traffic }),
                }
            }
            Phase::Draining { until, mut readiness } if kind == ProbeKind::Readiness => {
                // Asked on as in Kubernetes, and without a consequence: who is to go is not let in again.
                let _ = readiness.answered(answer, &self.rules.readiness, now);
                unconcerned(Phase::Draining { until, readiness })
            }
            phase => unconcerned(phase),
        }
    }

    fn exited(&mut self, phase: Phase, now: Instant) -> Step {
        match phase {
            Phase::Starting { started, .. }
            | Phase::Running { started, traffic: Traffic::NotYet { .. }, .. } => {
                let pause = self.failed_before_ready(now.duration_since(started));
                Self::crashed(started, pause, now, vec![])
            }
            Phase::Running { started, traffic, .. } => {
                let pause = self.failed(now.duration_since(started));
                Self::crashed(started, pause, now, traffic.withdrawal())
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
            Phase::Starting { started, mut checks, progress_after } => {
                let mut actions = ask(&mut checks, ProbeKind::Startup, now);
                let progress_after = progress(started, progress_after, ProbeKind::Startup, now, &mut actions);
                (Phase::Starting { started, checks, progress_after }, actions)
            }
            Phase::Running { started, mut vitals, mut traffic } => {
                let mut actions = vitals.ask(now);
                if let Traffic::NotYet { progress_after } = &mut traffic {
                    *progress_after =
                        progress(started, *progress_after, ProbeKind::Readiness, now, &mut actions);
                }
                (Phase::Running { started, vitals, traffic }, actions)
            }
            Phase::Draining { until, .. } if until <= now => {
                let cut = Tell::DrainCut { deadline: self.rules.drain_deadline };
                self.terminate(Then::Stop, now, vec![Action::Tell(cut)])
            }
            Phase::Draining { until, mut readiness } => {
                let actions = ask(&mut readiness, ProbeKind::Readiness, now);
                (Phase::Draining { until, readiness }, actions)
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
        match phase {
            Phase::Queued | Phase::Pausing { .. } => (Phase::Stopped, vec![Action::Tell(Tell::Stopped)]),
            Phase::Spawning
            | Phase::Starting { .. }
            | Phase::Running { traffic: Traffic::NotYet { .. }, .. } => {
                self.terminate(Then::Stop, now, vec![])
            }
            // One that is withdrawn may still have requests that were sent while it was ready.
            Phase::Running { vitals, traffic, .. } => {
                let until = now + self.rules.drain_deadline;
                (Phase::Draining { until, readiness: vitals.readiness() }, traffic.withdrawal())
            }
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
            | Phase::Running { .. }
            | Phase::Draining { .. }
            | Phase::Terminating { .. }
            | Phase::Killing { .. } => (Phase::Killing { then: Then::Stop }, vec![Action::Kill]),
        }
    }

    fn ready(&mut self, started: Instant, vitals: Vitals, now: Instant) -> Step {
        self.failures_before_ready = 0;
        let tell = Tell::Ready { elapsed: now.duration_since(started) };
        let actions = vec![Action::Admit, Action::Tell(tell)];
        (Phase::Running { started, vitals, traffic: Traffic::Admitted }, actions)
    }

    fn startup_failed(&mut self, started: Instant, failures: u32, now: Instant) -> Step {
        let pause = self.failed_before_ready(now.duration_since(started));
        let tell = Tell::StartupFailed { failures, pause };
        self.terminate(Then::Restart { pause }, now, vec![Action::Tell(tell)])
    }

    /// Without a drain: what it was asked it would not answer in that time either.
    fn hangs(&mut self, started: Instant, traffic: Traffic, failures: u32, now: Instant) -> Step {
        let ran_for = now.duration_since(started);
        let pause = match traffic {
            Traffic::NotYet { .. } => self.failed_before_ready(ran_for),
            Traffic::Admitted | Traffic::Withdrawn => self.failed(ran_for),
        };
        let mut actions = traffic.withdrawal();
        actions.push(Action::Tell(Tell::Hangs { failures, pause }));
        self.terminate(Then::Restart { pause }, now, actions)
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

    fn failed_before_ready(&mut self, ran_for: Duration) -> Duration {
        self.failures_before_ready = self.failures_before_ready.saturating_add(1);
        self.failed(ran_for)
    }

    fn failed(&mut self, ran_for: Duration) -> Duration {
        self.failures.count(ran_for, &self.rules.back_off, self.ordinal)
    }
}

impl Traffic {
    /// What takes a replica out of the balancer.
    fn withdrawal(self) -> Vec<Action> {
        match self {
            Self::Admitted => vec![Action::Withdraw],
            Self::NotYet { .. } | Self::Withdrawn => vec![],
        }
    }
}

fn ask(checks: &mut Checks, kind: ProbeKind, now: Instant) -> Vec<Action> {
    checks.ask(now).map(|()| Action::Probe(kind)).into_iter().collect()
}

/// Tells that a replica takes long where it is time to, and returns when it is the next time.
fn progress(
    started: Instant,
    progress_after: Duration,
    probe: ProbeKind,
    now: Instant,
    actions: &mut Vec<Action>,
) -> Duration {
    if now < started + progress_after {
        return progress_after;
    }
    actions.push(Action::Tell(Tell::StillStarting { probe, elapsed: progress_after }));
    progress_after * 2
}

fn unconcerned(phase: Phase) -> Step {
    (phase, vec![])
}
