//! Cookies that hold what a browser proves itself with (RFC 6265, and the prefixes of its successor).
//!
//! A [`HostCookie`] is `__Host-` by name: a browser takes it from this host alone, over TLS, for all paths, so neither another
//! subdomain nor somebody on the way can plant one. It is out of reach for scripts, and comes along with another site's links but not
//! with its forms.
//! Elsewhere: what a request that a cookie vouches for needs besides (`csrf`); what is in the cookie (the service).
//! How it fails: a request with two such cookies has none, since nobody can say which the browser would have meant.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};

/// What a browser demands of the name of a cookie that is bound to its host.
const PREFIX: &str = "__Host-";

/// A value longer than this is refused; browsers drop a cookie of more than 4096 bytes with its name and attributes.
pub const COOKIE_VALUE_BYTES_MAX: usize = 3072;

/// The name of a cookie that is bound to its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostCookie {
    name: &'static str,
}

/// A text that cannot be the value of a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a cookie takes at most {COOKIE_VALUE_BYTES_MAX} visible ASCII characters, none of them a quote, comma, semicolon or backslash"
)]
pub struct CookieValueError;

impl HostCookie {
    /// A cookie of this name, prefix and all.
    ///
    /// ```
    /// # use phalanx_auth::cookies::HostCookie;
    /// const SESSION: HostCookie = HostCookie::new("__Host-session");
    /// let set = SESSION.set("7.secret", std::time::Duration::from_secs(60)).expect("it is plain");
    /// assert_eq!(set, "__Host-session=7.secret; Path=/; Max-Age=60; Secure; HttpOnly; SameSite=Lax");
    /// ```
    ///
    /// # Panics
    /// When the name does not begin with `__Host-` and go on with letters, digits, `-` and `_`; in a constant, while compiling.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        let (bytes, prefix) = (name.as_bytes(), PREFIX.as_bytes());
        assert!(bytes.len() > prefix.len(), "the name is too short");
        let mut at = 0;
        while at < bytes.len() {
            if at < prefix.len() {
                assert!(bytes[at] == prefix[at], "the name has another prefix");
            }
            assert!(
                bytes[at].is_ascii_alphanumeric() || matches!(bytes[at], b'-' | b'_'),
                "the name is no token"
            );
            at += 1;
        }
        Self { name }
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// The `Set-Cookie` that gives a browser this value for `max_age`, which counts in whole seconds.
    ///
    /// # Errors
    /// When the value has characters that a cookie cannot have, or too many.
    pub fn set(self, value: &str, max_age: Duration) -> Result<HeaderValue, CookieValueError> {
        if !is_value(value.as_bytes()) {
            return Err(CookieValueError);
        }
        Ok(self.header(value, max_age))
    }

    /// The `Set-Cookie` that takes it away.
    #[must_use]
    pub fn clear(self) -> HeaderValue {
        self.header("", Duration::ZERO)
    }

    /// Its value in a request. One that comes twice, or with characters that were never in it, is none.
    #[must_use]
    pub fn find(self, headers: &HeaderMap) -> Option<&str> {
        // HTTP/2 may divide cookies over several headers (RFC 9113, section 8.2.3).
        let pairs = headers
            .get_all(header::COOKIE)
            .into_iter()
            .flat_map(|header| header.as_bytes().split(|byte| *byte == b';'))
            .filter_map(|pair| split_once(pair.trim_ascii()));
        let mut found = pairs.filter(|(name, _)| *name == self.name.as_bytes()).map(|(_, value)| value);
        let (value, None) = (found.next()?, found.next()) else { return None };
        std::str::from_utf8(value).ok().filter(|value| is_value(value.as_bytes()))
    }

    fn header(self, value: &str, max_age: Duration) -> HeaderValue {
        let (name, seconds) = (self.name, max_age.as_secs());
        let text = format!("{name}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax");
        HeaderValue::from_str(&text).expect("name and value are visible ASCII")
    }
}

fn split_once(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = pair.iter().position(|byte| *byte == b'=')?;
    Some((&pair[..at], &pair[at + 1..]))
}

