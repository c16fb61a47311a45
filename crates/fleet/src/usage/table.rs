//! The process table: one `stat` file for each process of this machine.
//!
//! Invariant: a child was read after its parent. So time that a parent has taken over from a child that it reaped is never
//! seen beside the child itself.
//! Fails where `/proc` cannot be listed. A process that ends meanwhile is not there; one that cannot be read is known as such.

use std::{
    collections::{HashMap, HashSet},
    fs, io, iter,
};

use procfs::{FromRead, ProcError, process::Stat};

/// How far above a process anybody is looked for.
pub(super) const ANCESTORS_MAX: usize = 256;

/// A process that no other one can be taken for: the kernel gives an id again, but not within the tick of its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ProcessId {
    pub(super) pid: i32,
    /// In clock ticks since the machine booted.
    pub(super) started: u64,
}

/// What is known of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: ProcessId,
    pub(super) parent: i32,
    pub(super) group: i32,
    /// Nobody has waited for it yet.
    pub(super) has_ended: bool,
    /// Clock ticks that it has used itself.
    pub(super) own_ticks: u64,
    /// Clock ticks of the children that it has waited for, and of theirs.
    pub(super) reaped_ticks: u64,
    pub(super) resident_pages: u64,
}

/// All processes of this machine.
#[derive(Debug, Default)]
pub(super) struct Table {
    entries: HashMap<i32, Entry>,
    unreadable: HashSet<i32>,
}

impl Table {
    pub(super) fn read() -> io::Result<Self> {
        let mut table = Self::default();
        for item in fs::read_dir("/proc")? {
            let Some(pid) = item?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            table.look_at(pid);
        }
        table.read_children_last();
        Ok(table)
    }

    fn read_children_last(&mut self) {
        for pid in self.read_too_early() {
            self.entries.remove(&pid);
            self.look_at(pid);
        }
    }

    /// Who has to be read again, parents first. Ids are listed in ascending order, and children have higher ones than their parents
    /// until the numbers begin anew. Whoever is read again is then read after its descendants, who follow.
    fn read_too_early(&self) -> Vec<i32> {
        let is_early =
            |entry: &Entry| entry.parent > entry.id.pid && self.entries.contains_key(&entry.parent);
        if !self.entries.values().any(is_early) {
            return Vec::new();
        }
        let mut parents_first: Vec<_> = self.entries.values().collect();
        parents_first.sort_by_cached_key(|entry| (self.ancestors(entry), entry.id.pid));
        let mut again = HashSet::new();
        let follows = |entry: &&Entry| {
            let follows = is_early(entry) || again.contains(&entry.parent);
            follows && again.insert(entry.id.pid)
        };
        parents_first.into_iter().filter(follows).map(|entry| entry.id.pid).collect()
    }

    /// How many there are. Bounded, since a table that was read while it changed could show a circle.
    fn ancestors(&self, entry: &Entry) -> usize {
        let ancestors = iter::successors(self.entry(entry.parent), |entry| self.entry(entry.parent));
        ancestors.take(ANCESTORS_MAX).count()
    }

    fn look_at(&mut self, pid: i32) {
        match Stat::from_file(format!("/proc/{pid}/stat")) {
            Ok(stat) => {
                self.entries.insert(pid, Entry::from(&stat));
            }
            Err(error) if is_gone(&error) => {}
            Err(_) => {
                self.unreadable.insert(pid);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn of(entries: impl IntoIterator<Item = Entry>) -> Self {
        let entries = entries.into_iter().map(|entry| (entry.id.pid, entry)).collect();
        Self { entries, unreadable: HashSet::new() }
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    pub(super) fn entry(&self, pid: i32) -> Option<&Entry> {
        self.entries.get(&pid)
    }

    /// The living child with this id.
    pub(super) fn child_of(&self, parent: u32, pid: u32) -> Option<ProcessId> {
        let entry = self.entries.get(&i32::try_from(pid).ok()?)?;
        let is_child = i32::try_from(parent).is_ok_and(|parent| entry.parent == parent);
        (is_child && !entry.has_ended).then_some(entry.id)
    }

    /// Whether this process, which was there, may still be.
    pub(super) fn is_unreadable(&self, id: ProcessId) -> bool {
        self.unreadable.contains(&id.pid)
    }
}

impl From<&Stat> for Entry {
    fn from(stat: &Stat) -> Self {
        let of_children = |ticks: i64| u64::try_from(ticks).unwrap_or(0);
        Self {
            id: ProcessId { pid: stat.pid, started: stat.starttime },
            parent: stat.ppid,
            group: stat.pgrp,
            has_ended: matches!(stat.state, 'Z' | 'X' | 'x'),
            own_ticks: stat.utime.saturating_add(stat.stime),
            reaped_ticks: of_children(stat.cutime).saturating_add(of_children(stat.cstime)),
            resident_pages: stat.rss,
        }
    }
}

fn is_gone(error: &ProcError) -> bool {
    match error {
        ProcError::NotFound(_) => true,
        ProcError::Io(error, _) => rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::SRCH),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(pid: i32, parent: i32) -> Entry {
        Entry {
            id: ProcessId { pid, started: 0 },
            parent,
            group: pid,
            has_ended: false,
            own_ticks: 0,
            reaped_ticks: 0,
            resident_pages: 0,
        }
    }

    #[test]
    fn who_was_read_before_its_parent_is_read_again_with_its_descendants() {
        let table =
            |entries: &[(i32, i32)]| Table::of(entries.iter().map(|(pid, parent)| entry(*pid, *parent)));
        for (entries, again) in [
            (&[(1, 0), (10, 1), (11, 10)][..], &[][..]),
            // The numbers began anew between 32,000 and its child 900.
            (&[(1, 0), (32_000, 1), (900, 32_000), (905, 900), (906, 905), (7, 1)], &[900, 905, 906]),
            (&[(20, 30), (30, 1), (25, 20), (5, 25)], &[20, 25, 5]),
            (&[(4, 5), (5, 4)], &[4, 5]),
        ] {
            assert_eq!(table(entries).read_too_early(), again, "{entries:?}");
        }
    }
}
