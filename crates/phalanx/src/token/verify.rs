//! `phalanx token verify`.

use std::{io::Write as _, path::Path};

use anyhow::anyhow;
use phalanx_auth::{
    KeySet, KeySetError, Keys, PassedOver, Terms, TokenTypes, Verifier, parts, verify_signature,
};
use phalanx_telemetry::clock;
use serde_json::Value;

use super::{STDIN, key_file, secret, token};
use crate::{cli::TokenVerifyArguments, exit::Failure, terminal};

pub(super) fn run(arguments: &TokenVerifyArguments) -> Result<(), Failure> {
    if arguments.token == STDIN && arguments.jwks.as_deref() == Some(Path::new(STDIN)) {
        let fault = anyhow!("standard input cannot be both the keys and the token");
        return Err(Failure::Setting(fault));
    }
    let keys = keys(arguments)?;
    let token = token(&arguments.token)?;
    let payload = match arguments.signature_only {
        true => verify_signature(token.as_bytes(), &keys),
        false => verify(arguments, &keys, token.as_bytes()),
    };
    let payload = payload.map_err(|error| Failure::Runtime(explained(error.into(), keys.passed_over())))?;
    if arguments.signature_only {
        // As they are: not even a line end is added. A closed pipe ends the reading, never the program.
        let _ = terminal::Out.write_all(&payload);
        let _ = terminal::Out.flush();
        return Ok(());
    }
    let claims: Value = serde_json::from_slice(&payload).map_err(|error| Failure::Runtime(error.into()))?;
    terminal::say(&format!("{claims:#}"));
    Ok(())
}

/// The payload, if everything about the token holds.
fn verify(
    arguments: &TokenVerifyArguments,
    keys: &KeySet,
    token: &[u8],
) -> Result<Vec<u8>, phalanx_auth::TokenError> {
    let terms = Terms {
        issuer: arguments.issuer.clone(),
        audience: arguments.audience.clone(),
        types: TokenTypes::AnyJwt,
    };
    Verifier::new(Keys::fixed(keys.clone()), terms).verify(token, clock::unix_seconds())?;
    Ok(parts(token)?.payload)
}

/// A set of which nothing can be used verifies no token, which is a verdict about the token and not about the file.
fn keys(arguments: &TokenVerifyArguments) -> Result<KeySet, Failure> {
    let Some(file) = &arguments.jwks else {
        let variable = arguments.secret_env.as_deref().expect("the group of both is required");
        return Ok(secret(variable)?.key_set());
    };
    KeySet::restricted(&key_file(file)?, &arguments.algorithms).map_err(|error| {
        let passed_over = match &error {
            KeySetError::NothingUsable { passed_over } => passed_over.clone(),
            _ => Vec::new(),
        };
        let error = anyhow::Error::new(error).context(format!("use the keys in {}", file.display()));
        Failure::Runtime(explained(error, &passed_over))
    })
}

/// With the keys that were passed over: often the reason for everything else.
fn explained(error: anyhow::Error, passed_over: &[PassedOver]) -> anyhow::Error {
    let told: Vec<_> = passed_over
        .iter()
        .map(|key| match &key.kid {
            Some(kid) => format!("key {kid:?}: {}", key.fault),
            None => format!("a key: {}", key.fault),
        })
        .collect();
    if told.is_empty() { error } else { anyhow!("{error:#}; passed over: {}", told.join("; ")) }
}
