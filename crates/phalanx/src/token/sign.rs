//! `phalanx token sign`.

use anyhow::{Context as _, anyhow};
use phalanx_auth::{Issuer, KeyRing, Subject, Terms, TokenTypes};
use phalanx_telemetry::clock;
use serde_json::{Map, Value};

use super::{ring, secret};
use crate::{cli::TokenSignArguments, exit::Failure, terminal};

/// Claims that have an option of their own, or are set by the clock.
const RESERVED: [&str; 6] = ["sub", "sv", "iat", "nbf", "exp", "jti"];

pub(super) fn run(arguments: &TokenSignArguments) -> Result<(), Failure> {
    let further = further(arguments).map_err(Failure::Setting)?;
    let ring = ring_of(arguments)?;
    let terms = Terms {
        issuer: arguments.issuer.clone(),
        audience: arguments.audience.clone(),
        types: TokenTypes::AccessToken,
    };
    let roles: Vec<_> = arguments.roles.iter().map(String::as_str).collect();
    let subject = Subject {
        subject: &arguments.subject,
        session: arguments.session.as_deref(),
        epoch: arguments.epoch,
        roles: &roles,
    };
    let issuer = Issuer::new(ring, terms, arguments.ttl);
    let token = issuer
        .issue_with(&subject, further, clock::unix_seconds())
        .map_err(|error| Failure::Setting(error.into()))?;
    terminal::say(&token);
    Ok(())
}

fn ring_of(arguments: &TokenSignArguments) -> Result<KeyRing, Failure> {
    match (&arguments.keys, &arguments.secret_env) {
        (Some(file), _) => ring(file),
        (None, variable) => secret(variable.as_deref().expect("the group of both is required")),
    }
}

/// The further claims, none of which says again, or otherwise, what an option says.
fn further(arguments: &TokenSignArguments) -> anyhow::Result<Map<String, Value>> {
    let Some(text) = &arguments.claims else { return Ok(Map::new()) };
    let claims: Map<String, Value> =
        serde_json::from_str(text).context("read --claims, which is to be a JSON object")?;
    let given = [
        ("iss", arguments.issuer.is_some()),
        ("aud", arguments.audience.is_some()),
        ("sid", arguments.session.is_some()),
        ("role", !arguments.roles.is_empty()),
        ("roles", !arguments.roles.is_empty()),
    ];
    let given = given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name);
    match RESERVED.into_iter().chain(given).find(|name| claims.contains_key(*name)) {
        Some(name) => Err(anyhow!("--claims has `{name}`, which an option or the clock says")),
        None => Ok(claims),
    }
}
