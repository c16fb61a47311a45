//! Whose process is whose: the leader of each replica, its process group, all descendants, and those that have left both.
//!
//! A process belongs to the replica of its group, else to that of its parent. One that was seen to belong to a replica goes
//! on to do so when its parent ends. One whose parent had ended before it was seen, such as a daemon that forks twice, is
//! known by its environment, in which it inherits the name and the port of its replica.
//! Elsewhere: a program that has left its group, its parents and its environment is beyond this; a cgroup holds it.

use std::{
    collections::{HashMap, HashSet},
    fs,
};

use procfs::{FromRead, process::SmapsRollup};

use super::table::{ANCESTORS_MAX, Entry, ProcessId, Table};

const INSTANCE: &[u8] = b"PHALANX_INSTANCE=";

/// The processes of one run.
#[derive(Debug)]
pub(super) struct Family<'a> {
    members: Vec<&'a Entry>,
}

impl<'a> Family<'a> {
    pub(super) fn members(&self) -> impl Iterator<Item = &'a Entry> {
        self.members.iter().copied()
    }

    /// Memory held in RAM. What several processes share would count for each of them, which makes a prefork server look
    /// many times as large as it is: where there are several, each gets its part (PSS), which is dearer to find out.
    pub(super) fn memory_bytes(&self) -> Option<u64> {
        let living: Vec<_> = self.members().filter(|entry| !entry.has_ended).collect();
        match living.as_slice() {
            [] => None,
            [alone] => Some(resident_bytes(alone)),
            several => Some(several.iter().map(|entry| shared_bytes(entry)).sum()),
        }
    }
}

fn resident_bytes(entry: &Entry) -> u64 {
    entry.resident_pages.saturating_mul(procfs::page_size())
}

/// Its part of what it shares, or all of it where the kernel does not tell the part: to a process of another user, and of
/// one that has just ended.
fn shared_bytes(entry: &Entry) -> u64 {
    let rollup = SmapsRollup::from_file(format!("/proc/{}/smaps_rollup", entry.id.pid)).ok();
    let part = rollup.and_then(|rollup| {
        rollup.memory_map_rollup.iter().find_map(|map| map.extension.map.get("Pss").copied())
    });
    part.unwrap_or_else(|| resident_bytes(entry))
}

/// What the environment of every process of a run holds, unless it was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    instance: Vec<u8>,
    port: Vec<u8>,
}

impl Mark {
    /// That of the leader; `None` where it has written over its environment, or it cannot be read.
    pub(super) fn of(leader: ProcessId, instance: &str) -> Option<Self> {
        Self::in_environment(&environment(leader)?, instance)
    }

    fn in_environment(environment: &[u8], instance: &str) -> Option<Self> {
        let mark = Self {
            instance: [INSTANCE, instance.as_bytes()].concat(),
            // Names are the same in every Phalanx of this machine. A port is not, nor in the next run of this replica.
            port: entries(environment).find(|entry| entry.starts_with(b"PORT="))?.to_vec(),
        };
        mark.is_in(environment).then_some(mark)
    }

    pub(super) fn is_in(&self, environment: &[u8]) -> bool {
        [&self.instance, &self.port].into_iter().all(|own| entries(environment).any(|entry| entry == own))
    }
}

fn environment(of: ProcessId) -> Option<Vec<u8>> {
    fs::read(format!("/proc/{}/environ", of.pid)).ok()
}

/// It is empty for a moment while a program is replaced by another; and the replica that it names may have been started
/// so lately that it is not looked for yet.
fn is_of_nobody(environment: &[u8]) -> bool {
    !environment.is_empty() && !entries(environment).any(|entry| entry.starts_with(INSTANCE))
}

fn entries(environment: &[u8]) -> impl Iterator<Item = &[u8]> {
    environment.split(|byte| *byte == 0)
}

/// Looks for the families of several runs in one table.
pub(super) struct Seeker<'a> {
    table: &'a Table,
    /// By process: the leader of its family.
    owners: HashMap<ProcessId, ProcessId>,
    leaders: HashMap<i32, ProcessId>,
    marks: Vec<(ProcessId, Mark)>,
    /// Leaders of families that would be incomplete.
    blurred: HashSet<ProcessId>,
}

impl<'a> Seeker<'a> {
    pub(super) fn new(table: &'a Table) -> Self {
        Self {
            table,
            owners: HashMap::new(),
            leaders: HashMap::new(),
            marks: Vec::new(),
            blurred: HashSet::new(),
        }
    }

    /// A run, with the processes that were known to be of it.
    pub(super) fn look_for(
        &mut self,
        leader: ProcessId,
        mark: Option<&Mark>,
        known: impl Iterator<Item = ProcessId>,
    ) {
        for id in known {
            if self.table.is_unreadable(id) {
                self.blurred.insert(leader);
            }
            if self.table.entry(id.pid).is_some_and(|entry| entry.id == id) {
                self.owners.insert(id, leader);
            }
        }
        if self.table.is_unreadable(leader) {
            self.blurred.insert(leader);
        }
        self.owners.insert(leader, leader);
        self.leaders.insert(leader.pid, leader);
        self.marks.extend(mark.map(|mark| (leader, mark.clone())));
    }

    /// `strangers` are processes whose environment was looked at in vain, so that this is done once.
    pub(super) fn find(mut self, strangers: &mut HashSet<ProcessId>) -> HashMap<ProcessId, Family<'a>> {
        self.by_environment(strangers);
        let mut families: HashMap<ProcessId, Family<'a>> = HashMap::new();
        for entry in self.table.entries() {
            if let Some(leader) = self.owner(entry).filter(|leader| !self.blurred.contains(leader)) {
                families.entry(leader).or_insert_with(|| Family { members: Vec::new() }).members.push(entry);
            }
        }
        families
    }

    /// Finds those that neither their group nor their parents lead to.
    fn by_environment(&mut self, strangers: &mut HashSet<ProcessId>) {
        strangers.retain(|id| self.table.entry(id.pid).is_some_and(|entry| entry.id == *id));
        let Some(oldest) = self.marks.iter().map(|(leader, _)| leader.started).min() else { return };
        for entry in self.table.entries() {
            let may_belong = entry.id.started >= oldest && !entry.has_ended;
            if !may_belong || strangers.contains(&entry.id) || self.owner(entry).is_some() {
                continue;
            }
            let environment = environment(entry.id);
            let marked = |(_, mark): &&(_, Mark)| environment.as_ref().is_some_and(|found| mark.is_in(found));
            if let Some((leader, _)) = self.marks.iter().find(marked) {
                self.owners.insert(entry.id, *leader);
            } else if environment.is_none_or(|found| is_of_nobody(&found)) {
                strangers.insert(entry.id);
            }
        }
    }

    /// Walks up until a process is known.
    fn owner(&self, of: &Entry) -> Option<ProcessId> {
        let mut at = of;
        for _ in 0..ANCESTORS_MAX {
            if let Some(leader) = self.owners.get(&at.id).or_else(|| self.leaders.get(&at.group)) {
                return Some(*leader);
            }
            at = self.table.entry(at.parent)?;
        }
        None
    }
}
