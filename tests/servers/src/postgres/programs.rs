//! Where PostgreSQL's programs are.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// Debian keeps every major version below this, and none on the PATH.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The directory of the newest version's programs.
///
/// # Panics
/// Where there is none, with the package to install.
pub(crate) fn directory() -> PathBuf {
    let entries = fs::read_dir(DEBIAN).into_iter().flatten();
    let versions = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let directory = |version| Path::new(DEBIAN).join(format!("{version}/bin"));
    let installed = versions.filter(|version| directory(*version).join("initdb").exists());
    let on_path = || {
        let path = env::var_os("PATH")?;
        env::split_paths(&path).find(|directory| directory.join("initdb").exists())
    };
    installed.max().map(directory).or_else(on_path).unwrap_or_else(|| {
        panic!("PostgreSQL is not installed: install the package `postgresql` (Debian), or run scripts/needs postgres")
    })
}
