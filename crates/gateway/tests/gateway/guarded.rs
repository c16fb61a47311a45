//! Routes that ask for a token: who passes, in whose name, and what the others are told.

mod denied;
mod keys;
mod optional;
mod passed;
mod paths;
mod preflights;
mod revoked;

use serde_json::Value;

use crate::support::{AUTH, IDS, Message, Recorder, Setup, TestGateway, forwarded, token};

/// `/` is open, and leads to the same service.
const ROUTES: &str = r#"
[[route]]
path = "/me/"
service = "api"
auth = {}

[[route]]
path = "/admin/"
service = "api"
auth = { roles = ["admin", "auditor"] }

[[route]]
path = "/feed/"
service = "api"
auth = { required = false }

[[route]]
path_exact = "/secret"
respond = { body = "hidden" }
auth = {}
"#;

/// A gateway with [`ROUTES`] and an origin that records.
struct Scene {
    gateway: TestGateway,
    origin: Recorder,
}

impl Scene {
    async fn set() -> Self {
        Self::with(&format!("{ROUTES}{AUTH}")).await
    }

    async fn with(tables: &str) -> Self {
        let origin = Recorder::start().await;
        let gateway = Setup::fronting(&[origin.address()]).tables(tables).start();
        Self { gateway, origin }
    }

    /// Checks that a request is turned away, without the origin hearing of it, and that its connection goes on.
    async fn check_denied(&self, sent: impl AsRef<[u8]>, status: u16, error: &str, challenge: &str) {
        let sent = sent.as_ref();
        let shown = sent[..sent.len().min(500)].escape_ascii();
        let mut client = self.gateway.connect().await;
        let answer = client.exchange(sent).await;
        assert_eq!(answer.status(), status, "{shown}: {answer:?}");
        assert_eq!(answer.field("www-authenticate"), Some(challenge), "{shown}");
        assert_eq!(answer.field("content-type"), Some("application/problem+json"), "{shown}");
        let problem: Value = serde_json::from_slice(&answer.body).expect("a problem is JSON");
        assert_eq!((&problem["status"], &problem["error"]), (&status.into(), &error.into()), "{shown}");
        assert_eq!(self.origin.take_requests(), [], "{shown}");
        assert_eq!(client.exchange(open_request()).await.status(), 200, "{shown}");
        assert_eq!(self.origin.take_requests().len(), 1, "{shown}");
    }

    /// Checks what the origin gets of a request.
    async fn check_passed(&self, sent: impl AsRef<[u8]>, expected: Message) {
        let shown = sent.as_ref().escape_ascii().to_string();
        assert_eq!(self.gateway.exchange(sent).await.status(), 200, "{shown}");
        assert_eq!(self.origin.take_requests(), [expected], "{shown}");
    }
}

const NO_TOKEN: (u16, &str, &str) = (401, "No token provided", "Bearer");
const INVALID: (u16, &str, &str) = (401, "Invalid token", "Bearer error=\"invalid_token\"");
const FORBIDDEN: (u16, &str, &str) = (403, "Insufficient permissions", "Bearer error=\"insufficient_scope\"");

/// A request that anybody may send.
fn open_request() -> String {
    request("GET /", "")
}

fn request(line: &str, fields: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: a\r\n{IDS}{fields}\r\n")
}

/// The field that brings a token.
fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// What an origin gets of [`request`]: `fields` are those that were let pass, `identity` whom it is from.
fn introduced(line: &str, fields: &str, identity: &str) -> Message {
    Message::new(forwarded(line, "a", fields, identity), "")
}
