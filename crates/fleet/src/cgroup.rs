//! Limits of what replicas use, by cgroup v2: a group for each run, below one of this Phalanx's own.
//!
//! Invariants: nothing is changed in a group that holds processes other than Phalanx, since only a group that it has to
//! itself can be taken for one that it was given. What is created here is removed with its owner, and a group does not
//! go before its last process: one that has left its process group is killed with it.
//! Elsewhere: where the hierarchy is (`hierarchy`), one run's group (`group`).
//! Fails with the reason why limits are not enforced, which is told once for each service; its replicas run all the same.

mod group;
mod hierarchy;

#[cfg(test)]
mod tests;

use std::{
    error::Error,
    fs, io,
    path::{Path, PathBuf},
    process,
    sync::Arc,
};

use phalanx_config::{Replicas, Resources, ServiceName};
use phalanx_telemetry::chain;

pub(crate) use self::group::Group;
use self::hierarchy::own_group;
use crate::state::LimitsState;

const CONTROLLERS: [&str; 2] = ["cpu", "memory"];
const PROCESSES: &str = "cgroup.procs";
const SUBTREE: &str = "cgroup.subtree_control";
/// Of the folder of one Phalanx; its process id follows.
const FOLDER_PREFIX: &str = "phalanx-";
/// Holds Phalanx itself, where its group gives resources to others: such a group may hold no process. No instance is called
/// so, since all end with a number.
const OWN_LEAF: &str = "phalanx";

/// Why limits are not enforced.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unenforced {
    #[error("this machine has no cgroup v2 for this process")]
    NoHierarchy,
    #[error("cgroup `{}` has no controller {}", group.display(), missing.join(" and "))]
    NoControllers { group: PathBuf, missing: Vec<&'static str> },
    #[error("cgroup `{}` holds other processes than phalanx", group.display())]
    Shared { group: PathBuf },
    #[error("cannot change `{}`", path.display())]
    Refused { path: PathBuf, source: io::Error },
}

impl Unenforced {
    /// What the user can do about it.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::NoHierarchy => "mount cgroup2 at /sys/fs/cgroup, as systemd does",
            Self::NoControllers { .. } => {
                "boot with cgroup v2 alone (systemd.unified_cgroup_hierarchy=1), or have the group above delegate them"
            }
            Self::Shared { .. } | Self::Refused { .. } => {
                "run phalanx as a systemd unit with `Delegate=yes`, or in a container whose /sys/fs/cgroup can be written"
            }
        }
    }
}

/// Whether there are limits, and what becomes of them.
#[derive(Debug)]
pub(crate) enum Limits {
    /// No service has any.
    Unasked,
    Enforced(Tree),
    NotEnforced(Unenforced),
}

impl Limits {
    /// Prepares for those of these services, and tells of each whose limits are not enforced.
    pub(crate) fn of<'a>(services: impl Iterator<Item = (&'a ServiceName, &'a Replicas)> + Clone) -> Self {
        let mut limited = services.filter(|(_, replicas)| has_limits(replicas)).peekable();
        if limited.peek().is_none() {
            return Self::Unasked;
        }
        let opened = own_group().ok_or(Unenforced::NoHierarchy).and_then(|group| Tree::open(&group));
        match opened {
            Ok(tree) => Self::Enforced(tree),
            Err(cause) => {
                for (service, _) in limited {
                    tracing::warn!(%service, cause = &cause as &dyn Error, hint = cause.hint(), "limits are not enforced");
                }
                Self::NotEnforced(cause)
            }
        }
    }

    pub(crate) fn state_of(&self, replicas: &Replicas) -> LimitsState {
        match self {
            Self::NotEnforced(cause) if has_limits(replicas) => {
                LimitsState::NotEnforced { cause: Arc::from(chain(cause).to_string()) }
            }
            Self::Enforced(_) if has_limits(replicas) => LimitsState::Enforced,
            _ => LimitsState::None,
        }
    }

    /// A group for one run, where its service has limits and they can be enforced.
    pub(crate) fn group(&self, instance: &str, resources: &Resources) -> io::Result<Option<Group>> {
        match self {
            Self::Enforced(tree) if !resources.limits.is_empty() => {
                Group::create(&tree.folder.join(instance), resources).map(Some)
            }
            _ => Ok(None),
        }
    }
}

fn has_limits(replicas: &Replicas) -> bool {
    !replicas.resources.limits.is_empty()
}

/// The groups of one Phalanx: a folder of its own below the group that it was started in.
#[derive(Debug)]
pub(crate) struct Tree {
    /// The group that Phalanx was started in.
    given: PathBuf,
    folder: PathBuf,
    /// Controllers that the given group did not pass on before.
    switched_on: Vec<&'static str>,
    is_moved: bool,
}

