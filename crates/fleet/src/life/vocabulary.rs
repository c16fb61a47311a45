//! What a life is governed by, what can happen in it, and what can be done about it.

use std::time::Duration;

use phalanx_config::{BackOff, Probe};

use super::Answer;

/// What a service and the command line lay down for the lives of its replicas.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) startup: Probe,
    pub(crate) readiness: Probe,
    pub(crate) liveness: Option<Probe>,
    pub(crate) drain_deadline: Duration,
    pub(crate) shutdown_grace: Duration,
    pub(crate) back_off: BackOff,
}

impl Rules {
    /// The probe of this kind; of liveness only where a life asks for it.
    pub(crate) fn probe(&self, kind: ProbeKind) -> &Probe {
        match kind {
            ProbeKind::Startup => &self.startup,
            ProbeKind::Readiness => &self.readiness,
            ProbeKind::Liveness => {
                self.liveness.as_ref().expect("a life asks only for a liveness probe that there is")
            }
        }
    }
}

/// How the last run of a replica went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// It was ready, or there was none.
    Clear,
    /// It ended, or did not even begin, before it was ready.
    FailedBeforeReady,
}

/// What a probe is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ProbeKind {
    /// Once per run, before the others: whether it has booted.
    Startup,
    /// From then on: whether it can take requests.
    Readiness,
    /// From then on too: whether it hangs.
    Liveness,
}

/// What happens to a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// It has its place among those that start at the same time.
    Placed,
    /// Its process runs.
    Started,
    /// There is no process: no port, no program, no memory.
    StartFailed,
    /// A probe was answered, or not; `None`: it could not be made.
    Probed(ProbeKind, Option<Answer>),
    /// The leader of its process group has ended.
    Exited,
    /// No request is in flight to it.
    Drained,
    /// The time of [`Life::due_at`](super::Life::due_at) has come.
    Due,
    /// It shall drain and stop.
    Stop,
    /// It shall end at once.
    StopNow,
}

/// What is to be done about it, in the order given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Start the process; answered by [`Event::Started`] or [`Event::StartFailed`].
    Start,
    /// Probe; answered by [`Event::Probed`].
    Probe(ProbeKind),
    /// Let the balancer send requests, and wait until it does.
    Admit,
    /// Keep the balancer from sending requests, and wait until it sends none.
    Withdraw,
    /// TERM to the process group; [`Event::Exited`] is to follow.
    Terminate,
    /// KILL to the process group; [`Event::Exited`] follows.
    Kill,
    /// KILL to what is left of the process group of a leader that has ended, and reap.
    CleanUp,
    /// Tell the user.
    Tell(Tell),
}

/// What the user is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tell {
    StartFailed { pause: Duration },
    StillStarting { probe: ProbeKind, elapsed: Duration },
    StartupFailed { failures: u32, pause: Duration },
    Ready { elapsed: Duration },
    NotReady { failures: u32 },
    Hangs { failures: u32, pause: Duration },
    Exited { ran_for: Duration, pause: Duration },
    DrainCut { deadline: Duration },
    Killed { grace: Duration },
    Stopped,
}
