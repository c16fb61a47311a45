//! Requests to the reference API. Nothing is sent twice: that an answer did not come is for the caller to judge.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use ureq::{Agent, http};

/// Longer than a registration takes whose three statements wait for a primary each.
const TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The replica that answered.
    pub(crate) instance: String,
    /// What `Phalanx-Position` said.
    pub(crate) position: Option<String>,
    /// The cookie of the same, as a request brings it back.
    pub(crate) cookie: Option<String>,
    pub(crate) body: Value,
}

/// What a request carries besides its target.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(Vec<(&'static str, String)>);

impl Fields {
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.push((name, value.into()));
        self
    }
}

/// One that keeps no connections: with a kept one nobody could tell a fault of the trial from its age.
#[derive(Clone)]
pub(crate) struct Http(Agent);

impl Http {
    pub(crate) fn new() -> Self {
        let settings = Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .proxy(None)
            .max_redirects(0)
            .max_idle_connections(0)
            .http_status_as_error(false);
        Self(settings.build().into())
    }

    /// The whole answer, or why there is none.
    pub(crate) fn get(&self, to: SocketAddr, target: &str, fields: &Fields) -> Result<Answer, ureq::Error> {
        let request = self.0.get(format!("http://{to}{target}"));
        read(fields.0.iter().fold(request, |request, (name, value)| request.header(*name, value)).call()?)
    }

    pub(crate) fn post(
        &self,
        to: SocketAddr,
        target: &str,
        fields: &Fields,
        body: &Value,
    ) -> Result<Answer, ureq::Error> {
        let request = self.0.post(format!("http://{to}{target}")).content_type("application/json");
        let request = fields.0.iter().fold(request, |request, (name, value)| request.header(*name, value));
        read(request.send(body.to_string())?)
    }
}

fn read(mut response: http::Response<ureq::Body>) -> Result<Answer, ureq::Error> {
    let text = response.body_mut().read_to_string()?;
    let header = |name: &str| {
        let value = response.headers().get(name)?.to_str().ok()?;
        Some(value.to_owned())
    };
    Ok(Answer {
        status: response.status().as_u16(),
        instance: header("x-phalanx-instance").unwrap_or_default(),
        position: header("phalanx-position"),
        cookie: header("set-cookie").and_then(|cookie| Some(cookie.split_once(';')?.0.to_owned())),
        body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
    })
}
