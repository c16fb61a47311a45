//! The request target (RFC 9112, section 3.2): its form, its bytes, and the one path that everybody sees.
//!
//! Invariant: a [`Path`] is normalised once, here. Routing, authorization and the upstream all get that same form, so
//! nothing behind the gateway can resolve a path that the gateway did not judge.

use std::borrow::Cow;

use crate::fault::RequestFault;

/// A request target whose method allows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target<'b> {
    /// `/path?query`, or an absolute URI, whose authority then stands in for `Host`.
    Resource {
        /// The authority of an absolute URI.
        authority: Option<&'b [u8]>,
        /// The path, normalised.
        path: Path<'b>,
        /// What follows the path, `?` included; empty without a query.
        query: &'b [u8],
    },
    /// `*`, which only `OPTIONS` may ask about.
    Server,
}

/// A normalised path: begins with `/`, has no dot segment and no empty segment but the last, and encodes nothing that
/// needs no encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path<'b> {
    bytes: Cow<'b, [u8]>,
    hidden: EncodedSet,
}

impl Path<'_> {
    /// The path as it is routed and forwarded.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The characters in it that an upstream may decode into a separator.
    #[must_use]
    pub fn hidden(&self) -> EncodedSet {
        self.hidden
    }
}

/// A set of encoded characters that hide a separator: `%2F`, `%5C` (and a bare backslash), `%3B`, `%25`, `%23`, `%3F`.
///
/// They are never decoded for routing. Whether they may pass is the route's to say, since refusing them everywhere breaks
/// applications that carry them in identifiers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EncodedSet(u8);

impl EncodedSet {
    const MEMBERS: [(u8, &'static str); 6] =
        [(b'/', "%2F"), (b'\\', "%5C"), (b';', "%3B"), (b'%', "%25"), (b'#', "%23"), (b'?', "%3F")];

    /// The set without a member.
    pub const EMPTY: Self = Self(0);

    /// The set of all of them.
    pub const ALL: Self = Self((1 << Self::MEMBERS.len()) - 1);

    /// The set of one, from its encoded form in upper case (`%2F`); `None` for any other text.
    #[must_use]
    pub fn from_encoded(text: &str) -> Option<Self> {
        Self::MEMBERS.iter().position(|(_, encoded)| *encoded == text).map(|index| Self(1 << index))
    }

    /// Both sets together.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether every member of this set is in `other`.
    #[must_use]
    pub fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    fn insert(&mut self, decoded: u8) {
        if let Some(index) = Self::MEMBERS.iter().position(|(member, _)| *member == decoded) {
            self.0 |= 1 << index;
        }
    }
}

/// Reads the target of `method`.
pub(crate) fn parse<'b>(method: &[u8], target: &'b [u8]) -> Result<Target<'b>, RequestFault> {
    // One look at every byte, before anything is taken apart.
    if !target.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#') {
        return Err(RequestFault::TargetByte);
    }
    match (method, target.first()) {
        // A tunnel is never opened; a target that is no authority is the fault to tell first.
        (b"CONNECT", _) => Err(match host_of(target) {
            Some(host) if host.len() < target.len() => RequestFault::MethodForbidden,
            _ => RequestFault::Target,
        }),
        // Whatever its form: a trace echoes the fields that the gateway adds, and the credentials of the client.
        (b"TRACE", _) => Err(RequestFault::MethodForbidden),
        (_, Some(b'/')) => resource(None, target),
        (b"OPTIONS", Some(b'*')) if target.len() == 1 => Ok(Target::Server),
        _ => absolute(target),
    }
}

/// `http://authority/path`, in any case of its scheme (RFC 9110, section 4.2.3).
fn absolute(target: &[u8]) -> Result<Target<'_>, RequestFault> {
    let scheme = target.iter().position(|byte| *byte == b':').ok_or(RequestFault::Target)?;
    let known =
        target[..scheme].eq_ignore_ascii_case(b"http") || target[..scheme].eq_ignore_ascii_case(b"https");
    let rest = target[scheme + 1..].strip_prefix(b"//").filter(|_| known).ok_or(RequestFault::Target)?;
    let authority_end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    let (authority, path_and_query) = rest.split_at(authority_end);
    host_of(authority).ok_or(RequestFault::HostMalformed)?;
    resource(Some(authority), path_and_query)
}

fn resource<'b>(authority: Option<&'b [u8]>, target: &'b [u8]) -> Result<Target<'b>, RequestFault> {
    let path_end = memchr::memchr(b'?', target).unwrap_or(target.len());
    let (path, query) = target.split_at(path_end);
    // An absolute URI may leave the path out.
    let path = normalise(if path.is_empty() { b"/" } else { path })?;
    Ok(Target::Resource { authority, path, query })
}

