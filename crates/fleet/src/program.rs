//! Which file a `command` names, and with what environment it runs.

use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use phalanx_config::Replicas;

/// As a program, this name means the running Phalanx, wherever its file lies.
const OURSELVES: &str = "phalanx";

/// A `command` that cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// No such file.
    #[error("no program `{program}`, looked for {}", places(.searched))]
    NotFound {
        /// As in the configuration.
        program: String,
        /// The folders of `PATH`; empty where the program is itself a path.
        searched: Vec<PathBuf>,
    },
    /// A file that this user may not execute, or a folder.
    #[error("`{}` is not an executable file", file.display())]
    NotExecutable {
        /// The file.
        file: PathBuf,
    },
    /// The program is `phalanx`, and the running executable cannot be told.
    #[error("find the executable of phalanx itself")]
    Ourselves {
        /// Why.
        source: io::Error,
    },
}

impl ProgramError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NotFound { program, .. } if program.contains(char::is_whitespace) => {
                let parts: Vec<_> = program.split_whitespace().collect();
                format!("the program and each argument are strings of their own: command = {parts:?}")
            }
            Self::NotFound { searched, .. } if searched.is_empty() => {
                "a relative path begins in the folder that phalanx was started in".to_owned()
            }
            Self::NotFound { .. } => {
                "install it, write its whole path, or set PATH in the service's `env`".to_owned()
            }
            Self::NotExecutable { file } => {
                format!("chmod +x {}, or name its interpreter first", file.display())
            }
            Self::Ourselves { .. } => "is /proc mounted?".to_owned(),
        }
    }
}

/// The file that the `command` of a service names: found as a shell would, in the `PATH` that its replicas get.
///
/// # Errors
/// When there is no such program, or it cannot be executed.
pub fn find_program(replicas: &Replicas) -> Result<PathBuf, ProgramError> {
    find(&replicas.command, &replicas.env)
}

/// The command of a replica, or of a probe of it: `line` with all that a replica finds in its environment.
pub(crate) fn command(
    line: &[String],
    replicas: &Replicas,
    port: u16,
    instance: &str,
) -> Result<Command, ProgramError> {
    let mut command = Command::new(find(line, &replicas.env)?);
    command
        .args(line.iter().skip(1))
        .envs(&replicas.env)
        .env("PORT", port.to_string())
        .env("PHALANX_INSTANCE", instance);
    Ok(command)
}

fn find(line: &[String], env: &BTreeMap<String, String>) -> Result<PathBuf, ProgramError> {
    let program = line.first().map_or("", String::as_str);
    let path = env.get("PATH").map(OsString::from).or_else(|| env::var_os("PATH"));
    find_in(program, path.as_deref().unwrap_or_default())
}

fn find_in(program: &str, path: &OsStr) -> Result<PathBuf, ProgramError> {
    if program == OURSELVES {
        return env::current_exe().map_err(|source| ProgramError::Ourselves { source });
    }
    let not_found = |searched| ProgramError::NotFound { program: program.to_owned(), searched };
    let (candidates, searched) = if program.contains('/') {
        (vec![PathBuf::from(program)], vec![])
    } else {
        let folders: Vec<_> = env::split_paths(path).collect();
        (folders.iter().map(|folder| folder.join(program)).collect(), folders)
    };
    let mut present = candidates.into_iter().filter(|file| file.exists()).peekable();
    let Some(first) = present.peek().cloned() else { return Err(not_found(searched)) };
    present.find(|file| is_executable(file)).ok_or(ProgramError::NotExecutable { file: first })
}

fn is_executable(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

fn places(searched: &[PathBuf]) -> String {
    if searched.is_empty() {
        return "there".to_owned();
    }
    let folders: Vec<_> = searched.iter().map(|folder| folder.display().to_string()).collect();
    format!("in {}", folders.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_as_a_shell_finds_it() {
        let home = tempfile::tempdir().unwrap();
        let (first, second) = (home.path().join("first"), home.path().join("second"));
        for (folder, name, mode) in
            [(&first, "data", 0o644), (&second, "data", 0o755), (&first, "plain", 0o644)]
        {
            fs::create_dir_all(folder).unwrap();
            fs::write(folder.join(name), "").unwrap();
            fs::set_permissions(folder.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::create_dir(second.join("folder")).unwrap();
        let path = env::join_paths([&first, &second]).unwrap();
        let find = |program: &str| {
            let found = find_in(program, &path)
                .map_or_else(|error| error.to_string(), |file| file.display().to_string());
            found.replace(&home.path().display().to_string(), "~")
        };

        assert_eq!(find("data"), "~/second/data", "a file that is not executable is passed over");
        assert_eq!(find("plain"), "`~/first/plain` is not an executable file");
        assert_eq!(find("folder"), "`~/second/folder` is not an executable file");
        assert_eq!(find("missing"), "no program `missing`, looked for in ~/first, ~/second");
        assert_eq!(find("./missing"), "no program `./missing`, looked for there");
        assert_eq!(find(&second.join("data").display().to_string()), "~/second/data");
    }

    #[test]
    fn phalanx_as_a_program_is_the_running_executable() {
        assert_eq!(find_in("phalanx", OsStr::new("")).unwrap(), env::current_exe().unwrap());
    }

    #[test]
    fn a_whole_shell_line_as_the_program_gets_a_hint() {
        let error = find_in("node server.js", OsStr::new("/bin")).unwrap_err();
        assert!(error.hint().ends_with(r#"command = ["node", "server.js"]"#), "{}", error.hint());
    }
}
