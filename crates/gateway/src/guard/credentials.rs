//! What a request brings to be known by.

use phalanx_http1::request::{Repeated, RequestBody, RequestHead};

/// What stands in `Authorization`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Credentials<'b> {
    /// No token; of another scheme, which is the service's affair, nothing is known.
    None,
    /// A token (RFC 6750, section 2.1).
    Bearer(&'b [u8]),
    /// Several: the service could go by another than the one that was verified.
    Ambiguous,
}

impl<'b> Credentials<'b> {
    pub(super) fn of(head: &RequestHead<'_, 'b>) -> Self {
        match head.only_field("authorization") {
            Ok(None) => Self::None,
            Ok(Some(value)) => bearer(value).map_or(Self::None, Self::Bearer),
            Err(Repeated) => Self::Ambiguous,
        }
    }
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at(memchr::memchr(b' ', value)?);
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer") && !token.is_empty()).then_some(token)
}

/// By which some frameworks take a request for one of another method.
const METHOD_OVERRIDES: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

/// Whether this is a browser's question whether a page of another origin may send a request. It is sent without credentials
/// (Fetch, section 4.8), so to ask for some would be to refuse every such page.
pub(super) fn is_preflight(head: &RequestHead<'_, '_>) -> bool {
    head.method == b"OPTIONS"
        && head.body == RequestBody::Length(0)
        && !head.asks_upgrade
        && head.field("origin").is_some()
        && head.field("access-control-request-method").is_some()
        && METHOD_OVERRIDES.iter().all(|name| head.field(name).is_none())
}

#[cfg(test)]
mod tests {
    use phalanx_http1::{FieldSlots, HeadLimits, HeadScan, request};

    use super::*;

    /// Calls `look` with the head of a request.
    fn with_head<T>(line: &str, fields: &str, look: impl FnOnce(&RequestHead<'_, '_>) -> T) -> T {
        let bytes = format!("{line} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let mut slots = FieldSlots::new();
        let parsed = request::parse(bytes.as_bytes(), &mut HeadScan::new(), &mut slots, &HeadLimits::REQUEST);
        let Ok(Some((head, _))) = parsed else { panic!("{fields:?} is refused") };
        look(&head)
    }

    #[test]
    fn the_token_is_found_in_one_bearer_field() {
        for (fields, expected) in [
            ("Authorization: Bearer a.b.c\r\n", Credentials::Bearer(b"a.b.c")),
            ("authorization:bEARER   a.b.c \r\n", Credentials::Bearer(b"a.b.c")),
            ("Authorization: Bearer a.b.c d\r\n", Credentials::Bearer(b"a.b.c d")),
            ("", Credentials::None),
            ("Authorization:\r\n", Credentials::None),
            ("Authorization: Bearer\r\n", Credentials::None),
            ("Authorization: Basic YTpi\r\n", Credentials::None),
            ("Authorization: Bearera.b.c\r\n", Credentials::None),
            ("Proxy-Authorization: Bearer a.b.c\r\n", Credentials::None),
            ("Authorization: Bearer a\r\nAuthorization: Bearer a\r\n", Credentials::Ambiguous),
            ("Authorization: Basic a\r\nauthorization: Bearer a\r\n", Credentials::Ambiguous),
        ] {
            with_head("GET /", fields, |head| assert_eq!(Credentials::of(head), expected, "{fields:?}"));
        }
    }

    #[test]
    fn a_preflight_is_what_a_browser_sends_and_nothing_else() {
        let asks = "Origin: https://a\r\nAccess-Control-Request-Method: PUT\r\n";
        for (line, fields, expected) in [
            ("OPTIONS /", asks, true),
            ("GET /", asks, false),
            ("OPTIONS /", "Origin: https://a\r\n", false),
            ("OPTIONS /", "Access-Control-Request-Method: PUT\r\n", false),
            ("OPTIONS /", &format!("{asks}Content-Length: 5\r\n"), false),
            ("OPTIONS /", &format!("{asks}Transfer-Encoding: chunked\r\n"), false),
            ("OPTIONS /", &format!("{asks}X-HTTP-Method-Override: DELETE\r\n"), false),
            ("OPTIONS /", &format!("{asks}Connection: Upgrade\r\nUpgrade: websocket\r\n"), false),
        ] {
            with_head(line, fields, |head| assert_eq!(is_preflight(head), expected, "{line} {fields:?}"));
        }
    }
}
