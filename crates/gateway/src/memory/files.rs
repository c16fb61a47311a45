//! How much memory this process's group may use and uses, as the kernel tells it in files.
//!
//! With control groups of version 2: of the group and of those around it, the one that is used up most, since each may be limited
//! (`Documentation/admin-guide/cgroup-v2.rst` of Linux). What the kernel keeps of files that were not used lately does not count: it
//! is given back before anybody is ended for it. Where no group is limited, the machine's memory counts, as far as its last part
//! goes: others fill the rest of it, and mean to.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// What counts of a machine's memory, the last of it: of a large machine a tenth is far more than anybody is short of.
const MACHINE_BYTES_MAX: u64 = 10 << 30;

/// Where the kernel tells about memory.
#[derive(Clone, Debug)]
pub struct MemoryFiles {
    /// Which group the process belongs to.
    pub own_group: PathBuf,
    /// Where the tree of groups begins.
    pub groups: PathBuf,
    /// The memory of the machine.
    pub machine: PathBuf,
}

impl Default for MemoryFiles {
    fn default() -> Self {
        Self {
            own_group: "/proc/self/cgroup".into(),
            groups: "/sys/fs/cgroup".into(),
            machine: "/proc/meminfo".into(),
        }
    }
}

/// How many bytes are used, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) used: u64,
    pub(super) all: u64,
}

impl MemoryFiles {
    /// How many bytes there are: what the machine has, or the least that a group around this process may use. Nothing where nobody
    /// tells.
    #[must_use]
    pub fn all(&self) -> Option<u64> {
        let machine = fs::read_to_string(&self.machine).ok();
        let machine = machine
            .and_then(|told| field(&told, "MemTotal:"))
            .map(|kibibytes| kibibytes.saturating_mul(1024));
        let groups = self.own_groups().into_iter().filter_map(|group| number(&group, "memory.max"));
        groups.chain(machine).min()
    }

    /// Reads it anew: limits change while a process runs.
    pub(super) fn read(&self) -> io::Result<Use> {
        let limited = self.own_groups().into_iter().filter_map(|group| group_use(&group));
        let fullest = limited.reduce(|one, other| if one.is_fuller_than(other) { one } else { other });
        match fullest {
            Some(fullest) => Ok(fullest),
            None => machine_use(&fs::read_to_string(&self.machine)?),
        }
    }

    /// The process's group and those around it; none where the system has no such groups.
    fn own_groups(&self) -> Vec<PathBuf> {
        let told = fs::read_to_string(&self.own_group).unwrap_or_default();
        // The others are of version 1, which has a tree for each resource.
        let Some(path) = told.lines().find_map(|line| line.strip_prefix("0::/")) else { return Vec::new() };
        let own = self.groups.join(path);
        own.ancestors().take_while(|group| group.starts_with(&self.groups)).map(Path::to_owned).collect()
    }
}

impl Use {
    fn is_fuller_than(self, other: Self) -> bool {
        u128::from(self.used) * u128::from(other.all) > u128::from(other.used) * u128::from(self.all)
    }
}

/// `None` where it has no limit, or none that can be read.
fn group_use(group: &Path) -> Option<Use> {
    let all = number(group, "memory.max")?;
    let used = number(group, "memory.current")?;
    let statistics = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
    let reclaimable = field(&statistics, "inactive_file ").unwrap_or(0);
    Some(Use { used: used.saturating_sub(reclaimable), all })
}

/// What a file of a group tells. The word `max` is no number, and no limit.
fn number(group: &Path, name: &str) -> Option<u64> {
    fs::read_to_string(group.join(name)).ok()?.trim().parse().ok()
}

fn machine_use(told: &str) -> io::Result<Use> {
    let bytes = |name| field(told, name).map(|kibibytes| kibibytes.saturating_mul(1024));
    match (bytes("MemTotal:"), bytes("MemAvailable:")) {
        (Some(total), Some(available)) => {
            let all = total.min(MACHINE_BYTES_MAX);
            Ok(Use { used: all.saturating_sub(available), all })
        }
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "the machine's memory is not told")),
    }
}

