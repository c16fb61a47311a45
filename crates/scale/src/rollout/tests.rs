//! Replicas are written as letters: `A` is an available one of the first version, `a` one that starts, `B` and `b` are of the
//! second. Behind it stands what else is to be said: `.` has no process, `?` is not ready any more, `-` drains, `'` became
//! ready just now. They are numbered from 1 in the order in which they stand.

mod orders;
mod steps;
mod walks;

use std::time::Duration;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
/// When replicas are looked at that have been ready for long.
const LATER: Duration = Duration::from_secs(100);
const MIN_READY: Duration = Duration::from_secs(10);

fn pace(max_surge: &str, max_unavailable: &str) -> Policy {
    let pace = Pace::new(max_surge.parse().unwrap(), max_unavailable.parse().unwrap()).unwrap();
    Policy { pace, ..Policy::default() }
}

/// A rollout whose versions are the letters of `versions`, the last one the current one.
fn rollout(policy: Policy, desired: u32, versions: &str) -> Rollout<char> {
    let mut versions = versions.chars();
    let mut rollout = Rollout::new(policy, desired, versions.next().unwrap(), Duration::ZERO);
    for version in versions {
        rollout.roll_to(version, Duration::ZERO);
    }
    rollout
}

fn observed(rollout: &Rollout<char>, replicas: &str) -> Observed {
    let mut found: Vec<Replica> = Vec::new();
    for letter in replicas.chars() {
        let standing = match letter {
            '.' => Standing::Waiting,
            '?' => Standing::NotReady,
            '-' => Standing::Draining,
            '\'' => Standing::Ready { since: LATER },
            'A'..='Z' => Standing::Ready { since: Duration::ZERO },
            _ => Standing::Starting,
        };
        if letter.is_ascii_alphabetic() {
            let template = letter.to_ascii_uppercase();
            let entry = rollout.history().find(|entry| entry.template == template).unwrap();
            let id = ReplicaId(u32::try_from(found.len()).unwrap() + 1);
            found.push(Replica { id, version: entry.version, standing, restarts: 0 });
        } else {
            found.last_mut().unwrap().standing = standing;
        }
    }
    Observed { generation: rollout.generation(), replicas: found }
}

fn shown(rollout: &Rollout<char>, actions: &Actions) -> String {
    let starts = actions
        .start
        .iter()
        .map(|start| format!("+{}{}", start.count, rollout.template(start.version).unwrap()));
    let stops = actions.stop.iter().map(|replica| format!("-{}", replica.0));
    let all: Vec<_> = starts.chain(stops).collect();
    if all.is_empty() { "hold".to_owned() } else { all.join(" ") }
}
