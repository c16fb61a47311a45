//! `phalanx token inspect`.

use std::time::{Duration, UNIX_EPOCH};

use phalanx_auth::parts;
use phalanx_telemetry::clock;
use serde_json::{Value, json};

use super::token;
use crate::{cli::TokenInspectArguments, exit::Failure, terminal};

const WARNING: &str = "NOT VERIFIED: this is what the token says, and anybody can have written it.";
/// What a date can be written for: up to the year 9999.
pub(super) const SECONDS_MAX: u64 = 253_402_300_799;

pub(super) fn run(arguments: &TokenInspectArguments) -> Result<(), Failure> {
    let token = token(&arguments.token)?;
    let parts = parts(token.as_bytes())
        .map_err(|fault| Failure::Runtime(anyhow::Error::from(fault).context("take the token apart")))?;
    // A payload that is no JSON is shown as text, as far as it is one.
    let payload = serde_json::from_slice(&parts.payload)
        .unwrap_or_else(|_| json!(String::from_utf8_lossy(&parts.payload)));
    terminal::progress(WARNING);
    for line in times(&payload, clock::unix_seconds()) {
        terminal::progress(&line);
    }
    terminal::say(&format!("{:#}", json!({ "header": parts.header, "payload": payload })));
    Ok(())
}

/// What its times mean to people.
fn times(payload: &Value, now: u64) -> Vec<String> {
    let names = [("iat", "issued"), ("nbf", "valid from"), ("exp", "expires")];
    let line = |(name, meaning): (&str, &str)| {
        let seconds = payload.get(name)?.as_u64().filter(|seconds| *seconds <= SECONDS_MAX)?;
        let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
        let distance = if seconds > now {
            format!("in {}", span(seconds - now))
        } else {
            format!("{} ago", span(now - seconds))
        };
        Some(format!("{meaning:<10} {date} ({distance})"))
    };
    names.into_iter().filter_map(line).collect()
}

/// In the two largest units: "2d 3h", "10m 0s".
fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_people_read_them() {
        let now = 1_800_000_000;
        let told = times(&json!({ "iat": now - 61, "nbf": now, "exp": now + 93_600, "x": 1 }), now);
        assert_eq!(
            told,
            [
                "issued     Fri, 15 Jan 2027 07:58:59 GMT (1m 1s ago)",
                "valid from Fri, 15 Jan 2027 08:00:00 GMT (0s ago)",
                "expires    Sat, 16 Jan 2027 10:00:00 GMT (in 1d 2h)",
            ]
        );
        for no_time in [json!(null), json!("1"), json!(-1), json!(1.5), json!(u64::MAX)] {
            assert!(times(&json!({ "exp": no_time }), now).is_empty());
        }
        assert_eq!(span(3600 + 120), "1h 2m");
    }
}
