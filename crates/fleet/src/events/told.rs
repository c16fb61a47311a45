//! What is told of a replica, as an event.

use super::EventKind;
use crate::{
    life::{ProbeKind, Tell},
    notice::Facts,
    state::Standing,
};

/// What has happened, and what is known of it.
pub(crate) fn told(tell: Tell, facts: &Facts<'_>) -> (EventKind, String) {
    let Facts { standing, process, previous, .. } = facts;
    let answer = |kind| match facts.last_answer(kind) {
        (Some(answer), _) => format!("; the last probe: {answer}"),
        (None, _) => String::new(),
    };
    match tell {
        Tell::StartFailed { pause } => {
            (EventKind::StartFailed, format!("{previous}; starts again in {pause:.1?}"))
        }
        Tell::StillStarting { probe, elapsed } => {
            (EventKind::StillStarting, format!("not ready after {elapsed:.1?}{}", answer(probe)))
        }
        Tell::StartupFailed { failures, pause } => {
            let answer = answer(ProbeKind::Startup);
            let reason =
                format!("not ready after {failures} probes; stops, and starts again in {pause:.1?}{answer}");
            (EventKind::StartupFailed, reason)
        }
        Tell::Ready { elapsed } => {
            let process = match process {
                Some(process) => format!("; process {} on {}", process.pid, process.address),
                None => String::new(),
            };
            (EventKind::Ready, format!("after {elapsed:.1?}{process}"))
        }
        Tell::NotReady { failures } => {
            let answer = answer(ProbeKind::Readiness);
            (EventKind::NotReady, format!("{failures} probes in a row failed{answer}"))
        }
        Tell::Hangs { failures, pause } => {
            let answer = answer(ProbeKind::Liveness);
            let reason = format!(
                "{failures} liveness probes in a row failed; stops, and starts again in {pause:.1?}{answer}"
            );
            (EventKind::Hangs, reason)
        }
        Tell::Exited { ran_for, pause } => {
            let kind = match standing {
                Standing::CrashLoop { .. } => EventKind::CrashLoop,
                _ => EventKind::Exited,
            };
            let last_line = match facts.last_lines.last() {
                Some(line) => format!("; its last line: {line}"),
                None => String::new(),
            };
            (kind, format!("{previous} after {ran_for:.1?}; starts again in {pause:.1?}{last_line}"))
        }
        Tell::DrainCut { deadline } => {
            (EventKind::DrainCut, format!("requests were in flight after {deadline:.1?}"))
        }
        Tell::Killed { grace } => {
            (EventKind::Killed, format!("it did not end within {grace:.1?} after TERM"))
        }
        Tell::Stopped => (EventKind::Stopped, previous.to_string()),
    }
}
