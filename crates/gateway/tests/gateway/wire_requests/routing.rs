//! Which route takes a request, and what a route answers by itself.

use super::{answered, check_behind, passed, request};
use crate::support::{Message, Recorder, Reply, Setup, forwarded, ok};

/// Routes that tell in their body which one answered.
const ROUTES: &str = r#"
[[route]]
path = "/v1"
respond = { body = "v1" }

[[route]]
path = "/v1/deep/"
respond = { body = "deep" }

[[route]]
path_exact = "/v1/deep/exact"
respond = { body = "exact" }

[[route]]
host = "api.example.com"
path = "/v1"
respond = { body = "host v1" }

[[route]]
host = "*.example.com"
path = "/v1"
respond = { body = "wildcard v1" }

[[route]]
host = "api.example.com"
path = "/only-here"
respond = { body = "host only" }
"#;

#[tokio::test]
async fn the_longest_path_wins_and_then_the_more_exact_host() {
    let origin = Recorder::start().await;
    let gateway = Setup::fronting(&[origin.address()]).tables(ROUTES).start();
    let mut client = gateway.connect().await;
    for (host, path, expected) in [
        ("a", "/", "hello"),
        ("a", "/v1", "v1"),
        ("a", "/v1/x?y", "v1"),
        ("a", "/v1x", "hello"),
        ("a", "/v1/deep", "v1"),
        ("a", "/v1/deep/", "deep"),
        ("a", "/v1/deep/x/../y", "deep"),
        ("a", "/v1/deep/..", "v1"),
        ("a", "/v1/deep/exact", "exact"),
        ("a", "/v1/deep/exact/", "deep"),
        ("api.example.com", "/v1", "host v1"),
        ("API.Example.COM:8080", "/v1", "host v1"),
        ("api.example.com.", "/v1", "host v1"),
        ("api.example.com.:80", "/v1", "host v1"),
        ("api.example.com..", "/v1", "v1"),
        ("b.example.com.", "/v1", "wildcard v1"),
        ("api.example.com", "/v1/deep/", "deep"),
        ("b.example.com", "/v1", "wildcard v1"),
        ("c.b.example.com", "/v1", "wildcard v1"),
        ("example.com", "/v1", "v1"),
        (".example.com", "/v1", "v1"),
        ("badexample.com", "/v1", "v1"),
        ("api.example.com", "/only-here", "host only"),
        ("a", "/only-here", "hello"),
        ("[::1]:80", "/v1", "v1"),
    ] {
        let answer = client.exchange(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert_eq!((answer.status(), answer.text()), (200, expected), "{host}{path}");
    }
    // The target names the host, whatever the field says.
    let absolute = "GET http://api.example.com/v1 HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(client.exchange(absolute).await.text(), "host v1");
}

/// Routes of one host, which leave the rest without one.
fn setup_of_one_host(origin: &Recorder) -> Setup {
    Setup::fronting(&[origin.address()]).route("host = \"a\"\nmethods = [\"GET\", \"BREW\"]")
}

#[tokio::test]
async fn a_host_without_a_route_is_not_found() {
    let at = |host: &str| format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    check_behind(setup_of_one_host, [answered("H09", at("b"), 404), answered("H09", at("a.b"), 404)]).await;
}

#[tokio::test]
async fn a_route_takes_the_methods_it_names_and_tells_them_to_others() {
    let brewed = Message::new(forwarded("BREW /", "a", "", ""), "");
    check_behind(
        setup_of_one_host,
        [
            passed("T08", request("BREW /", "", ""), brewed),
            answered("T08", request("POST /", "", ""), 405),
            answered("T08", request("get /", "", ""), 405),
        ],
    )
    .await;

    let origin = Recorder::start().await;
    let gateway = setup_of_one_host(&origin).start();
    let refused = gateway.exchange(request("POST /", "", "")).await;
    assert_eq!(refused.field("allow"), Some("GET, BREW"));
}

/// RFC 9110, section 15.5.6.
#[tokio::test]
async fn every_405_tells_what_is_allowed() {
    let origin = Recorder::start().await;
    let gateway = Setup::fronting(&[origin.address()]).start();
    for line in ["CONNECT a:443", "TRACE /"] {
        let refused = gateway.exchange(request(line, "", "")).await;
        let allowed = refused.field("allow");
        assert_eq!((refused.status(), allowed), (405, Some("GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS")));
    }
}

const RESPONDING: &str = r#"
[[route]]
path_exact = "/health"
respond = { body = "healthy\n" }

[[route]]
path_exact = "/gone"
respond = { status = 410, body = "gone" }

[[route]]
path_exact = "/nothing"
respond = { status = 204 }

[[route]]
path_exact = "/unmodified"
respond = { status = 304 }
"#;

#[tokio::test]
async fn a_route_that_responds_needs_no_origin() {
    let origin = Recorder::start().await;
    let gateway = Setup::fronting(&[origin.address()]).tables(RESPONDING).start();
    let mut client = gateway.connect().await;

    let healthy = client.exchange(request("GET /health", "", "")).await;
    assert_eq!((healthy.status(), healthy.text()), (200, "healthy\n"));
    assert_eq!(healthy.field("content-type"), Some("text/plain; charset=utf-8"));
    assert!(healthy.field("date").is_some_and(|date| date.ends_with(" GMT")), "{healthy:?}");

    client.send(request("HEAD /health", "", "")).await;
    let head = client.head().await;
    assert_eq!((head.status(), head.field("content-length")), (200, Some("8")));

    let gone = client.exchange(request("DELETE /gone", "", "")).await;
    assert_eq!((gone.status(), gone.text()), (410, "gone"));

    let with_body = client.exchange(request("POST /health", "Content-Length: 5\r\n", "hello")).await;
    assert_eq!((with_body.status(), with_body.closes()), (200, false));
    assert_eq!(client.exchange(request("GET /health", "", "")).await.status(), 200);
    assert_eq!(origin.connections(), 0);
}

/// RFC 9110, sections 8.6 and 15.4.5: 204 has no length, and that of a 304 would be the length of what was not sent.
#[tokio::test]
async fn a_configured_answer_without_content_has_no_length() {
    let origin = Recorder::start().await;
    let gateway = Setup::fronting(&[origin.address()]).tables(RESPONDING).start();
    let mut client = gateway.connect().await;
    for (path, status) in [("/nothing", 204), ("/unmodified", 304)] {
        let answer = client.exchange(request(&format!("GET {path}"), "", "")).await;
        assert_eq!((answer.status(), answer.field("content-length")), (status, None));
        assert_eq!(answer.field("content-type"), None);
    }
}

#[tokio::test]
async fn each_service_gets_the_requests_of_its_routes() {
    let api = Recorder::answering(|_| Reply::Send(ok("api"))).await;
    let web = Recorder::answering(|_| Reply::Send(ok("web"))).await;
    let tables = format!(
        "[[route]]\npath = \"/web\"\nservice = \"web\"\n[service.web]\nendpoints = [{{ address = \"{}\" }}]",
        web.address()
    );
    let gateway = Setup::fronting(&[api.address()]).tables(&tables).start();
    let mut client = gateway.connect().await;
    assert_eq!(client.exchange(request("GET /web/x", "", "")).await.text(), "web");
    assert_eq!(client.exchange(request("GET /webx", "", "")).await.text(), "api");
    assert_eq!(web.start_lines(), ["GET /web/x HTTP/1.1"]);
    assert_eq!(api.start_lines(), ["GET /webx HTTP/1.1"]);
}
