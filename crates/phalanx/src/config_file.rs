//! Finds and reads the configuration.

use std::{
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet},
    env,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use phalanx_config::{Config, EnvFile, FILE_BYTES_MAX, Faults, Replicas, ServiceName, Source};

use crate::{
    exit::Failure,
    variables::{self, VariablesError},
};

const DEFAULT_FILE: &str = "phalanx.toml";
/// Beside the configuration: what `${VAR}` in it stands for where the environment of Phalanx does not say.
const VARIABLES_FILE: &str = ".env";

/// Where a configuration came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// This file.
    File(PathBuf),
    /// There is no file.
    BuiltIn,
}

/// Reads `file`; without one `./phalanx.toml`, and without that the built-in topology.
pub(crate) fn load(file: Option<&Path>) -> Result<(Config, Origin), Failure> {
    let path = file.unwrap_or(Path::new(DEFAULT_FILE));
    let text = match read(path) {
        Ok(bytes) => bytes,
        Err(error) if file.is_none() && error.kind() == io::ErrorKind::NotFound => {
            let config = Config::builtin("phalanx").map_err(Box::new)?;
            return Ok((config, Origin::BuiltIn));
        }
        Err(error) => {
            let error = anyhow::Error::new(error).context(format!("read {}", path.display()));
            return Err(Failure::Setting(error));
        }
    };
    let text = String::from_utf8(text)
        .with_context(|| format!("{} is not UTF-8 text", path.display()))
        .map_err(Failure::Setting)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let beside = Beside::new(folder);
    let config = Config::parse(&path.display().to_string(), &text, &|name| beside.variable(name));
    // First: what it does not say makes faults of the configuration.
    beside.finish()?;
    let mut config = config.map_err(Box::new)?;
    read_env_files(&mut config, folder)?;
    Ok((config, Origin::File(path.to_owned())))
}

/// The environment of Phalanx, and behind it the file of variables beside the configuration, which is read only where a variable
/// is looked for there: many a `.env` is meant for something else.
struct Beside {
    file: PathBuf,
    read: OnceCell<Result<BTreeMap<String, String>, VariablesError>>,
}

impl Beside {
    fn new(folder: &Path) -> Self {
        Self { file: folder.join(VARIABLES_FILE), read: OnceCell::new() }
    }

    fn variable(&self, name: &str) -> Option<String> {
        env::var(name).ok().or_else(|| {
            let read = self.read.get_or_init(|| match variables::read(&self.file) {
                Err(error) if error.is_missing() => Ok(BTreeMap::new()),
                read => read.map(BTreeMap::from_iter),
            });
            read.as_ref().ok()?.get(name).cloned()
        })
    }

    fn finish(&self) -> Result<(), Failure> {
        match self.read.get() {
            Some(Err(error)) => {
                let message = anyhow::anyhow!("{}\n  {}", error.message(&self.file), error.help());
                Err(Failure::Setting(message))
            }
            Some(Ok(_)) | None => Ok(()),
        }
    }
}

/// Puts what the `env_file` of each service says under what its `env` says.
fn read_env_files(config: &mut Config, folder: &Path) -> Result<(), Failure> {
    let mut faults = Vec::new();
    let mut services = std::mem::take(&mut config.services);
    let replicated = services.values_mut().filter_map(|service| match &mut service.source {
        Source::Replicas(replicas) => Some(replicas),
        Source::Endpoints { .. } | Source::Discovered { .. } => None,
    });
    for replicas in replicated {
        let Replicas { env, env_files, .. } = replicas;
        // Whoever comes first stays.
        for EnvFile { path, may_be_missing, span } in env_files.iter().rev() {
            let file = folder.join(path);
            match variables::read(&file) {
                Ok(variables) => {
                    for (name, value) in variables.into_iter().rev() {
                        env.entry(name).or_insert(value);
                    }
                }
                Err(error) if *may_be_missing && error.is_missing() => {}
                Err(error) => faults.push(config.fault_at(*span, error.message(&file), error.help())),
            }
        }
    }
    config.services = services;
    refuse(faults.into_iter())
}

/// As much of a file as a configuration may have, and one byte that tells when it has more.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Refuses a configuration whose programs do not exist: a replica that cannot be started today will not start by waiting.
/// Those of `left_out` are not started.
pub(crate) fn check_programs(config: &Config, left_out: &BTreeSet<ServiceName>) -> Result<(), Failure> {
    let started = config.services.iter().filter(|(name, _)| !left_out.contains(*name));
    let faults = started.filter_map(|(name, service)| {
        let Source::Replicas(replicas) = &service.source else { return None };
        let error = phalanx_fleet::find_program(replicas).err()?;
        let message = format!("service `{name}` cannot be started: {error}");
        Some(config.fault_at(replicas.command_span, message, error.hint()))
    });
    refuse(faults)
}

/// Fails with all of these faults, if there are any.
pub(crate) fn refuse(faults: impl Iterator<Item = Faults>) -> Result<(), Failure> {
    match faults.reduce(Faults::and) {
        Some(faults) => Err(Box::new(faults).into()),
        None => Ok(()),
    }
}
