//! Asks a running Phalanx for its state: what `phalanx status` does.
//!
//! Every error names the URL that was asked and what to try, since it ends up before a person.

use std::time::Duration;

use ureq::{
    Agent,
    http::{StatusCode, Uri, uri::Scheme},
};

use crate::state::State;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const TOTAL_TIMEOUT: Duration = Duration::from_secs(5);
/// Some hundred bytes an endpoint: room for more than ten thousand.
const STATE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Why there is no state to show.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The URL cannot be one of an admin API.
    #[error("`{url}` is not the URL of an admin API: one looks like http://127.0.0.1:9900")]
    Url {
        /// As it was given.
        url: String,
    },
    /// Nobody listens there, or nobody answers in time.
    #[error("no Phalanx answers at {url}: is `phalanx up` running? another address: --admin URL")]
    Unreachable {
        /// What was asked.
        url: Uri,
        /// What happened instead.
        source: Box<ureq::Error>,
    },
    /// Something answers, with an error.
    #[error("{url} answered {status}: is that the admin API of a Phalanx? another address: --admin URL")]
    Refused {
        /// What was asked.
        url: Uri,
        /// The answer.
        status: StatusCode,
    },
    /// Something answers that is no Phalanx, or one that this program does not understand.
    #[error("{url} answered, but not as a Phalanx {} does: another address: --admin URL", env!("CARGO_PKG_VERSION"))]
    Unreadable {
        /// What was asked.
        url: Uri,
        /// Where reading ended.
        source: serde_json::Error,
    },
}

/// The state of the Phalanx whose admin API is at this URL; blocks for at most five seconds. `http://` may be left out.
///
/// # Errors
/// See [`ClientError`].
pub fn fetch_state(admin_url: &str) -> Result<State, ClientError> {
    let url = state_url(admin_url).ok_or_else(|| ClientError::Url { url: admin_url.to_owned() })?;
    let (status, body) = match get(&url) {
        Ok(answer) => answer,
        Err(source) => return Err(ClientError::Unreachable { url, source: Box::new(source) }),
    };
    if status != StatusCode::OK {
        return Err(ClientError::Refused { url, status });
    }
    serde_json::from_slice(&body).map_err(|source| ClientError::Unreadable { url, source })
}

fn state_url(admin_url: &str) -> Option<Uri> {
    let scheme = if admin_url.contains("://") { "" } else { "http://" };
    let url: Uri = format!("{scheme}{}/v1/state", admin_url.trim_end_matches('/')).parse().ok()?;
    let complete = url.scheme() == Some(&Scheme::HTTP) && url.path() == "/v1/state" && url.query().is_none();
    complete.then_some(url)
}

fn get(url: &Uri) -> Result<(StatusCode, Vec<u8>), ureq::Error> {
    let agent: Agent = Agent::config_builder()
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_global(Some(TOTAL_TIMEOUT))
        // A proxy from the environment would look for 127.0.0.1 on its own machine.
        .proxy(None)
        .max_redirects(0)
        .http_status_as_error(false)
        .build()
        .into();
    let mut response = agent.get(url).call()?;
    let body = response.body_mut().with_config().limit(STATE_BYTES_MAX).read_to_vec()?;
    Ok((response.status(), body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_as_people_write_them() {
        for url in [
            "http://127.0.0.1:9900",
            "http://127.0.0.1:9900/",
            "127.0.0.1:9900",
            "localhost:9900",
            "http://[::1]:9900",
            "HTTP://localhost",
        ] {
            assert!(state_url(url).is_some(), "{url}");
        }
        for url in [
            "",
            "http://",
            "https://127.0.0.1:9900",
            "unix:///run/phalanx",
            "http://127.0.0.1:9900/v1/state",
            "http://127.0.0.1:9900/?a",
            "a b",
        ] {
            assert_eq!(state_url(url), None, "{url}");
        }
    }
}
