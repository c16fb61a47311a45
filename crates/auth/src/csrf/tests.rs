use http::HeaderValue;
use proptest::prelude::*;

use super::*;

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    headers
}

fn judged(method: &Method, target: &str, pairs: &[(&str, &str)]) -> bool {
    is_same_origin(method, &target.parse().unwrap(), &headers(pairs))
}

#[test]
fn safe_methods_pass_and_unsafe_ones_are_judged() {
    let cross = [("host", "shop.example"), ("sec-fetch-site", "cross-site")];
    for (method, expected) in [
        (Method::GET, true),
        (Method::HEAD, true),
        (Method::OPTIONS, true),
        (Method::POST, false),
        (Method::PUT, false),
        (Method::PATCH, false),
        (Method::DELETE, false),
        (Method::CONNECT, false),
        (Method::from_bytes(b"BREW").unwrap(), false),
    ] {
        assert_eq!(judged(&method, "/", &cross), expected, "{method}");
    }
}

#[test]
fn a_websocket_is_judged_though_it_begins_with_get() {
    let upgrade = ("upgrade", "websocket");
    for (site, expected) in [("cross-site", false), ("same-site", false), ("same-origin", true)] {
        assert_eq!(judged(&Method::GET, "/ws", &[upgrade, ("sec-fetch-site", site)]), expected, "{site}");
    }
    let origin = |origin| [upgrade, ("host", "shop.example"), ("origin", origin)];
    assert!(judged(&Method::GET, "/ws", &origin("https://shop.example")));
    assert!(!judged(&Method::GET, "/ws", &origin("https://evil.example")));
}

#[test]
fn the_browser_s_own_word_comes_first() {
    let good = ("origin", "https://shop.example");
    let evil = ("origin", "https://evil.example");
    let host = ("host", "shop.example");
    for (pairs, expected) in [
        (&[host, ("sec-fetch-site", "same-origin"), good][..], true),
        (&[host, ("sec-fetch-site", "same-origin"), evil], true),
        (&[host, ("sec-fetch-site", "none")], true),
        (&[host, ("sec-fetch-site", "same-site"), good], false),
        (&[host, ("sec-fetch-site", "cross-site"), good], false),
        (&[host, ("sec-fetch-site", "Same-Origin"), good], false),
        (&[host, ("sec-fetch-site", ""), good], false),
        (&[host, ("sec-fetch-site", "same-origin, none")], false),
        (&[host, ("sec-fetch-site", "same-origin"), ("sec-fetch-site", "same-origin")], false),
        (&[host], true),
    ] {
        assert_eq!(judged(&Method::POST, "/", pairs), expected, "{pairs:?}");
    }
}

#[test]
fn an_origin_names_the_host_that_is_asked() {
    for (origin, host, expected) in [
        ("https://shop.example", "shop.example", true),
        ("http://shop.example", "shop.example", true),
        ("https://shop.example", "SHOP.example", true),
        ("https://shop.example", "shop.example:443", true),
        ("https://shop.example:443", "shop.example", true),
        ("http://shop.example", "shop.example:80", true),
        ("http://127.0.0.1:3000", "127.0.0.1:3000", true),
        ("http://[::1]:3000", "[::1]:3000", true),
        ("https://shop.example", "shop.example:80", false),
        ("https://shop.example", "shop.example:8443", false),
        ("https://shop.example:8443", "shop.example", false),
        ("http://127.0.0.1:3000", "127.0.0.1:3001", false),
        ("https://evil.example", "shop.example", false),
        ("https://www.shop.example", "shop.example", false),
        ("https://shop.example.evil.example", "shop.example", false),
        ("https://shop.example@evil.example", "shop.example", false),
        ("https://evil.example@shop.example", "shop.example", false),
        ("https://shop.example/", "shop.example", false),
        ("https://shop.example, https://shop.example", "shop.example", false),
        ("null", "null", false),
        ("", "", false),
        ("shop.example", "shop.example", false),
        ("file://shop.example", "shop.example", false),
        ("chrome-extension://shop.example", "shop.example", false),
    ] {
        let pairs = [("origin", origin), ("host", host)];
        assert_eq!(judged(&Method::POST, "/", &pairs), expected, "{origin} at {host}");
    }
    let twice = ("origin", "https://shop.example");
    assert!(!judged(&Method::POST, "/", &[twice, twice, ("host", "shop.example")]));
}

#[test]
fn the_host_is_the_one_that_a_gateway_passes_on() {
    let origin = ("origin", "https://shop.example");
    for (target, pairs, expected) in [
        ("/", &[origin, ("host", "10.0.0.7:3000"), ("x-forwarded-host", "shop.example")][..], true),
        ("/", &[origin, ("host", "shop.example"), ("x-forwarded-host", "other.example")], false),
        ("/", &[origin, ("x-forwarded-host", "shop.example, shop.example"), ("host", "shop.example")], false),
        ("/", &[origin, ("x-forwarded-host", "shop.example"), ("x-forwarded-host", "shop.example")], false),
        ("http://shop.example/", &[origin], true),
        ("http://other.example/", &[origin], false),
        ("/", &[origin], false),
    ] {
        assert_eq!(judged(&Method::POST, target, pairs), expected, "{target} {pairs:?}");
    }
}

proptest! {
    #[test]
    fn only_the_same_host_passes_with_an_origin(
        origin in prop::collection::vec(any::<u8>(), 0..40), host in "[a-z0-9.:@/\\[\\]-]{0,30}",
    ) {
        let (Ok(origin), Ok(host)) = (HeaderValue::from_bytes(&origin), HeaderValue::from_str(&host)) else {
            return Ok(());
        };
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, origin.clone());
        headers.insert(header::HOST, host.clone());
        if is_same_origin(&Method::POST, &Uri::from_static("/"), &headers) {
            let origin = origin.to_str().unwrap();
            let bare = host.to_str().unwrap().split(':').next().unwrap();
            prop_assert!(origin.starts_with("http") && origin.contains(bare), "{} {:?}", origin, host);
        }
    }
}
