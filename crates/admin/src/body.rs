//! The JSON body of a request, or a problem that names the field.
//!
//! Invariant: without `Content-Type: application/json` no body is read. A form of a web page cannot send that type, and a
//! script that does is asked for its origin first, so neither can order anything. See also `crate::guard`.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{StatusCode, header},
};
use serde::de::DeserializeOwned;

use crate::{problem::Problem, state::Outcome};

/// Every order is a few words.
pub(crate) const BODY_BYTES_MAX: usize = 16 * 1024;

/// What the body says. An empty one says `{}`.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(&request) {
            let detail = "Send the body as JSON, with Content-Type: application/json.";
            return Err(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Not JSON", detail));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            let error = match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => "Body too large",
                _ => "Body not received",
            };
            let detail = format!("The body could not be read; it may have {BODY_BYTES_MAX} bytes.");
            refused(rejection.status(), error, detail)
        })?;
        read(&bytes).map(Self)
    }
}

/// Only orders have a body.
fn refused(status: StatusCode, error: &'static str, detail: impl Into<String>) -> Problem {
    Problem::new(status, error, detail).with_outcome(Outcome::Refused, None)
}

fn is_json(request: &Request) -> bool {
    let given = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = given.and_then(|given| given.split(';').next()).map(str::trim);
    essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"))
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let bytes = if bytes.is_empty() { b"{}" } else { bytes };
    // A list of the values in their order would do for serde, and means nothing.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "Invalid body",
            "The body is a list, not an object.",
        ));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let (path, cause) = (error.path().to_string(), error.into_inner());
        // At the top there is no field to name; the cause does where it has one: "missing field `replicas`".
        let detail = if path == "." { cause.to_string() } else { format!("`{path}`: {cause}") };
        refused(StatusCode::BAD_REQUEST, "Invalid body", detail)
    })?;
    match json.end() {
        Ok(()) => Ok(value),
        Err(error) => Err(refused(StatusCode::BAD_REQUEST, "Invalid body", error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        count: u32,
    }

    fn refusal(body: &str) -> String {
        read::<Example>(body.as_bytes()).unwrap_err().detail
    }

    #[test]
    fn what_is_wrong_names_the_field() {
        assert_eq!(read::<Example>(br#"{"count":7}"#).unwrap().count, 7);
        for (body, named) in [
            ("", "missing field `count`"),
            ("{}", "missing field `count`"),
            (r#"{"count":-1}"#, "`count`: invalid value: integer `-1`"),
            (r#"{"count":"two"}"#, "`count`: invalid type: string"),
            (r#"{"count":1e400}"#, "`count`: number out of range"),
            (r#"{"count":1,"count":2}"#, "duplicate field `count`"),
            (r#"{"count":1,"colour":"red"}"#, "unknown field `colour`"),
            (r#"{"count":1} x"#, "trailing characters"),
            (" [7]", "not an object"),
            (r#"{"count":1"#, "EOF while parsing"),
            ("\u{feff}{}", "expected value"),
        ] {
            assert!(refusal(body).contains(named), "{body}: {}", refusal(body));
        }
    }

    #[test]
    fn a_deep_body_is_refused_like_any_other() {
        let deep = format!(r#"{{"count":{}"#, "[".repeat(1000));
        assert!(refusal(&deep).contains("`count`: invalid type: sequence"), "{}", refusal(&deep));
    }
}
