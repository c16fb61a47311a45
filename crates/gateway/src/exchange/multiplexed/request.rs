//! From the bytes of a head for HTTP/1.1 to a request of HTTP/2 (RFC 9113, section 8.3.1).

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version,
    header::{AUTHORIZATION, CONNECTION, EXPECT, HOST, TRANSFER_ENCODING, UPGRADE},
    uri::{Authority, PathAndQuery, Scheme},
};

use phalanx_http1::HeadLimits;

use super::relay::Expectation;

/// What a client may send, and what the gateway adds.
const FIELDS_MAX: usize = HeadLimits::REQUEST.fields_max + 16;
/// What is never kept in the peer's table, which all clients share: an id, a token and an identity are another one each time, and
/// would push out what comes again. Nor can anybody learn from the length of a head whether he guessed one (RFC 7541, section 7.1.3).
static NEVER_KEPT: [HeaderName; 4] = [
    HeaderName::from_static("x-request-id"),
    AUTHORIZATION,
    HeaderName::from_static("x-auth-subject"),
    HeaderName::from_static("x-auth-session"),
];

/// A request, and what its client waits for before it sends the body.
pub(super) struct Parsed {
    pub(super) request: Request<()>,
    pub(super) expectation: Expectation,
}

/// A head that has no form in HTTP/2. The gateway writes none: to send something else in its place would be a guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Untranslatable;

/// The request that a rewritten head stands for.
pub(super) fn parse(head: &[u8]) -> Result<Parsed, Untranslatable> {
    // One piece of memory for all values.
    let bytes = Bytes::copy_from_slice(head);
    let mut headers = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    let (Ok(httparse::Status::Complete(_)), Some(method), Some(target)) =
        (parsed.parse(&bytes), parsed.method, parsed.path)
    else {
        return Err(Untranslatable);
    };

    let mut fields = HeaderMap::with_capacity(parsed.headers.len());
    let mut authority = None;
    let mut expectation = Expectation::None;
    for header in parsed.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| Untranslatable)?;
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(header.value));
        let mut value = value.map_err(|_| Untranslatable)?;
        if name == HOST {
            authority = Some(value);
            continue;
        }
        // Frames tell where a body ends, and there is nothing to switch to. The rest that is for one connection was not written.
        if name == TRANSFER_ENCODING || name == CONNECTION || name == UPGRADE {
            continue;
        }
        if name == EXPECT {
            expectation = Expectation::Pending;
        }
        value.set_sensitive(NEVER_KEPT.contains(&name));
        fields.append(name, value);
    }

    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(method.as_bytes()).map_err(|_| Untranslatable)?;
    let target = path_and_query(&bytes, target)?;
    let plain = authority.as_ref().and_then(|value| Authority::try_from(value.as_bytes()).ok());
    match (uri(plain, target.clone()), authority) {
        (Some(uri), _) => {
            *request.uri_mut() = uri;
            *request.version_mut() = Version::HTTP_2;
        }
        // A host that the library takes for none goes as the field it came as, which HTTP/2 allows too.
        (None, authority) => {
            *request.uri_mut() = Uri::from(target);
            *request.version_mut() = Version::HTTP_11;
            fields.extend(authority.map(|authority| (HOST, authority)));
        }
    }
    *request.headers_mut() = fields;
    Ok(Parsed { request, expectation })
}

fn uri(authority: Option<Authority>, target: PathAndQuery) -> Option<Uri> {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority?);
    parts.path_and_query = Some(target);
    Uri::from_parts(parts).ok()
}

/// The target, with those characters encoded that no URI has (RFC 3986, section 2) and that the library refuses.
fn path_and_query(head: &Bytes, target: &str) -> Result<PathAndQuery, Untranslatable> {
    if let Ok(plain) = PathAndQuery::from_maybe_shared(head.slice_ref(target.as_bytes())) {
        return Ok(plain);
    }
    let mut encoded = String::with_capacity(3 * target.len());
    for character in target.chars() {
        match character {
            '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}' => {
                encoded += &format!("%{:02X}", u32::from(character));
            }
            _ => encoded.push(character),
        }
    }
    PathAndQuery::try_from(encoded).map_err(|_| Untranslatable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(head: &str) -> Request<()> {
        parse(head.as_bytes()).expect("a head that the gateway could have written").request
    }

    #[test]
    fn what_is_another_one_each_time_is_never_kept() {
        let head = "GET / HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nAuthorization: Bearer t\r\nX-Request-Id: 1\r\n\
                    X-Auth-Subject: 7\r\nX-Auth-Roles: user\r\nX-Auth-Session: 9\r\n\r\n";
        let request = parsed(head);
        let mut never_kept: Vec<_> = request
            .headers()
            .iter()
            .filter(|(_, value)| value.is_sensitive())
            .map(|(name, _)| name.as_str())
            .collect();
        never_kept.sort_unstable();
        assert_eq!(never_kept, ["authorization", "x-auth-session", "x-auth-subject", "x-request-id"]);
    }

    #[test]
    fn the_first_line_and_host_become_pseudo_fields() {
        let request =
            parsed("GET /a?b HTTP/1.1\r\nHost: a.example:81\r\nAccept: */*\r\nX-A: 1\r\nX-A: 2\r\n\r\n");
        assert_eq!(request.method(), Method::GET);
        assert_eq!(request.uri(), "http://a.example:81/a?b");
        assert_eq!(request.version(), Version::HTTP_2);
        let fields: Vec<_> =
            request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        assert_eq!(fields, [("accept", &b"*/*"[..]), ("x-a", b"1"), ("x-a", b"2")]);
    }

    #[test]
    fn what_frames_is_dropped_and_what_is_expected_is_told() {
        let head = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\
                    Connection: TE, Upgrade\r\nUpgrade: websocket\r\nTE: trailers\r\n\r\n";
        let Parsed { request, expectation } =
            parse(head.as_bytes()).expect("a head that the gateway could have written");
        assert_eq!(expectation, Expectation::Pending);
        let names: Vec<_> = request.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["expect", "te"]);
    }

    #[test]
    fn every_target_that_may_come_can_be_sent() {
        for byte in (b'!'..=b'~').filter(|byte| !b"#%".contains(byte)) {
            for place in ["/a", "/?a"] {
                let target = format!("{place}{}b", char::from(byte));
                let request = parsed(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
                let sent = request.uri().path_and_query().unwrap().as_str();
                let encoded = format!("{place}%{byte:02X}b");
                assert!(sent == target || sent == encoded, "{target} became {sent}");
            }
        }
    }

    #[test]
    fn every_host_that_may_come_can_be_sent() {
        for host in ["a", "a:", "a:80", "-._~", "[::1]:8080", "127.0.0.1", "a_b.example", "A.EXAMPLE"] {
            let request = parsed(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
            let sent = match request.version() {
                Version::HTTP_2 => request.uri().authority().unwrap().as_str().to_owned(),
                _ => request.headers()[HOST].to_str().unwrap().to_owned(),
            };
            assert_eq!(sent, host);
        }
    }

    #[test]
    fn as_many_fields_pass_as_a_client_may_send() {
        let fields: String = (0..FIELDS_MAX - 1).map(|index| format!("X-{index}: 1\r\n")).collect();
        let request = parsed(&format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
        assert_eq!(request.headers().len(), FIELDS_MAX - 1);
    }
}
