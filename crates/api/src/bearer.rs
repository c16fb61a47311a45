//! Who asks: the token of a request, verified.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request},
};
use phalanx_auth::Claims;
use phalanx_telemetry::clock;

use crate::{problem::Problem, router::Service};

/// The claims of the token that came with a request. A handler that takes it answers 401 without one.
#[derive(Debug)]
pub(crate) struct Bearer(pub(crate) Arc<Claims>);

impl FromRequestParts<Arc<Service>> for Bearer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut request::Parts, service: &Arc<Service>) -> Result<Self, Problem> {
        let token = token(&parts.headers)?;
        Ok(Self(service.verifier.verify(token, clock::unix_seconds())?))
    }
}

/// The token as RFC 6750 has it in the header; a request with two says nothing definite about who it is from.
fn token(headers: &HeaderMap) -> Result<&[u8], Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(Problem::NoToken)?.as_bytes();
    if values.next().is_some() {
        return Err(Problem::InvalidToken);
    }
    let (scheme, token) = value.split_at(value.iter().position(|byte| *byte == b' ').unwrap_or(value.len()));
    let token = token.trim_ascii();
    if scheme.eq_ignore_ascii_case(b"bearer") && !token.is_empty() {
        Ok(token)
    } else {
        Err(Problem::NoToken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_found_in_one_bearer_header() {
        let cases: &[(&[&str], &str)] = &[
            (&["Bearer a.b.c"], "a.b.c"),
            (&["bEARER   a.b.c"], "a.b.c"),
            (&["Bearer a.b.c d"], "a.b.c d"),
            (&[], "NoToken"),
            (&[""], "NoToken"),
            (&["Bearer"], "NoToken"),
            (&["Bearer "], "NoToken"),
            (&["Basic YTpi"], "NoToken"),
            (&["Bearera.b.c"], "NoToken"),
            (&["Bearer a.b.c", "Bearer a.b.c"], "InvalidToken"),
        ];
        for (values, expected) in cases {
            let mut headers = HeaderMap::new();
            for value in *values {
                headers.append(header::AUTHORIZATION, value.parse().unwrap());
            }
            let found =
                token(&headers).map_or_else(|problem| format!("{problem:?}").into_bytes(), <[u8]>::to_vec);
            assert_eq!(String::from_utf8(found).unwrap(), *expected, "{values:?}");
        }
    }
}