/// RFC 6265, section 4.1.1: `cookie-octet`s.
fn is_value(value: &[u8]) -> bool {
    value.len() <= COOKIE_VALUE_BYTES_MAX
        && value.iter().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SESSION: HostCookie = HostCookie::new("__Host-session");

    fn headers(values: &[&str]) -> HeaderMap {
        values
            .iter()
            .map(|value| (header::COOKIE, HeaderValue::from_bytes(value.as_bytes()).unwrap()))
            .collect()
    }

    #[test]
    fn a_cookie_is_set_and_cleared_with_all_that_its_prefix_demands() {
        let week = Duration::from_secs(7 * 24 * 60 * 60);
        let attributes = |age| format!("Path=/; Max-Age={age}; Secure; HttpOnly; SameSite=Lax");
        assert_eq!(
            SESSION.set("7.Ab-_", week).unwrap(),
            format!("__Host-session=7.Ab-_; {}", attributes(604_800))
        );
        assert_eq!(SESSION.clear(), format!("__Host-session=; {}", attributes(0)));
        let long = "x".repeat(COOKIE_VALUE_BYTES_MAX);
        assert!(SESSION.set(&long, week).is_ok());
        for value in
            ["a b", "a;b", "a,b", "a\"", "a\\", "ä", "a\r\nSet-Cookie: x=y", "\0", &format!("{long}x")]
        {
            assert_eq!(SESSION.set(value, week), Err(CookieValueError), "{value:?}");
        }
    }

    #[test]
    fn a_cookie_is_found_once_and_by_its_whole_name() {
        let cases: &[(&[&str], Option<&str>)] = &[
            (&[], None),
            (&[""], None),
            (&[";;;=;"], None),
            (&["__Host-session=7.x"], Some("7.x")),
            (&["__Host-session="], Some("")),
            (&["__Host-session=a=b=="], Some("a=b==")),
            (&["theme=dark; __Host-session=7.x; tracking=1"], Some("7.x")),
            (&["theme=dark;__Host-session=7.x ;tracking=1"], Some("7.x")),
            (&["theme=dark", "__Host-session=7.x"], Some("7.x")),
            (&["unrelated=größe; __Host-session=7.x"], Some("7.x")),
            (&["__Host-session=7.x; __Host-session=7.x"], None),
            (&["__Host-session=7.x", "__Host-session=8.y"], None),
            (&["__Host-session"], None),
            (&["session=7.x"], None),
            (&["__host-session=7.x"], None),
            (&["__Host-session2=7.x"], None),
            (&["x__Host-session=7.x"], None),
            (&["__Host-session =7.x"], None),
            (&["theme=__Host-session=7.x"], None),
            (&["__Host-session=\"7.x\""], None),
            (&["__Host-session=7 x"], None),
            (&["__Host-session=ü"], None),
        ];
        for (values, expected) in cases {
            assert_eq!(SESSION.find(&headers(values)), *expected, "{values:?}");
        }
        let long = format!("__Host-session={}", "x".repeat(COOKIE_VALUE_BYTES_MAX + 1));
        assert_eq!(SESSION.find(&headers(&[&long])), None);
    }

    #[test]
    fn a_name_without_the_prefix_is_refused() {
        for name in
            ["session", "__Host-", "__host-session", "__Secure-session", "__Host-a b", "__Host-a=b", ""]
        {
            assert!(std::panic::catch_unwind(|| HostCookie::new(name)).is_err(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn what_was_set_is_found_again(value in "[!#-+\\--:<-\\[\\]-~]{0,80}", others in "[a-z=; ]{0,40}") {
            let set = SESSION.set(&value, Duration::from_secs(1)).unwrap();
            let pair = set.to_str().unwrap().split_once(';').unwrap().0.to_owned();
            let sent = headers(&[&format!("{others}; {pair}")]);
            prop_assert_eq!(SESSION.find(&sent), Some(value.as_str()));
        }

        #[test]
        fn no_header_is_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let mut headers = HeaderMap::new();
                headers.insert(header::COOKIE, value);
                let _ = SESSION.find(&headers);
            }
        }
    }
}
