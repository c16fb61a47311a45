//! What the fleet tells its user: which replica, what happened, what follows from it, and what to do.
//!
//! `ERROR` where a person has to act, `WARN` where the fleet helps itself, `INFO` for the normal life.
//! Elsewhere: when something is told (`crate::life`); the same as events, for the admin API (`crate::events::told`).

mod hints;

use std::{error::Error, fmt, time::Duration};

use phalanx_telemetry::chain;
use tracing::{
    error,
    field::{DisplayValue, display},
    info, warn,
};

use self::hints::{previous_hint, probe_hint};
use crate::{
    life::{ProbeKind, Rules, Tell},
    probe::{Asked, LastAnswers, ProbeError, Target},
    replica::Identity,
    run::Previous,
    state::{ProcessState, Standing},
};

/// After this long it is no longer normal that a replica is not ready.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is known of a replica when something is told about it.
pub(crate) struct Facts<'a> {
    pub(crate) identity: &'a Identity,
    pub(crate) rules: &'a Rules,
    pub(crate) standing: Standing,
    pub(crate) process: Option<ProcessState>,
    /// What the probes of the process found last, where it was not as it should be.
    pub(crate) last_answers: Option<&'a LastAnswers>,
    /// Of the process, or of the last one where there is none.
    pub(crate) last_lines: &'a [String],
    pub(crate) previous: &'a Previous,
}

impl<'a> Facts<'a> {
    /// What the last probe of this kind found, and what to do about it.
    pub(crate) fn last_answer(
        &self,
        kind: ProbeKind,
    ) -> (Option<DisplayValue<impl fmt::Display + 'a>>, Option<DisplayValue<&'static str>>) {
        let error = self.last_answers.and_then(|answers| answers.get(&kind));
        (error.map(|error| display(chain(error))), error.map(|error| display(probe_hint(error, kind))))
    }
}

/// Tells it.
pub(crate) fn tell(tell: Tell, facts: &Facts<'_>) {
    let Facts { identity: Identity { service, instance }, rules, process, previous, .. } = facts;
    let address = process.map(|process| display(process.address));
    let last_output = display(Lines(facts.last_lines));
    match tell {
        Tell::StartFailed { pause } => {
            let (cause, hint, next_start_in) =
                (display(previous), previous_hint(previous, facts.last_lines).map(display), Rounded(pause));
            error!(%service, %instance, cause, %next_start_in, hint, "replica could not be started");
        }
        Tell::StillStarting { probe, elapsed } if elapsed >= PATIENCE => {
            let (probe, (last_answer, hint)) = (Asked(rules.probe(probe)), facts.last_answer(probe));
            warn!(
                %service, %instance, %probe, ?elapsed, address, last_answer, hint, last_output,
                "replica is still not ready"
            );
        }
        Tell::StillStarting { probe, elapsed } => {
            let (last_answer, _) = facts.last_answer(probe);
            info!(%service, %instance, ?elapsed, address, last_answer, "replica is not ready yet");
        }
        Tell::StartupFailed { failures, pause } => {
            let (probe, next_start_in) = (Asked(&rules.startup), Rounded(pause));
            let (last_answer, hint) = facts.last_answer(ProbeKind::Startup);
            error!(
                %service, %instance, %probe, address, failures, last_answer, %next_start_in, hint, last_output,
                "replica did not become ready, and is started again"
            );
        }
        Tell::Ready { elapsed } => {
            let (pid, after) = (process.map(|process| process.pid), Rounded(elapsed));
            info!(%service, %instance, address, pid, %after, "replica is ready");
        }
        Tell::NotReady { failures } => {
            let (probe, (last_answer, _)) =
                (Asked(&rules.readiness), facts.last_answer(ProbeKind::Readiness));
            warn!(
                %service, %instance, %probe, address, failures, last_answer,
                "replica is not ready, and gets no requests"
            );
        }
        Tell::Hangs { failures, pause } => {
            let (probe, next_start_in) = (Asked(rules.probe(ProbeKind::Liveness)), Rounded(pause));
            let (last_answer, hint) = facts.last_answer(ProbeKind::Liveness);
            warn!(
                %service, %instance, %probe, address, failures, last_answer, %next_start_in, hint, last_output,
                "replica hangs, and is started again"
            );
        }
        Tell::Exited { ran_for, pause } => {
            let (exit, hint) = (display(previous), previous_hint(previous, facts.last_lines).map(display));
            let (ran_for, next_start_in) = (Rounded(ran_for), Rounded(pause));
            if let Standing::CrashLoop { .. } = facts.standing {
                error!(
                    %service, %instance, exit, %ran_for, %next_start_in, hint, last_output,
                    "replica exits again and again before it is ready"
                );
            } else {
                warn!(%service, %instance, exit, %ran_for, %next_start_in, hint, last_output, "replica exited");
            }
        }
        Tell::DrainCut { deadline } => {
            warn!(%service, %instance, ?deadline, "replica still has requests in flight at the drain deadline");
        }
        Tell::Killed { grace } => {
            warn!(%service, %instance, ?grace, "replica did not end within its grace, and was killed");
        }
        Tell::Stopped => info!(%service, %instance, "replica stopped"),
    }
}

/// To the millisecond: nobody reads further.
struct Rounded(Duration);

impl fmt::Display for Rounded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        write!(formatter, "{:?}", Duration::from_millis(millis))
    }
}

/// One behind the other: an event stays on one line.
struct Lines<'a>(&'a [String]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return formatter.write_str("(nothing)");
        }
        formatter.write_str(&self.0.join(" | "))
    }
}

/// Tells that the workers of the balancer did not take note of a change in time.
pub(crate) fn unacknowledged(
    Identity { service, instance }: &Identity,
    change: &'static str,
    timeout: Duration,
) {
    error!(%service, %instance, change, ?timeout, "a worker of the gateway does not answer; going on without it");
}

/// Tells that a probe could not be made, which is held against nobody.
pub(crate) fn unasked(target: &Target, kind: ProbeKind, error: &ProbeError) {
    let (instance, hint) = (&target.instance, probe_hint(error, kind));
    let probe = Asked(target.template.rules.probe(kind));
    let error = error as &dyn Error;
    warn!(%instance, %probe, error, hint, "a probe could not be made; its replica is left as it is");
}
