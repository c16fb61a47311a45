//! The request target and the method.

use super::{Case, answered, check, check_behind, passed, refused, request};
use crate::support::{Message, Recorder, Setup, forwarded};

fn passed_as(id: &'static str, target: &str, forwarded_target: &str) -> Case {
    let expected = Message::new(forwarded(&format!("GET {forwarded_target}"), "a", "", ""), "");
    passed(id, request(&format!("GET {target}"), "", ""), expected)
}

#[tokio::test]
async fn a_path_is_forwarded_in_the_one_form_that_it_was_routed_in() {
    check([
        passed_as("T02", "/a/../admin", "/admin"),
        passed_as("T02", "/a/%2e%2e/admin", "/admin"),
        passed_as("T02", "/a//admin", "/a/admin"),
        passed_as("T02", "/a/.;/admin", "/a/admin"),
        passed_as("T02", "/../../etc?q=/../x", "/etc?q=/../x"),
        passed_as("T03", "/a%2fb%5c%3B%25%23%3f", "/a%2Fb%5C%3B%25%23%3F"),
        passed_as("T03", "/caf%c3%a9/%41", "/caf%C3%A9/A"),
        passed_as("T06", "HTTP://a?q", "/?q"),
    ])
    .await;
}

#[tokio::test]
async fn a_target_that_two_parsers_could_read_differently_is_refused() {
    let targets = [
        ("T04", "/%00"),
        ("T04", "/%zz"),
        ("T04", "/%"),
        ("T04", "/%c0%af"),
        ("T04", "/\u{e9}"),
        ("T04", "/?\u{e9}"),
        ("T04", "/\u{1}"),
        ("T04", "/\u{7f}"),
        ("T05", "/a#fragment"),
        ("T06", "admin"),
        ("T06", "*"),
        ("T06", "ftp://a/"),
        ("T06", "http://u@a/"),
        ("T06", "http:///a"),
    ];
    check(targets.map(|(id, target)| refused(id, request(&format!("GET {target}"), "", ""), 400))).await;
}

#[tokio::test]
async fn a_method_decides_which_targets_it_may_have() {
    check([
        answered("T06", request("OPTIONS *", "", ""), 204),
        refused("T06", request("OPTIONS */x", "", ""), 400),
        refused("T06", request("CONNECT /", "", ""), 400),
        refused("T06", request("CONNECT host", "", ""), 400),
        refused("T07", request("CONNECT host:443", "", ""), 405),
        refused("T07", request("TRACE /", "", ""), 405),
        refused("T07", request("TRACE http://a/", "", ""), 405),
        refused("T09", request("G=\":<>(e) /", "", ""), 400),
        refused("T09", request("G\u{e9}T /", "", ""), 400),
        answered("T08", request("BREW /", "", ""), 501),
        answered("T09", request("get /", "", ""), 501),
    ])
    .await;
}

#[tokio::test]
async fn a_request_line_is_three_words_and_a_known_version() {
    let after = "\r\nHost: a\r\n\r\n";
    check([
        refused("T06", format!("GET  / HTTP/1.1{after}"), 400),
        refused("T06", format!("GET / HTTP/1.1 {after}"), 400),
        refused("T06", format!("GET / a HTTP/1.1{after}"), 400),
        refused("T06", format!("GET /{after}"), 400),
        refused("T06", format!("GET / HTTP/1.2{after}"), 505),
        refused("T11", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(20), 400),
        refused("T12", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        refused("T12", b"\x00\x01\x02\x03\r\n\r\n", 400),
        refused("T12", b"SSH-2.0-OpenSSH_9.2\r\n\r\n", 400),
    ])
    .await;
}

/// What a request is made of.
const LIKELY_BYTES: &[u8] = b"GET /:?%\r\n\r\n\tHost1.0\xff\x16";

#[tokio::test]
async fn noise_is_refused_or_ignored_and_harms_nobody() {
    let origin = Recorder::start().await;
    let gateway = Setup::fronting(&[origin.address()]).start();
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut noise = vec![0; random.usize(0..400)];
        random.fill(&mut noise);
        if seed % 2 == 0 {
            for byte in &mut noise {
                *byte = LIKELY_BYTES[usize::from(*byte) % LIKELY_BYTES.len()];
            }
        }
        let mut client = gateway.connect().await;
        // The gateway may have refused it before its end.
        let _ = client.try_send(&noise).await;
        let _ = client.try_send_end().await;
        while let Ok(answer) = client.try_response().await {
            assert!((400..600).contains(&answer.status()), "seed {seed}: {answer:?}");
        }
    }
    assert_eq!(gateway.exchange(request("GET /", "", "")).await.status(), 200);
    assert_eq!(origin.start_lines(), ["GET / HTTP/1.1"]);
}

const ENCODED_ROUTES: &str = r#"
[[route]]
path = "/api/"
service = "api"

[[route]]
path = "/files/"
service = "api"
allow_encoded = ["%2f"]
"#;

#[tokio::test]
async fn a_hidden_separator_passes_only_where_it_is_allowed() {
    let hidden = |id, path: &str| answered(id, request(&format!("GET {path}"), "", ""), 400);
    check_behind(
        |origin| Setup::fronting(&[origin.address()]).tables(ENCODED_ROUTES),
        [
            hidden("T03", "/api/a%2Fb"),
            hidden("T03", "/api/a%5cb"),
            hidden("T03", "/api/a\\b"),
            hidden("T03", "/api/a%3bb"),
            hidden("T03", "/api/a%252fb"),
            hidden("T03", "/api/a%23b"),
            hidden("T03", "/api/a%3fb"),
            hidden("T03", "/files/a%5Cb"),
            passed_as("T03", "/files/a%2fb", "/files/a%2Fb"),
            passed_as("T03", "/files/..%2fadmin", "/files/..%2Fadmin"),
            passed_as("T03", "/a%2fb", "/a%2Fb"),
            passed_as("T03", "/api/a?b=%2F", "/api/a?b=%2F"),
        ],
    )
    .await;
}
