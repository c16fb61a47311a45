//! Asks a running Phalanx for its state and gives it orders: what the verbs `status`, `scale`, `rollout`, `drain` and `reload`
//! do.
//!
//! Every error names the URL that was asked and what to try, since it ends up before a person. An order that was refused or
//! did not come out is no error here: the answer says so.

mod events;

use std::{fmt::Write as _, io::BufReader, time::Duration};

use serde_json::json;
use ureq::{
    Agent, Body,
    http::{Response, StatusCode, Uri, uri::Scheme},
};

pub use self::events::EventReader;
use crate::{
    control::{DrainOrder, Order},
    state::{Report, State},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// For an answer that nobody has to wait for.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(5);
/// Some hundred bytes an endpoint: room for more than ten thousand.
const ANSWER_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Why there is no answer to show.
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

/// A client of one admin API. Its calls block.
#[derive(Clone, Debug)]
pub struct Client {
    /// Scheme and authority.
    origin: String,
}

impl Client {
    /// A client of the admin API at this URL; `http://` may be left out. Nothing is asked yet.
    ///
    /// # Errors
    /// [`ClientError::Url`]
    pub fn new(admin_url: &str) -> Result<Self, ClientError> {
        let origin = origin(admin_url).ok_or_else(|| ClientError::Url { url: admin_url.to_owned() })?;
        Ok(Self { origin })
    }

    /// What runs; blocks for at most five seconds.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn state(&self) -> Result<State, ClientError> {
        let url = self.url("/v1/state");
        let mut answer = unreachable(&url, agent(Some(TOTAL_TIMEOUT)).get(&url).call())?;
        if answer.status() != StatusCode::OK {
            return Err(ClientError::Refused { status: answer.status(), url });
        }
        read(url, &mut answer)
    }

    /// Gives an order to a service, and waits for its outcome that long; without `wait` until it is accepted.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn order(&self, service: &str, order: Order, wait: Option<Duration>) -> Result<Report, ClientError> {
        let (route, body) = match order {
            Order::Scale { replicas } => ("scale", json!({ "replicas": replicas })),
            Order::Restart => ("rollout", json!({ "action": "restart" })),
            Order::Undo { revision: None } => ("rollout", json!({ "action": "undo" })),
            Order::Undo { revision } => ("rollout", json!({ "action": "undo", "revision": revision })),
            Order::Pause => ("rollout", json!({ "action": "pause" })),
            Order::Resume => ("rollout", json!({ "action": "resume" })),
        };
        self.post(&format!("/v1/services/{}/{route}", segment(service)), body, wait)
    }

    /// Takes an endpoint out of the balance, or back into it; with `wait`, waits that long for its last request.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn drain(
        &self,
        address: &str,
        order: DrainOrder,
        wait: Option<Duration>,
    ) -> Result<Report, ClientError> {
        let action = match order {
            DrainOrder::Drain => "drain",
            DrainOrder::Resume => "resume",
        };
        let path = format!("/v1/endpoints/{}/drain", segment(address));
        self.post(&path, json!({ "action": action }), wait)
    }

    /// Has the configuration read again; with `wait`, waits that long for what it changes.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn reload(&self, wait: Option<Duration>) -> Result<Report, ClientError> {
        self.post("/v1/reload", json!({}), wait)
    }

    /// What happens from here on; blocks until the admin API has begun to tell it.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn events(&self) -> Result<EventReader, ClientError> {
        let url = self.url("/v1/events");
        let answer = unreachable(&url, agent(None).get(&url).call())?;
        match answer.status() {
            StatusCode::OK => {
                Ok(EventReader::new(Box::new(BufReader::new(answer.into_body().into_reader()))))
            }
            status => Err(ClientError::Refused { url, status }),
        }
    }

    fn post(
        &self,
        path: &str,
        mut body: serde_json::Value,
        wait: Option<Duration>,
    ) -> Result<Report, ClientError> {
        let url = self.url(path);
        if let Some(wait) = wait {
            body["wait"] = format!("{}ms", wait.as_millis()).into();
        }
        let patience = TOTAL_TIMEOUT + wait.unwrap_or_default();
        let request = agent(Some(patience)).post(&url).content_type("application/json");
        let mut answer = unreachable(&url, request.send(body.to_string()))?;
        let status = answer.status();
        // Whatever the status, an order is answered by a report; something else is no answer to an order.
        read(url.clone(), &mut answer)
            .map_err(|error| if status.is_success() { error } else { ClientError::Refused { url, status } })
    }

    fn url(&self, path: &str) -> Uri {
        format!("{}{path}", self.origin).parse().expect("an origin and an escaped path are a URL")
    }
}

fn unreachable(
    url: &Uri,
    answer: Result<Response<Body>, ureq::Error>,
) -> Result<Response<Body>, ClientError> {
    answer.map_err(|source| ClientError::Unreachable { url: url.clone(), source: Box::new(source) })
}

fn read<T: serde::de::DeserializeOwned>(url: Uri, answer: &mut Response<Body>) -> Result<T, ClientError> {
    let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
    let body =
        body.map_err(|source| ClientError::Unreachable { url: url.clone(), source: Box::new(source) })?;
    serde_json::from_slice(&body).map_err(|source| ClientError::Unreadable { url, source })
}

/// `http://host:port` of a URL that has nothing more.
fn origin(admin_url: &str) -> Option<String> {
    let scheme = if admin_url.contains("://") { "" } else { "http://" };
    let url: Uri = format!("{scheme}{}/", admin_url.trim_end_matches('/')).parse().ok()?;
    let complete = url.scheme() == Some(&Scheme::HTTP) && url.path() == "/" && url.query().is_none();
    complete.then(|| url.authority().map(|authority| format!("http://{authority}"))).flatten()
}

/// A name as one segment of a path.
fn segment(name: &str) -> String {
    let mut segment = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b':' => segment.push(byte.into()),
            // A dot too: `..` would lead elsewhere.
            _ => write!(segment, "%{byte:02X}").expect("writing to a string cannot fail"),
        }
    }
    segment
}

fn agent(total: Option<Duration>) -> Agent {
    Agent::config_builder()
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_global(total)
        // A proxy from the environment would look for 127.0.0.1 on its own machine.
        .proxy(None)
        .max_redirects(0)
        .http_status_as_error(false)
        .build()
        .into()
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
            assert!(origin(url).is_some(), "{url}");
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
            assert_eq!(origin(url), None, "{url}");
        }
    }

    #[test]
    fn a_name_stays_in_its_segment() {
        let client = Client::new("localhost:9900").unwrap();
        for name in ["api", "..", "../../state", "a b", "[::1]:80", "é?#%", ""] {
            let url = client.url(&format!("/v1/services/{}/scale", segment(name)));
            assert_eq!(url.path().split('/').count(), 5, "{name}: {url}");
            assert_eq!(url.query(), None, "{name}: {url}");
        }
        assert_eq!(segment("api_2-x:80"), "api_2-x:80");
    }
}
