//! Where a token stands in a request.

use axum::http::{HeaderMap, header};

use crate::problem::Problem;

/// The subprotocol behind which a token stands.
pub(crate) const SUBPROTOCOL: &str = "bearer";

/// The token as RFC 6750 has it in the header; a request with two says nothing definite about who it is from.
pub(crate) fn token(headers: &HeaderMap) -> Result<&[u8], Problem> {
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

/// The token of a request for a WebSocket: in the header, or else behind [`SUBPROTOCOL`] among the subprotocols.
pub(crate) fn offered(headers: &HeaderMap) -> Result<&[u8], Problem> {
    if headers.contains_key(header::AUTHORIZATION) {
        return token(headers);
    }
    let fields = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let mut protocols =
        fields.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    protocols.find(|protocol| protocol.eq_ignore_ascii_case(SUBPROTOCOL.as_bytes()));
    protocols.next().filter(|token| !token.is_empty()).ok_or(Problem::NoToken)
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

    #[test]
    fn a_socket_may_offer_its_token_as_a_subprotocol() {
        let cases: &[(&[&str], Option<&str>, &str)] = &[
            (&["bearer, a.b.c"], None, "a.b.c"),
            (&["cart", "Bearer", "a.b.c"], None, "a.b.c"),
            (&["bearer, a.b.c"], Some("Bearer d.e.f"), "d.e.f"),
            (&["bearer, a.b.c"], Some("Basic YTpi"), "NoToken"),
            (&["bearer"], None, "NoToken"),
            (&["bearer,"], None, "NoToken"),
            (&["a.b.c"], None, "NoToken"),
            (&[], None, "NoToken"),
        ];
        for (protocols, authorization, expected) in cases {
            let mut headers = HeaderMap::new();
            for value in *protocols {
                headers.append(header::SEC_WEBSOCKET_PROTOCOL, value.parse().unwrap());
            }
            if let Some(value) = authorization {
                headers.append(header::AUTHORIZATION, value.parse().unwrap());
            }
            let found =
                offered(&headers).map_or_else(|problem| format!("{problem:?}").into_bytes(), <[u8]>::to_vec);
            assert_eq!(String::from_utf8(found).unwrap(), *expected, "{protocols:?} {authorization:?}");
        }
    }
}