/// The number behind a name at the beginning of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: &str = "MemTotal:        1000 kB\nMemFree:           1 kB\nMemAvailable:     400 kB\n";

    /// Files with these contents, by their paths.
    fn files(contents: &[(&str, &str)]) -> (tempfile::TempDir, MemoryFiles) {
        let directory = tempfile::tempdir().unwrap();
        for (path, content) in contents {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let at = |name| directory.path().join(name);
        let files = MemoryFiles { own_group: at("own"), groups: at("groups"), machine: at("machine") };
        (directory, files)
    }

    fn read(contents: &[(&str, &str)]) -> (u64, u64) {
        let (_directory, files) = files(contents);
        let Use { used, all } = files.read().unwrap();
        (used, all)
    }

    #[test]
    fn the_own_group_tells_without_what_can_be_given_back() {
        let told = read(&[
            ("own", "12:memory:/old\n0::/system/phalanx\n"),
            ("groups/system/phalanx/memory.max", "1000\n"),
            ("groups/system/phalanx/memory.current", "900\n"),
            ("groups/system/phalanx/memory.stat", "anon 500\nfile 400\ninactive_file 300\nactive_file 100\n"),
            ("machine", MACHINE),
        ]);
        assert_eq!(told, (600, 1000));
    }

    #[test]
    fn of_several_limits_the_one_that_is_used_up_most_counts() {
        let told = read(&[
            ("own", "0::/outer/inner\n"),
            ("groups/outer/inner/memory.max", "1000\n"),
            ("groups/outer/inner/memory.current", "500\n"),
            ("groups/outer/memory.max", "2000\n"),
            ("groups/outer/memory.current", "1900\n"),
            ("machine", MACHINE),
        ]);
        assert_eq!(told, (1900, 2000));
    }

    #[test]
    fn in_a_container_the_root_is_the_own_group() {
        let told = read(&[
            ("own", "0::/\n"),
            ("groups/memory.max", "1000\n"),
            ("groups/memory.current", "700\n"),
            ("machine", MACHINE),
        ]);
        assert_eq!(told, (700, 1000));
    }

    #[test]
    fn without_a_limit_the_machine_counts() {
        let machine = ("machine", MACHINE);
        let used_of_all = (600 * 1024, 1000 * 1024);
        assert_eq!(read(&[machine]), used_of_all);
        assert_eq!(read(&[("own", "4:memory:/old\n"), machine]), used_of_all);
        let unlimited = [
            ("own", "0::/a\n"),
            ("groups/a/memory.max", "max\n"),
            ("groups/a/memory.current", "900\n"),
            machine,
        ];
        assert_eq!(read(&unlimited), used_of_all);
    }

    #[test]
    fn all_there_is_is_the_least_of_machine_and_groups() {
        let all = |contents: &[(&str, &str)]| {
            let (_directory, files) = files(contents);
            files.all()
        };
        assert_eq!(all(&[]), None);
        let machine = ("machine", "MemTotal: 67108864 kB\nMemAvailable: 1 kB\n");
        assert_eq!(all(&[machine]), Some(64 << 30));
        let own = ("own", "0::/outer/inner\n");
        let (outer, inner) =
            (("groups/outer/memory.max", "4294967296\n"), ("groups/outer/inner/memory.max", "max\n"));
        assert_eq!(all(&[machine, own, outer, inner]), Some(4 << 30));
    }

    #[test]
    fn of_a_large_machine_the_last_gibibytes_count() {
        let machine = |available_gib: u64| {
            let kibibytes = available_gib << 20;
            read(&[("machine", &format!("MemTotal: 67108864 kB\nMemAvailable: {kibibytes} kB\n"))])
        };
        assert_eq!(machine(20), (0, 10 << 30));
        assert_eq!(machine(3), (7 << 30, 10 << 30));
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let (_directory, nothing) = files(&[]);
        nothing.read().unwrap_err();
        let (_directory, malformed) = files(&[("machine", "MemTotal: many kB\n")]);
        malformed.read().unwrap_err();
    }

    #[test]
    fn this_machine_tells() {
        let Use { used, all } = MemoryFiles::default().read().expect("it is Linux");
        assert!(used <= all && all > 0, "{used} of {all}");
    }
}
