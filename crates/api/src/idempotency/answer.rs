//! Answers as they are kept: status, fields and body.

use std::string::FromUtf8Error;

use axum::{
    body::{self, Body},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::ToStrError},
    response::Response,
};
use serde::{Deserialize, Serialize};

use super::sealed::Unreadable;

const ANSWER_BYTES_MAX: usize = 64 << 10;
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// What was answered to a request.
pub(crate) struct StoredAnswer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

/// Why an answer cannot be kept: a handler has made one that is none of ours.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    #[error("its body cannot be read, or has more than {ANSWER_BYTES_MAX} bytes")]
    Body(#[source] axum::Error),
    #[error("its body is no text")]
    Text(#[from] FromUtf8Error),
    #[error("a header field is no text")]
    Field(#[from] ToStrError),
}

/// An answer in JSON.
#[derive(Serialize, Deserialize)]
struct Encoded {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl StoredAnswer {
    /// Takes a response as its handler has made it.
    pub(super) async fn of(response: Response) -> Result<Self, AnswerError> {
        let (parts, body) = response.into_parts();
        let body = body::to_bytes(body, ANSWER_BYTES_MAX).await.map_err(AnswerError::Body)?;
        Ok(Self { status: parts.status, headers: parts.headers, body: String::from_utf8(body.into())? })
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>, AnswerError> {
        let field = |(name, value): (&HeaderName, &HeaderValue)| {
            Ok::<_, ToStrError>((name.as_str().to_owned(), value.to_str()?.to_owned()))
        };
        let encoded = Encoded {
            status: self.status.as_u16(),
            headers: self.headers.iter().map(field).collect::<Result<_, _>>()?,
            body: self.body.clone(),
        };
        Ok(serde_json::to_vec(&encoded).expect("numbers and strings serialize"))
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let Encoded { status, headers: fields, body } =
            serde_json::from_slice(bytes).map_err(|_| Unreadable)?;
        let mut headers = HeaderMap::with_capacity(fields.len());
        for (name, value) in fields {
            let name = HeaderName::try_from(name).map_err(|_| Unreadable)?;
            headers.append(name, HeaderValue::try_from(value).map_err(|_| Unreadable)?);
        }
        let status = StatusCode::from_u16(status).map_err(|_| Unreadable)?;
        Ok(Self { status, headers, body })
    }

    /// As it was answered the first time.
    pub(super) fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }

    /// The same, marked as a repetition.
    pub(crate) fn replayed(self) -> Response {
        let mut response = self.into_response();
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        response
    }
}
