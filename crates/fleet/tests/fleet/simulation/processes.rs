//! The process table as the kernel has it, as far as a trial is concerned.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// A process, told from a later one of the same number by when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Process {
    pub(super) pid: u32,
    began: u64,
}

impl Process {
    /// The process of this number, if there is one; one that nobody has reaped is there.
    pub(super) fn of(pid: u32) -> Option<Self> {
        Some(Self { pid, began: Stat::read(pid)?.began })
    }

    /// Whether it runs, or waits to be reaped.
    pub(super) fn is_there(self) -> bool {
        Self::of(self.pid) == Some(self)
    }
}

/// Every process in a folder, by its process group. A zombie is in no folder.
pub(super) fn groups_in(folder: &Path) -> BTreeMap<u32, BTreeSet<Process>> {
    let mut groups = BTreeMap::<u32, BTreeSet<Process>>::new();
    let entries = fs::read_dir("/proc").unwrap();
    for pid in entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()) {
        let cwd: Option<PathBuf> = fs::read_link(format!("/proc/{pid}/cwd")).ok();
        // In between it may end.
        if let Some(stat) = cwd.filter(|cwd| cwd == folder).and_then(|_| Stat::read(pid)) {
            groups.entry(stat.group).or_default().insert(Process { pid, began: stat.began });
        }
    }
    groups
}

/// The fields of `/proc/PID/stat` that are of interest.
struct Stat {
    group: u32,
    /// In ticks since the kernel began.
    began: u64,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name of the program may have spaces and brackets in it; fields are counted behind it, from the third.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        Some(Self { group: fields[2].parse().unwrap(), began: fields[19].parse().unwrap() })
    }
}
