//! Finds and reads the configuration.

use std::{
    env,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use phalanx_config::{Config, FILE_BYTES_MAX, Faults, Source};

use crate::exit::Failure;

const DEFAULT_FILE: &str = "phalanx.toml";

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
    let config =
        Config::parse(&path.display().to_string(), &text, &|name| env::var(name).ok()).map_err(Box::new)?;
    Ok((config, Origin::File(path.to_owned())))
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