impl Tree {
    fn open(given: &Path) -> Result<Self, Unenforced> {
        let available = read(given, "cgroup.controllers")?;
        let has = |list: &str, controller: &str| list.split_whitespace().any(|one| one == controller);
        let missing: Vec<_> =
            CONTROLLERS.into_iter().filter(|controller| !has(&available, controller)).collect();
        if !missing.is_empty() {
            return Err(Unenforced::NoControllers { group: given.to_owned(), missing });
        }
        // Every group but the root has a type, and only the root may hold processes beside groups with controllers.
        let must_move = given.join("cgroup.type").exists();
        if must_move && !is_ours_alone(&read(given, PROCESSES)?) {
            return Err(Unenforced::Shared { group: given.to_owned() });
        }
        remove_abandoned(given);
        let passed_on = read(given, SUBTREE)?;
        let switched_on = CONTROLLERS.into_iter().filter(|controller| !has(&passed_on, controller)).collect();
        let folder = given.join(format!("{FOLDER_PREFIX}{}", process::id()));
        create_folder(&folder)?;
        // From here on, an error undoes what was done.
        let mut tree = Self { given: given.to_owned(), folder, switched_on, is_moved: false };
        if must_move {
            let leaf = tree.folder.join(OWN_LEAF);
            create_folder(&leaf)?;
            write(&leaf, PROCESSES, &process::id().to_string())?;
            tree.is_moved = true;
        }
        tree.switch(&tree.given, '+')?;
        let all = CONTROLLERS.map(|controller| format!("+{controller}")).join(" ");
        write(&tree.folder, SUBTREE, &all)?;
        Ok(tree)
    }

    fn switch(&self, group: &Path, sign: char) -> Result<(), Unenforced> {
        if self.switched_on.is_empty() {
            return Ok(());
        }
        let switched: Vec<_> =
            self.switched_on.iter().map(|controller| format!("{sign}{controller}")).collect();
        write(group, SUBTREE, &switched.join(" "))
    }

    /// In the opposite order: a group goes on passing on what one below it does, and one that passes controllers on takes no
    /// process.
    fn close(&self) -> Result<(), Unenforced> {
        let none = CONTROLLERS.map(|controller| format!("-{controller}")).join(" ");
        write(&self.folder, SUBTREE, &none)?;
        self.switch(&self.given, '-')?;
        if self.is_moved {
            write(&self.given, PROCESSES, &process::id().to_string())?;
            remove_folder(&self.folder.join(OWN_LEAF))?;
        }
        remove_folder(&self.folder)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::debug!(error = &error as &dyn Error, "a cgroup of phalanx is left behind");
        }
    }
}

fn is_ours_alone(processes: &str) -> bool {
    // A process that this one cannot see is listed as 0.
    processes.lines().all(|pid| pid.parse() == Ok(process::id()))
}

/// Removes the folders of those that were killed, with what is left in them.
fn remove_abandoned(given: &Path) {
    let Ok(items) = fs::read_dir(given) else { return };
    for item in items.flatten() {
        let name = item.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(FOLDER_PREFIX)?.parse::<u32>().ok());
        // In a container a Phalanx often has the id of the one before it.
        let is_gone = |pid| pid == process::id() || !Path::new(&format!("/proc/{pid}")).exists();
        let is_abandoned = pid.is_some_and(is_gone);
        if !is_abandoned {
            continue;
        }
        let _ = write(&item.path(), group::KILL, "1");
        let inside = fs::read_dir(item.path()).into_iter().flatten().flatten();
        for group in inside.filter(|entry| entry.path().is_dir()) {
            let _ = fs::remove_dir(group.path());
        }
        let _ = fs::remove_dir(item.path());
    }
}

fn read(group: &Path, file: &str) -> Result<String, Unenforced> {
    let path = group.join(file);
    fs::read_to_string(&path).map_err(|source| Unenforced::Refused { path, source })
}

fn write(group: &Path, file: &str, text: &str) -> Result<(), Unenforced> {
    let path = group.join(file);
    fs::write(&path, text).map_err(|source| Unenforced::Refused { path, source })
}

fn create_folder(path: &Path) -> Result<(), Unenforced> {
    fs::create_dir(path).map_err(|source| Unenforced::Refused { path: path.to_owned(), source })
}

fn remove_folder(path: &Path) -> Result<(), Unenforced> {
    fs::remove_dir(path).map_err(|source| Unenforced::Refused { path: path.to_owned(), source })
}
