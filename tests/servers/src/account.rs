//! The account that a server runs under: PostgreSQL refuses to be root.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, chown},
    path::{Path, PathBuf},
    process::Command,
};

/// That of Debian's package.
const POSTGRES: &str = "postgres";

#[derive(Clone, Copy, Debug)]
pub(crate) enum Account {
    /// The one that the tests run under.
    Own,
    /// What root steps down to.
    Postgres { user: u32, group: u32 },
}

impl Account {
    /// The tests' own, unless that is root.
    pub(crate) fn unprivileged() -> Self {
        if !rustix::process::geteuid().is_root() {
            return Self::Own;
        }
        let passwd = fs::read_to_string("/etc/passwd").expect("/etc/passwd can be read");
        let fields = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let mut entry = fields.filter(|fields| fields[0] == POSTGRES);
        let entry = entry.next().expect(
            "root has PostgreSQL run as the user `postgres`, which Debian's package `postgresql` creates",
        );
        let number = |text: &str| text.parse().expect("/etc/passwd holds numbers");
        Self::Postgres { user: number(entry[2]), group: number(entry[3]) }
    }

    /// A command that runs under this account. `setpriv` executes it in its own place, so the process is the program's.
    pub(crate) fn command(self, program: &Path) -> Command {
        match self {
            Self::Own => Command::new(program),
            Self::Postgres { user, group } => {
                let mut command = Command::new("setpriv");
                command.arg(format!("--reuid={user}")).arg(format!("--regid={group}"));
                command.args(["--clear-groups", "--"]).arg(program);
                command
            }
        }
    }

    /// Makes the file or directory this account's.
    pub(crate) fn own(self, path: &Path) {
        if let Self::Postgres { user, group } = self {
            chown(path, Some(user), Some(group))
                .unwrap_or_else(|error| panic!("give {} to {POSTGRES}: {error}", path.display()));
        }
    }

    pub(crate) fn owns(self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|metadata| metadata.uid() == self.user())
    }

    pub(crate) fn user(self) -> u32 {
        match self {
            Self::Own => rustix::process::geteuid().as_raw(),
            Self::Postgres { user, .. } => user,
        }
    }

    /// A directory for temporary files that this account reaches.
    pub(crate) fn temporary(self) -> PathBuf {
        let candidates = [std::env::temp_dir(), PathBuf::from("/tmp")];
        let reached = |directory: &PathBuf| {
            let mut test = self.command(Path::new("test"));
            test.args([
                "-w".as_ref(),
                directory.as_os_str(),
                "-a".as_ref(),
                "-x".as_ref(),
                directory.as_os_str(),
            ]);
            test.status().expect("setpriv (util-linux) and test (coreutils) run").success()
        };
        let found = candidates.into_iter().find(reached);
        let found =
            found.unwrap_or_else(|| panic!("no temporary directory that user {} may write to", self.user()));
        found.canonicalize().expect("it was just reached")
    }
}