/// The host in `host[:port]`, or `None` when it is none (RFC 9110, section 7.2; no user, no list, port within 16 bits).
#[must_use]
pub fn host_of(authority: &[u8]) -> Option<&[u8]> {
    let (host, port) = match authority.first()? {
        b'[' => {
            let (host, port) = authority.split_at(memchr::memchr(b']', authority)? + 1);
            let address = std::str::from_utf8(&host[1..host.len() - 1]).ok()?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            (host, port)
        }
        _ => {
            let host_end = authority.iter().position(|byte| !is_unreserved(*byte)).unwrap_or(authority.len());
            authority.split_at(host_end)
        }
    };
    let port_is_valid = match port {
        [] | [b':'] => true,
        [b':', digits @ ..] => is_port(digits),
        _ => false,
    };
    (!host.is_empty() && port_is_valid).then_some(host)
}

/// Whether these are decimal digits of a number within 16 bits.
fn is_port(digits: &[u8]) -> bool {
    let port = digits.iter().try_fold(0_u32, |port, byte| {
        let digit = byte.is_ascii_digit().then(|| u32::from(byte - b'0'))?;
        Some(port.saturating_mul(10).saturating_add(digit))
    });
    port.is_some_and(|port| port <= u32::from(u16::MAX))
}

/// Whether a byte needs no encoding anywhere (RFC 3986, section 2.3).
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Normalises a path that begins with `/` and is ASCII (RFC 3986, section 6.2.2, and empty segments merged).
fn normalise(path: &[u8]) -> Result<Path<'_>, RequestFault> {
    if is_plain(path) {
        return Ok(Path { bytes: Cow::Borrowed(path), hidden: EncodedSet::EMPTY });
    }
    let mut hidden = EncodedSet::EMPTY;
    let decoded = decode_unreserved(path, &mut hidden)?;
    Ok(Path { bytes: Cow::Owned(resolve_segments(&decoded)), hidden })
}

/// Whether a path is normalised as it stands: no encoding, no backslash, and nothing after a `/` that needs resolving.
fn is_plain(path: &[u8]) -> bool {
    let mut previous = 0;
    path.iter().all(|byte| {
        let needs_work = matches!((previous, byte), (_, b'%' | b'\\') | (b'/', b'/' | b'.' | b';'));
        previous = *byte;
        !needs_work
    })
}

/// Decodes what needs no encoding, upper-cases the rest, and refuses what no decoder agrees on.
fn decode_unreserved(path: &[u8], hidden: &mut EncodedSet) -> Result<Vec<u8>, RequestFault> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte != b'%' {
            if *byte == b'\\' {
                hidden.insert(b'\\');
            }
            out.push(*byte);
            continue;
        }
        let (decoded, tail) = hex_pair(rest).ok_or(RequestFault::TargetByte)?;
        rest = tail;
        match decoded {
            0..=0x1F | 0x7F => return Err(RequestFault::TargetByte),
            _ if is_overlong(decoded, rest) => return Err(RequestFault::TargetByte),
            _ if is_unreserved(decoded) => out.push(decoded),
            _ => {
                hidden.insert(decoded);
                out.extend_from_slice(&[b'%', upper_hex(decoded >> 4), upper_hex(decoded & 0xF)]);
            }
        }
    }
    Ok(out)
}

/// Whether `lead` begins an overlong UTF-8 sequence (RFC 3629, section 3), which lenient decoders read as another character.
fn is_overlong(lead: u8, rest: &[u8]) -> bool {
    let continuation = || rest.strip_prefix(b"%").and_then(hex_pair).map(|(byte, _)| byte);
    match lead {
        0xC0 | 0xC1 => true,
        0xE0 => continuation().is_some_and(|byte| (0x80..0xA0).contains(&byte)),
        0xF0 => continuation().is_some_and(|byte| (0x80..0x90).contains(&byte)),
        // Forms of five and six bytes, which UTF-8 once had.
        0xF8 => continuation().is_some_and(|byte| (0x80..0x88).contains(&byte)),
        0xFC => continuation().is_some_and(|byte| (0x80..0x84).contains(&byte)),
        _ => false,
    }
}

fn hex_pair(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let [high, low, rest @ ..] = bytes else { return None };
    Some((hex_digit(*high)? << 4 | hex_digit(*low)?, rest))
}

pub(crate) fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

fn upper_hex(nibble: u8) -> u8 {
    b"0123456789ABCDEF"[usize::from(nibble)]
}

