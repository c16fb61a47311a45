//! `[auth]`

use std::{path::PathBuf, time::Duration};

use crate::{
    located::At,
    model::{Auth, KeySource, Revocation, RevocationStore, Secret, Span, StaleFeed, TokenTypes},
    raw,
    report::Report,
    text::{Refusal, url},
};

/// As many as the hash has (RFC 7518, section 3.2).
const SECRET_BYTES_MIN: usize = 32;
const REVOCATION_LAG_DEFAULT: Duration = Duration::from_secs(5);

const SHORT_SECRET: Refusal = Refusal {
    problem: "is shorter than 32 bytes",
    help: "a shorter one can be found out by trying; make one with `openssl rand -base64 32`",
};
const EMPTY: Refusal =
    Refusal { problem: "is empty", help: "write what the tokens say, or leave the key out" };

/// Checks the table.
pub(super) fn auth(raw: At<raw::Auth>, report: &mut Report) -> Option<Auth> {
    let At { value: raw, span } = raw;
    let keys = keys(&raw, span, report);
    let revocation = revocation(&raw, report);
    Some(Auth {
        issuer: claim(raw.issuer, report),
        audience: claim(raw.audience, report),
        keys: keys?,
        types: match raw.types {
            Some(raw::TokenTypes::AccessToken) | None => TokenTypes::AccessToken,
            Some(raw::TokenTypes::AnyJwt) => TokenTypes::AnyJwt,
        },
        revocation,
    })
}

fn claim(given: Option<At<String>>, report: &mut Report) -> Option<String> {
    let At { value, span } = given?;
    if value.is_empty() {
        report.refused(span, &EMPTY);
    }
    Some(value)
}

fn keys(raw: &raw::Auth, table: Span, report: &mut Report) -> Option<KeySource> {
    match (&raw.jwks, &raw.secret) {
        (Some(jwks), None) => match url::web(&jwks.value) {
            Ok(()) => Some(KeySource::Jwks(jwks.value.clone())),
            Err(refusal) => {
                report.refused(jwks.span, &refusal);
                None
            }
        },
        (None, Some(secret)) if secret.value.len() < SECRET_BYTES_MIN => {
            report.refused_unseen(secret.span, "the secret", &SHORT_SECRET);
            None
        }
        (None, Some(secret)) => Some(KeySource::Secret(Secret(secret.value.as_str().into()))),
        (Some(jwks), Some(secret)) => {
            let (first, second) = if jwks.span.start < secret.span.start {
                (jwks.span, secret.span)
            } else {
                (secret.span, jwks.span)
            };
            let help = "remove one: `jwks` is for an issuer that publishes its keys, `secret` for one that shares it";
            report.duplicate(first, second, "`[auth]` has either `jwks` or `secret`", help);
            None
        }
        (None, None) => {
            let help = "add `jwks = \"http://127.0.0.1:3000/.well-known/jwks.json\"` or `secret = \"${JWT_SECRET}\"`";
            report.missing(table, "there is nothing to verify a signature with", help);
            None
        }
    }
}

fn revocation(raw: &raw::Auth, report: &mut Report) -> Option<Revocation> {
    let Some(given) = &raw.revocation else {
        for (key, message) in [
            (
                raw.revocation_lag.as_ref().map(|key| key.span),
                "`revocation_lag` has no effect without `revocation`",
            ),
            (raw.stale.as_ref().map(|key| key.span), "`stale` has no effect without `revocation`"),
        ] {
            report.without_effect(key, message, "remove it, or add `revocation`");
        }
        return None;
    };
    let lag = report.duration_above_zero(raw.revocation_lag.as_ref(), REVOCATION_LAG_DEFAULT);
    let stale = match raw.stale.as_ref().map(|stale| stale.value) {
        Some(raw::StaleFeed::Ask) | None => StaleFeed::Ask,
        Some(raw::StaleFeed::Refuse) => StaleFeed::Refuse,
    };
    match url::store(&given.value) {
        Ok(url::Store::Redis) => {
            let store = RevocationStore::Redis(Secret(given.value.as_str().into()));
            Some(Revocation { store, lag, stale })
        }
        Ok(url::Store::Sqlite { path }) => {
            Some(Revocation { store: RevocationStore::Sqlite(PathBuf::from(path)), lag, stale })
        }
        Err(refusal) => {
            report.refused_unseen(given.span, "`revocation`", &refusal);
            None
        }
    }
}
