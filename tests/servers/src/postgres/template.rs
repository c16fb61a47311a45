//! A freshly initialised database, kept in the temporary directory: to copy it takes a tenth of the time of `initdb`.

use std::{
    fs,
    fs::File,
    path::{Path, PathBuf},
    process::Command,
};

use super::{PASSWORD, USER, programs};
use crate::{account::Account, home::Home};

/// Raised when what `initdb` is told changes, so that nobody copies an older one.
const REVISION: u32 = 1;

/// Fills the home's data directory with an initialised database.
pub(super) fn copy(home: &Home, account: Account) {
    let template = directory(account);
    if !template.exists() {
        make(&template, home, account);
    }
    assert!(account.owns(&template), "{} belongs to somebody else", template.display());
    let mut copy = account.command(Path::new("cp"));
    run(copy.args(["--archive", "--reflink=auto"]).arg(&template).arg(home.data()), home);
}

/// One for each version, account and revision.
fn directory(account: Account) -> PathBuf {
    let programs = programs::directory();
    let version = Command::new(programs.join("postgres")).arg("--version").output();
    let version =
        version.unwrap_or_else(|error| panic!("run {}: {error}", programs.join("postgres").display()));
    let version = String::from_utf8_lossy(&version.stdout);
    let number = version.split_whitespace().nth(2).unwrap_or("unknown");
    let name = format!("phalanx-postgres-template-{number}-{}-{REVISION}", account.user());
    account.temporary().join(name)
}

/// Made in a home, which goes away if the test is killed on the way, and moved to its place when it is whole. The lock
/// only spares tests that start at the same time the work.
fn make(template: &Path, home: &Home, account: Account) {
    let lock =
        File::create(format!("{}.lock", template.display())).expect("a file in the temporary directory");
    lock.lock().expect("a lock on an open file");
    if template.exists() {
        return;
    }
    let made = home.path().join("template");
    let password = home.path().join("password");
    fs::write(&password, PASSWORD).expect("a file in the own directory");
    let mut initdb = account.command(&programs::directory().join("initdb"));
    initdb.arg(format!("--username={USER}")).arg(format!("--pwfile={}", password.display()));
    // Small segments of the log are most of what makes the copy small.
    initdb.args([
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        "--wal-segsize=4",
        "--no-sync",
    ]);
    run(initdb.arg("--pgdata").arg(&made).current_dir(home.path()), home);
    fs::rename(&made, template).expect("the template has no content yet, and the lock is ours");
}

/// Runs a program to its end.
pub(super) fn run(command: &mut Command, home: &Home) {
    let output = command.current_dir(home.path()).output();
    let output = output.unwrap_or_else(|error| panic!("run {command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
