//! Where a token stands in a request for a WebSocket, since scripts in browsers cannot set its header.

use axum::http::{HeaderMap, header};
use phalanx_auth::{Refusal, bearer};

/// The subprotocol behind which a token stands.
pub(crate) const SUBPROTOCOL: &str = "bearer";

/// The token of a request for a WebSocket: in the header, or else behind [`SUBPROTOCOL`] among the subprotocols.
pub(crate) fn offered(headers: &HeaderMap) -> Result<&[u8], Refusal> {
    if headers.contains_key(header::AUTHORIZATION) {
        return bearer(headers);
    }
    let fields = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let mut protocols =
        fields.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    protocols.find(|protocol| protocol.eq_ignore_ascii_case(SUBPROTOCOL.as_bytes()));
    protocols.next().filter(|token| !token.is_empty()).ok_or(Refusal::NoToken)
}

#[cfg(test)]
mod tests {
    use super::*;

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
                offered(&headers).map_or_else(|refusal| format!("{refusal:?}").into_bytes(), <[u8]>::to_vec);
            assert_eq!(String::from_utf8(found).unwrap(), *expected, "{protocols:?} {authorization:?}");
        }
    }
}
