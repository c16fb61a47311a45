//! The process table: one `stat` file for each process of this machine.
//!
//! Invariant: a child was read after its parent. So time that a parent has taken over from a child that it reaped is never
//! seen beside the child itself.
//! Fails where `/proc` cannot be listed. A process that ends meanwhile is not there; one that cannot be read is known as such.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
};

use procfs::{FromRead, ProcError, process::Stat};

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

    /// Ids are listed in ascending order, and children have higher ones than their parents until the numbers begin anew.
    fn read_children_last(&mut self) {
        let read_early =
            |entry: &&Entry| entry.parent > entry.id.pid && self.entries.contains_key(&entry.parent);
        let early: Vec<_> = self.entries.values().filter(read_early).map(|entry| entry.id.pid).collect();
        for pid in early {
            self.entries.remove(&pid);
            self.look_at(pid);
        }
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
