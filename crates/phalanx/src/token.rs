//! `phalanx token`: signs, verifies and shows tokens, and looks after keys.
//!
//! Elsewhere: what a token and a key are (`phalanx-auth`). A token that is not valid ends the program with 1, a file or variable
//! that cannot be used with 3.

mod inspect;
mod keys;
mod sign;
mod verify;

use std::{
    env,
    fs::File,
    io::{self, Read},
    path::Path,
};

use anyhow::{Context as _, anyhow};
use phalanx_auth::{JWKS_BYTES_MAX, KeyRing, TOKEN_BYTES_VERIFIED_MAX};

use crate::{cli::TokenOperation, exit::Failure};

/// What stands for standard input.
const STDIN: &str = "-";

/// Does what was asked for.
pub(crate) fn run(operation: &TokenOperation) -> Result<(), Failure> {
    match operation {
        TokenOperation::Sign(arguments) => sign::run(arguments),
        TokenOperation::Verify(arguments) => verify::run(arguments),
        TokenOperation::Inspect(arguments) => inspect::run(arguments),
        TokenOperation::Keys { operation } => keys::run(operation),
    }
}

/// The text of a key file.
fn key_file(path: &Path) -> Result<String, Failure> {
    let read = || {
        if path == Path::new(STDIN) {
            return bounded(io::stdin().lock(), JWKS_BYTES_MAX);
        }
        bounded(File::open(path)?, JWKS_BYTES_MAX)
    };
    read().with_context(|| format!("read the keys in {}", path.display())).map_err(Failure::Setting)
}

/// The ring in a key file.
fn ring(path: &Path) -> Result<KeyRing, Failure> {
    KeyRing::from_jwks(&key_file(path)?)
        .with_context(|| format!("use the keys in {}", path.display()))
        .map_err(Failure::Setting)
}

/// The ring of the secret in a variable.
fn secret(variable: &str) -> Result<KeyRing, Failure> {
    let secret = env::var(variable)
        .map_err(|_| anyhow!("{variable} is not set, or no text: set it to the secret"))
        .map_err(Failure::Setting)?;
    KeyRing::from_secret(secret.as_bytes())
        .with_context(|| format!("use the secret in {variable}"))
        .map_err(Failure::Setting)
}

/// The token that was given, or that standard input holds, there without its line end.
fn token(argument: &str) -> Result<String, Failure> {
    if argument != STDIN {
        return Ok(argument.to_owned());
    }
    // As much too long as a token can be and still be read: it is refused for its length then.
    let text = bounded(io::stdin().lock(), TOKEN_BYTES_VERIFIED_MAX + "\r\n".len())
        .context("read the token")
        .map_err(Failure::Runtime)?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

fn bounded(reader: impl Read, bytes_max: usize) -> io::Result<String> {
    let mut text = String::new();
    reader.take(bytes_max as u64 + 1).read_to_string(&mut text)?;
    if text.len() > bytes_max {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {bytes_max} bytes")));
    }
    Ok(text)
}
