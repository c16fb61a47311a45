//! The rollout of one service as text: what `phalanx rollout status` prints.

use super::push_wrapped;
use crate::state::{Revision, Rollout, Service};

/// The rollout and its revisions as text for a terminal of this many columns; empty for a service without replicas.
#[must_use]
pub fn rollout(service: &Service, width: usize) -> String {
    let mut text = String::new();
    let Some(Rollout { revision, status, reason, updated, available, total, history }) = &service.rollout
    else {
        return text;
    };
    let name = &service.name;
    push_wrapped(&mut text, &format!("{name} is {status}: {reason}"), width);
    let desired = service.desired.unwrap_or(0);
    let counts = format!(
        "{updated} of {total} replicas are of revision {revision}, {available} of {desired} wanted are available"
    );
    push_wrapped(&mut text, &counts, width);
    text.push('\n');
    for Revision { revision, change, is_current } in history {
        let mark = if *is_current { "*" } else { "-" };
        push_wrapped(&mut text, &format!("{mark} {revision} {change}"), width);
    }
    text
}