/// Removes dot segments (RFC 3986, section 5.2.4) and empty segments. Either with parameters (`..;x`, `;`) counts as one:
/// servers that strip parameters before they resolve would otherwise leave the place that was judged.
fn resolve_segments(path: &[u8]) -> Vec<u8> {
    let mut segments: Vec<&[u8]> = Vec::new();
    let mut ends_in_slash = true;
    for segment in path.split(|byte| *byte == b'/').skip(1) {
        let name = segment.split(|byte| *byte == b';').next().unwrap_or(segment);
        ends_in_slash = true;
        match name {
            b"" | b"." => {}
            b".." => {
                segments.pop();
            }
            _ => {
                segments.push(segment);
                ends_in_slash = false;
            }
        }
    }
    let mut out = Vec::with_capacity(path.len());
    for segment in &segments {
        out.push(b'/');
        out.extend_from_slice(segment);
    }
    if ends_in_slash {
        out.push(b'/');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(target: &str) -> Result<String, RequestFault> {
        match parse(b"GET", target.as_bytes())? {
            Target::Resource { path, query, .. } => {
                Ok(String::from_utf8([path.as_bytes(), query].concat()).unwrap())
            }
            Target::Server => panic!("{target} is a resource"),
        }
    }

    #[test]
    fn a_path_has_one_form() {
        for (target, expected) in [
            ("/", "/"),
            ("/a/b?x=/../y", "/a/b?x=/../y"),
            ("/a/../admin", "/admin"),
            ("/a/%2e%2e/admin", "/admin"),
            ("/a/%2E./admin", "/admin"),
            ("/a//admin", "/a/admin"),
            ("/a/.;/admin", "/a/admin"),
            ("/a/;/admin", "/a/admin"),
            ("/a/;x=1", "/a/"),
            ("/a/..;x=1/admin", "/admin"),
            ("/../../etc", "/etc"),
            ("/a/..", "/"),
            ("/a/.", "/a/"),
            ("/a/", "/a/"),
            ("//", "/"),
            ("/.well-known/x", "/.well-known/x"),
            ("/...", "/..."),
            ("/%41%7e%2d", "/A~-"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/a%20b", "/a%20b"),
            ("/a;v=1/b", "/a;v=1/b"),
            ("http://h?q", "/?q"),
            ("HTTP://h:80/x/./y", "/x/y"),
        ] {
            assert_eq!(path(target).as_deref(), Ok(expected), "{target}");
        }
    }

    #[test]
    fn a_hidden_separator_stays_encoded_and_is_told() {
        for (target, member) in [
            ("/a%2fb", "%2F"),
            ("/a%5cb", "%5C"),
            ("/a\\b", "%5C"),
            ("/a%3bb", "%3B"),
            ("/%252e", "%25"),
            ("/%23", "%23"),
            ("/%3f", "%3F"),
        ] {
            let Ok(Target::Resource { path, .. }) = parse(b"GET", target.as_bytes()) else {
                panic!("{target}")
            };
            assert_eq!(Some(path.hidden()), EncodedSet::from_encoded(member), "{target}");
        }
    }

    #[test]
    fn a_target_that_two_parsers_could_read_differently_is_refused() {
        for target in [
            "/%00",
            "/%zz",
            "/%",
            "/%2",
            "/%c0%af",
            "/%e0%80%af",
            "/%f0%80%80%af",
            "/\u{e9}",
            "/a\u{1}",
            "/%0a",
            "/%7f",
            "/a#b",
            "/#",
            "/?q#f",
        ] {
            assert_eq!(path(target), Err(RequestFault::TargetByte), "{target}");
        }
        for target in ["admin", "*", "*/x", "ftp://h/", "http:/x", "://h/", "h:80"] {
            assert_eq!(path(target), Err(RequestFault::Target), "{target}");
        }
        for target in ["http://", "http:///x", "http://a@b/", "http://h:99999/"] {
            assert_eq!(path(target), Err(RequestFault::HostMalformed), "{target}");
        }
    }

    #[test]
    fn a_method_decides_which_form_it_allows() {
        assert_eq!(parse(b"OPTIONS", b"*"), Ok(Target::Server));
        for (method, target, fault) in [
            ("OPTIONS", "*/x", RequestFault::Target),
            ("CONNECT", "/", RequestFault::Target),
            ("CONNECT", "host", RequestFault::Target),
            ("CONNECT", "host:443", RequestFault::MethodForbidden),
            ("TRACE", "/", RequestFault::MethodForbidden),
        ] {
            assert_eq!(parse(method.as_bytes(), target.as_bytes()), Err(fault), "{method} {target}");
        }
    }

    #[test]
    fn an_authority_is_a_host_and_an_optional_port() {
        for (authority, host) in [
            ("a.example", Some("a.example")),
            ("a.example:8080", Some("a.example")),
            ("a.example:", Some("a.example")),
            ("10.0.0.1:65535", Some("10.0.0.1")),
            ("[::1]:80", Some("[::1]")),
            ("", None),
            (":80", None),
            ("a, b", None),
            ("a@b", None),
            ("x:99999", None),
            ("x:+80", None),
            ("x:8a", None),
            ("[::1", None),
            ("[zz]", None),
            ("[::1]x", None),
            ("a b", None),
            ("a/b", None),
        ] {
            assert_eq!(host_of(authority.as_bytes()), host.map(str::as_bytes), "{authority:?}");
        }
    }
}
