//! Where the group of this process lies in the file system.

use std::path::{Path, PathBuf};

use procfs::process::Process;

/// The folder of the cgroup v2 that this process is in; `None` where there is none to be seen.
pub(super) fn own_group() -> Option<PathBuf> {
    let process = Process::myself().ok()?;
    let path = process.cgroups().ok()?.into_iter().find(|group| group.hierarchy == 0)?.pathname;
    let mounts = process.mountinfo().ok()?;
    mounts
        .into_iter()
        .filter(|mount| mount.fs_type == "cgroup2")
        .find_map(|mount| folder(&path, &mount.root, &mount.mount_point))
}

/// A mount shows what lies below its root, in a container a part of the whole.
pub(super) fn folder(path: &str, root: &str, mount_point: &Path) -> Option<PathBuf> {
    let below = Path::new(path).strip_prefix(root).ok()?;
    Some(mount_point.join(below))
}
