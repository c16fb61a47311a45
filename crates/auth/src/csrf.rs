//! Whether a request that a cookie vouches for comes from this service's own pages.
//!
//! A browser sends the cookie along with what other sites make it send. It also says whose page that was: in `Sec-Fetch-Site`, or as an
//! older one, or one without TLS, in `Origin`. Neither can be set by a page.
//! Elsewhere: requests with a bearer token need none of this, since no browser adds that by itself.

#[cfg(test)]
mod tests;

use http::{HeaderMap, HeaderName, Method, Uri, header, uri::Authority};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Whether a request may be done for the sake of a cookie.
///
/// * A safe method may, unless it opens a WebSocket: what comes over that is the request proper, and its answers can be read.
/// * Else `Sec-Fetch-Site` decides: `same-origin`, or `none` for what the user himself typed. A page of the same site may be somebody
///   else's: `same-site` is refused.
/// * Else `Origin` decides, which has to name the host that the request is for. Schemes are not compared, for TLS may end at a
///   gateway before; ports are, and one that is missing is that of the scheme of the origin. The host is `X-Forwarded-Host`, as a
///   gateway passes it on, else `Host` or the authority of HTTP/2. A page cannot set the former on a request of another site, for a
///   browser asks first whether it may.
/// * Without both it is no browser: all that are in use send `Origin` with an unsafe method. A program that has the cookie was given
///   it, and may use it.
///
/// ```
/// # use http::{HeaderMap, Method, Uri, header::{HOST, ORIGIN}};
/// let mut headers = HeaderMap::new();
/// headers.insert(HOST, "shop.example".parse().unwrap());
/// headers.insert(ORIGIN, "https://evil.example".parse().unwrap());
/// assert!(!phalanx_auth::csrf::is_same_origin(&Method::POST, &Uri::from_static("/cart"), &headers));
/// ```
#[must_use]
pub fn is_same_origin(method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
    if method.is_safe() && !headers.contains_key(header::UPGRADE) {
        return true;
    }
    if headers.contains_key(SEC_FETCH_SITE) {
        return matches!(only(headers, &SEC_FETCH_SITE), Some("same-origin" | "none"));
    }
    if !headers.contains_key(header::ORIGIN) {
        return true;
    }
    let origin = only(headers, &header::ORIGIN).and_then(Place::of_origin);
    let host = if headers.contains_key(X_FORWARDED_HOST) {
        only(headers, &X_FORWARDED_HOST).and_then(|text| text.parse().ok())
    } else if headers.contains_key(header::HOST) {
        only(headers, &header::HOST).and_then(|text| text.parse().ok())
    } else {
        uri.authority().cloned()
    };
    match (origin, host) {
        (Some(origin), Some(host)) => origin.is(&host),
        _ => false,
    }
}

/// The value of a header that came once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    value.to_str().ok()
}

/// Where a page came from.
struct Place {
    authority: Authority,
    /// That of its scheme.
    default_port: u16,
}

impl Place {
    /// RFC 6454, section 7: `scheme://host[:port]` and nothing behind it, or `null`, which is nobody's.
    fn of_origin(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let default_port = match scheme {
            "https" => 443,
            "http" => 80,
            _ => return None,
        };
        Some(Self { authority: authority.parse().ok()?, default_port })
    }

    fn is(&self, host: &Authority) -> bool {
        let port = |authority: &Authority| authority.port_u16().unwrap_or(self.default_port);
        let has_user = |authority: &Authority| authority.as_str().contains('@');
        self.authority.host().eq_ignore_ascii_case(host.host())
            && port(&self.authority) == port(host)
            && !has_user(&self.authority)
            && !has_user(host)
    }
}
