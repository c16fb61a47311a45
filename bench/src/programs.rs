//! The programs a comparison needs: where they are, which version, and what to install when they are not there.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fmt,
    path::{Path, PathBuf},
    process::Command,
};

/// A program that this one starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Program {
    /// The origin, and a proxy.
    Nginx,
    /// A proxy.
    Haproxy,
    /// The proxy that this is about.
    Phalanx,
    /// The load generator.
    Wrk,
    /// Counts system calls.
    Strace,
    /// Ties the life of a child to ours.
    Setpriv,
    /// Samples stacks.
    Perf,
    /// Runs what the reference API is compared with.
    Node,
    /// Fetches the libraries of that.
    Npm,
    /// The load generator for HTTP/2.
    H2load,
}

impl fmt::Display for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.file_name())
    }
}

impl Program {
    fn file_name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Phalanx => "phalanx",
            Self::Wrk => "wrk",
            Self::Strace => "strace",
            Self::Setpriv => "setpriv",
            Self::Perf => "perf",
            Self::Node => "node",
            Self::Npm => "npm",
            Self::H2load => "h2load",
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::Nginx => "apt-get install nginx",
            Self::Haproxy => "apt-get install haproxy",
            Self::Phalanx => "cargo build --release -p phalanx, or name it with --phalanx PATH",
            Self::Wrk => "apt-get install wrk",
            Self::Strace => "apt-get install strace, or leave out --strace",
            Self::Setpriv => "apt-get install util-linux",
            Self::Perf => "apt-get install linux-perf",
            Self::Node => "apt-get install nodejs",
            Self::Npm => "apt-get install npm",
            Self::H2load => "apt-get install nghttp2-client",
        }
    }

    fn version_argument(self) -> &'static str {
        match self {
            Self::Nginx | Self::Haproxy | Self::Wrk => "-v",
            Self::Phalanx
            | Self::Strace
            | Self::Setpriv
            | Self::Perf
            | Self::Node
            | Self::Npm
            | Self::H2load => "--version",
        }
    }
}

/// The programs of one comparison, all of them found.
#[derive(Debug)]
pub(crate) struct Programs(BTreeMap<Program, PathBuf>);

/// Programs that are not there.
#[derive(Debug, thiserror::Error)]
#[error("not found: {}", remedies(.0))]
pub(crate) struct Missing(Vec<Program>);

impl Programs {
    /// Looks for all of `wanted`, so that the fault names everything to install at once; for Phalanx beside this program, unless
    /// it is elsewhere.
    pub(crate) fn find(wanted: &BTreeSet<Program>, phalanx: Option<&Path>) -> Result<Self, Missing> {
        let mut found = BTreeMap::new();
        let mut missing = Vec::new();
        for &program in wanted {
            match locate(program, phalanx) {
                Some(path) => drop(found.insert(program, path)),
                None => missing.push(program),
            }
        }
        if missing.is_empty() { Ok(Self(found)) } else { Err(Missing(missing)) }
    }

    /// Where `program` is.
    pub(crate) fn path(&self, program: Program) -> &Path {
        self.0.get(&program).expect("every program that a comparison starts was looked for at its start")
    }

    /// What each program says about its version.
    pub(crate) fn versions(&self) -> Vec<String> {
        self.0.iter().map(|(program, path)| version(*program, path)).collect()
    }
}

fn locate(program: Program, phalanx: Option<&Path>) -> Option<PathBuf> {
    if program == Program::Phalanx {
        let beside = || Some(env::current_exe().ok()?.with_file_name("phalanx"));
        return phalanx.map(Path::to_path_buf).or_else(beside).filter(|path| path.is_file());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    // Debian keeps servers where the PATH of an ordinary user does not reach.
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|directory| directory.join(program.file_name()))
        .find(|candidate| candidate.is_file())
}

/// The first line that the program writes, to either stream and whatever its exit code: no two of them agree on that.
fn version(program: Program, path: &Path) -> String {
    let output = Command::new(path).arg(program.version_argument()).output();
    let text = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().next().unwrap_or_default();
    let line = line.split(" Copyright").next().unwrap_or_default().trim();
    match line {
        "" => format!("{program} (version unknown)"),
        // Some say the number alone.
        line if line.trim_start_matches('v').starts_with(|first: char| first.is_ascii_digit()) => {
            format!("{program} {line}")
        }
        line => line.to_owned(),
    }
}

fn remedies(missing: &[Program]) -> String {
    let each = missing.iter().map(|program| format!("{program} ({})", program.remedy()));
    each.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Program, Programs};

    #[test]
    fn a_missing_program_is_named_with_what_to_do() {
        let missing =
            Programs::find(&[Program::Phalanx].into(), Some(Path::new("/nonexistent/phalanx"))).unwrap_err();
        assert_eq!(
            missing.to_string(),
            "not found: phalanx (cargo build --release -p phalanx, or name it with --phalanx PATH)"
        );
    }
}
