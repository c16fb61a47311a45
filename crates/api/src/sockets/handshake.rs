//! The opening of a WebSocket (RFC 6455, section 4.2).

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request},
    response::Response,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::problem::Problem;

const VERSION: &str = "13";
const KEY_BYTES: usize = 16;

/// A request that asks for a WebSocket and may have one.
pub(crate) struct Handshake {
    upgrade: OnUpgrade,
    accept: HeaderValue,
    protocol: Option<HeaderValue>,
}

impl Handshake {
    /// Checks the request. Of the subprotocols that it offers, `protocol` is chosen if it is among them.
    pub(crate) fn of(parts: &mut request::Parts, protocol: &'static str) -> Result<Self, Problem> {
        let headers = &parts.headers;
        let asks = lists(headers, &header::CONNECTION, "upgrade")
            && lists(headers, &header::UPGRADE, "websocket")
            && alone(headers, &header::SEC_WEBSOCKET_VERSION) == Some(VERSION);
        let key = alone(headers, &header::SEC_WEBSOCKET_KEY)
            .filter(|key| BASE64_STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == KEY_BYTES));
        let (true, Some(key)) = (asks, key) else { return Err(Problem::UpgradeRequired) };
        let accept =
            HeaderValue::try_from(derive_accept_key(key.as_bytes())).expect("base64 is visible ASCII");
        let offered = lists(headers, &header::SEC_WEBSOCKET_PROTOCOL, protocol);
        let protocol = offered.then(|| HeaderValue::from_static(protocol));
        // HTTP/2 has no upgrade in this form.
        let upgrade = parts.extensions.remove().ok_or(Problem::UpgradeRequired)?;
        Ok(Self { upgrade, accept, protocol })
    }

    /// The answer that opens the socket, and the socket that it opens.
    pub(crate) fn accept(self) -> (Response, OnUpgrade) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, self.accept);
        if let Some(protocol) = self.protocol {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        (response, self.upgrade)
    }
}

/// Whether a list of tokens, over one field or several, has one; its case does not matter.
fn lists(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let fields = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    fields.flat_map(|value| value.split(',')).any(|listed| listed.trim().eq_ignore_ascii_case(token))
}

/// The value of a field that comes once.
fn alone<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())?.to_str().ok()
}
