//! `phalanx token keys`: makes, rotates and shows the keys of a file.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process,
    time::{Duration, UNIX_EPOCH},
};

use anyhow::Context as _;
use phalanx_auth::{Algorithm, KeyRing, KeyState, RingKey, Rotation, generate};
use phalanx_telemetry::clock;

use super::ring;
use crate::{cli::TokenKeysOperation, exit::Failure, terminal};

/// Private keys are for their owner alone.
const MODE: u32 = 0o600;

pub(super) fn run(operation: &TokenKeysOperation) -> Result<(), Failure> {
    match operation {
        TokenKeysOperation::Generate { algorithm, output } => make(*algorithm, output.as_deref()),
        TokenKeysOperation::Rotate { file, keep } => rotate(file, *keep),
        TokenKeysOperation::Public { file } => {
            terminal::say(&ring(file)?.key_set().to_public_jwks());
            Ok(())
        }
        TokenKeysOperation::List { file } => {
            terminal::say(&table(&ring(file)?));
            Ok(())
        }
    }
}

fn make(algorithm: Algorithm, output: Option<&Path>) -> Result<(), Failure> {
    let ring = KeyRing::of(vec![generate(algorithm)]).map_err(|error| Failure::Runtime(error.into()))?;
    let Some(path) = output else {
        terminal::say(&ring.to_private_jwks());
        return Ok(());
    };
    let file =
        create(path).with_context(|| format!("create {}", path.display())).map_err(Failure::Setting)?;
    write(file, &ring).with_context(|| format!("write {}", path.display())).map_err(Failure::Runtime)?;
    terminal::progress(&format!("one {algorithm} key is in {}, readable by you alone", path.display()));
    Ok(())
}

fn rotate(path: &Path, keep: Duration) -> Result<(), Failure> {
    let ring = ring(path)?;
    let current = ring.keys().iter().find(|key| key.state() == KeyState::Current);
    let algorithm = current.map_or(Algorithm::EdDSA, RingKey::algorithm);
    let (rotated, rotation) = ring
        .rotated(generate(algorithm), clock::unix_seconds(), keep)
        .map_err(|error| Failure::Runtime(error.into()))?;
    replace(path, &rotated)
        .with_context(|| format!("replace {}", path.display()))
        .map_err(Failure::Runtime)?;
    terminal::progress(match rotation {
        Rotation::Announced => "a next key is there; it signs after the following rotation",
        Rotation::Promoted => {
            "what was next signs, what was current is retired, and there is a fresh next key"
        }
    });
    terminal::say(&table(&rotated));
    Ok(())
}

/// The file is there as a whole or not at all, whenever the machine stops.
fn replace(path: &Path, ring: &KeyRing) -> io::Result<()> {
    // Where a link leads to, not in its place.
    let path = fs::canonicalize(path)?;
    let beside = beside(&path);
    let written =
        create(&beside).and_then(|file| write(file, ring)).and_then(|()| fs::rename(&beside, &path));
    if let Err(error) = written {
        // What cannot be removed either is named like what it was for.
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// A name in the same folder, so that it is on the same disk.
fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}", process::id()));
    path.with_file_name(name)
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)
}

fn write(mut file: File, ring: &KeyRing) -> io::Result<()> {
    writeln!(file, "{}", ring.to_private_jwks())?;
    file.sync_all()
}

fn table(ring: &KeyRing) -> String {
    let row = |key: &RingKey| {
        let (state, until) = match key.state() {
            KeyState::Next => ("next", String::new()),
            KeyState::Current => ("current", String::new()),
            KeyState::Retired { until: None } => ("retired", String::new()),
            KeyState::Retired { until: Some(until) } => ("retired", format!("until {}", date(until))),
        };
        let line = format!("{state:<8} {:<6} {:<43} {until}", key.algorithm(), key.kid().unwrap_or("-"));
        line.trim_end().to_owned()
    };
    let heading = format!("{:<8} {:<6} KEY", "STATE", "ALG");
    let rows: Vec<_> = [heading].into_iter().chain(ring.keys().iter().map(row)).collect();
    rows.join("\n")
}

fn date(seconds: u64) -> String {
    // Later than any date that can be written, it is as good as never.
    let seconds = seconds.min(super::inspect::SECONDS_MAX);
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
}
