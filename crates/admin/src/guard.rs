//! Refuses requests that a web page made, not a program of this machine.
//!
//! A browser lets any page send requests to 127.0.0.1. If the page's own name is rebound to that address, `Host` carries
//! that name; if the page asks across origins, `Origin` carries the page's. Both end here, before any route.

use std::net::IpAddr;

use axum::{
    extract::Request,
    http::{
        HeaderMap, HeaderName, StatusCode,
        header::{HOST, ORIGIN},
        uri::Authority,
    },
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use crate::problem::Problem;

/// Middleware: lets through what names this machine and comes from no other origin.
pub(crate) async fn refuse_foreign(request: Request, next: Next) -> Response {
    match judge(&request) {
        Ok(()) => next.run(request).await,
        Err(foreign) => foreign.problem().into_response(),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Foreign {
    Host,
    Origin,
}

impl Foreign {
    fn problem(self) -> Problem {
        let (error, detail) = match self {
            Self::Host => (
                "Foreign host",
                "The admin API answers to 127.0.0.1, [::1] and localhost only: a Host that names anything else may be \
                 a web page whose name was rebound to this machine.",
            ),
            Self::Origin => (
                "Foreign origin",
                "The admin API answers no requests that a web page of another origin makes.",
            ),
        };
        Problem::new(StatusCode::FORBIDDEN, error, detail)
    }
}

fn judge(request: &Request) -> Result<(), Foreign> {
    let host: Authority =
        only(request.headers(), &HOST).and_then(|host| host.parse().ok()).ok_or(Foreign::Host)?;
    if !is_loopback(&host) || request.uri().authority().is_some_and(|target| *target != host) {
        return Err(Foreign::Host);
    }
    if request.headers().contains_key(ORIGIN) {
        // Another port of this machine is another origin too: whatever serves a page there is not this API.
        let own = only(request.headers(), &ORIGIN)
            .and_then(|origin| origin.strip_prefix("http://"))
            .is_some_and(|origin| host == origin);
        return if own { Ok(()) } else { Err(Foreign::Origin) };
    }
    Ok(())
}

/// The value of a header that came once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

fn is_loopback(host: &Authority) -> bool {
    let name = host.host();
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    // An authority may carry `user@`, which no Host of an honest client has.
    !host.as_str().contains('@')
        && (name.eq_ignore_ascii_case("localhost")
            || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()))
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request as HttpRequest};

    use super::*;

    fn judged(target: &str, headers: &[(HeaderName, &str)]) -> Result<(), Foreign> {
        let mut request = HttpRequest::builder().uri(target);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        judge(&request.body(Body::empty()).unwrap())
    }

    #[test]
    fn only_names_of_this_machine_are_answered() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:9900",
            "[::1]",
            "[::1]:9900",
            "localhost",
            "LocalHost:1",
            "127.0.0.2:9900",
        ] {
            assert_eq!(judged("/", &[(HOST, host)]), Ok(()), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:9900",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.1@evil.example",
            "evil.example@127.0.0.1",
            "localhost:9900@evil.example",
            "127.1",
            "0.0.0.0:9900",
            "10.0.0.1",
            "::1",
            "[::2]",
            "localhost/",
        ] {
            assert_eq!(judged("/", &[(HOST, host)]), Err(Foreign::Host), "{host}");
        }
    }

    #[test]
    fn a_host_that_is_not_unmistakable_is_refused() {
        assert_eq!(judged("/", &[]), Err(Foreign::Host));
        assert_eq!(judged("/", &[(HOST, "localhost"), (HOST, "localhost")]), Err(Foreign::Host));
        assert_eq!(judged("http://evil.example/", &[(HOST, "localhost")]), Err(Foreign::Host));
        assert_eq!(judged("http://localhost/", &[(HOST, "localhost")]), Ok(()));
    }

    #[test]
    fn only_the_own_origin_is_answered() {
        let from = |origin| judged("/", &[(HOST, "localhost:9900"), (ORIGIN, origin)]);
        assert_eq!(from("http://localhost:9900"), Ok(()));
        for origin in [
            "null",
            "",
            "http://evil.example",
            "http://localhost",
            "http://localhost:3000",
            "https://localhost:9900",
            "http://127.0.0.1:9900",
            "http://localhost:9900.evil.example",
        ] {
            assert_eq!(from(origin), Err(Foreign::Origin), "{origin}");
        }
        let twice = [(HOST, "localhost"), (ORIGIN, "http://localhost"), (ORIGIN, "http://evil.example")];
        assert_eq!(judged("/", &twice), Err(Foreign::Origin));
    }
}
