//! The CPU time of one run, while processes come, go and leave their time to those that wait for them. Pure.
//!
//! The kernel adds what a process has used, with what that had taken over itself, to its parent's account of reaped
//! children when the parent waits for it; a process that nobody waits for, or whose parent ignores `SIGCHLD`, takes its time
//! along. A plain sum over the living would therefore go back. This counts what has been added since the last entry
//! instead: growth of a reaped account is set against the time of those that are gone and was counted while they lived.
//! Invariant: the total never goes back, and is never more than was used.

use std::collections::HashMap;

use super::table::{Entry, ProcessId};

/// Of one run of a replica.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    total: u64,
    known: HashMap<ProcessId, Account>,
}

/// A process as it was at the last entry.
#[derive(Clone, Copy, Debug)]
struct Account {
    parent: i32,
    own: u64,
    reaped: u64,
    /// Time of children that are gone, counted before, and not yet taken over: one that ended after its parent was read is
    /// taken over by the next entry. What has not come by then does not come.
    expected: u64,
}

impl Ledger {
    /// The processes of the last entry.
    pub(super) fn known(&self) -> impl Iterator<Item = ProcessId> {
        self.known.keys().copied()
    }

    /// Takes up the processes that there are, and returns the clock ticks since the start of the run.
    pub(super) fn enter<'a>(&mut self, members: impl Iterator<Item = &'a Entry>) -> u64 {
        let mut after: HashMap<_, _> = members.map(|entry| (entry.id, Account::from(entry))).collect();
        let mut left = self.left_by_the_gone(&after);
        for (id, account) in &mut after {
            let Some(before) = self.known.get(id) else {
                self.total = self.total.saturating_add(account.own.saturating_add(account.reaped));
                continue;
            };
            let grown = account.reaped.saturating_sub(before.reaped);
            let unexpected = grown.saturating_sub(before.expected);
            let left = left.remove(id).unwrap_or(0);
            account.expected = left.saturating_sub(unexpected);
            let added =
                account.own.saturating_sub(before.own).saturating_add(unexpected.saturating_sub(left));
            self.total = self.total.saturating_add(added);
        }
        self.known = after;
        self.total
    }

    /// Time, counted before, of those that are gone, by the nearest ancestor that is there and may take it over.
    fn left_by_the_gone(&self, after: &HashMap<ProcessId, Account>) -> HashMap<ProcessId, u64> {
        let by_pid: HashMap<_, _> =
            self.known.iter().map(|(id, account)| (id.pid, (*id, *account))).collect();
        let mut left: HashMap<ProcessId, u64> = HashMap::new();
        for account in self.known.iter().filter(|(id, _)| !after.contains_key(id)).map(|(_, gone)| gone) {
            let mut ancestor = by_pid.get(&account.parent);
            // Bounded, since a table that was read while it changed could show a circle.
            for _ in 0..by_pid.len() {
                match ancestor {
                    Some((id, _)) if after.contains_key(id) => {
                        let counted = account.own.saturating_add(account.reaped);
                        let left = left.entry(*id).or_default();
                        *left = left.saturating_add(counted);
                        break;
                    }
                    Some((_, gone)) => ancestor = by_pid.get(&gone.parent),
                    None => break,
                }
            }
        }
        left
    }
}

impl From<&Entry> for Account {
    fn from(entry: &Entry) -> Self {
        Self { parent: entry.parent, own: entry.own_ticks, reaped: entry.reaped_ticks, expected: 0 }
    }
}
