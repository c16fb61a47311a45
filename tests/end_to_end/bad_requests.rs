//! Requests that are wrong, through the gateway to the reference API: each has its status, and is told as a problem document.

use serde_json::{Value, json};

use crate::{
    accounts::registering,
    support::{
        http::{exchange, getting, posting},
        phalanx::{Phalanx, file, puppets, reference_api},
    },
};

const REGISTER: &str = "/api/auth/register";
const LOGIN: &str = "/api/auth/login";

#[test]
fn each_wrong_request_has_its_status() {
    let phalanx = Phalanx::up(&file(&reference_api()));
    assert_eq!(phalanx.exchange(&registering("ada@example.com")).status, 201);
    let body = |password: &str| {
        json!({ "email": "bob@example.com", "password": password, "name": "Bob" }).to_string()
    };
    let megabyte = body(&"x".repeat(1 << 20));
    let cases = [
        ("bad JSON", posting(REGISTER, "{\"email\":"), 400),
        ("no JSON at all", posting(REGISTER, ""), 400),
        ("a member twice", posting(LOGIN, r#"{"email":"a","email":"b","password":"c"}"#), 400),
        ("missing fields", posting(REGISTER, "{}"), 422),
        ("a wrong type", posting(REGISTER, r#"{"email":1,"password":["x"],"name":null}"#), 422),
        ("no object", posting(LOGIN, "[]"), 422),
        ("an unknown field", posting(LOGIN, r#"{"email":"a@b.c","password":"x","admin":true}"#), 422),
        ("a short password", posting(REGISTER, body("x")), 422),
        ("a password of 1 MB", posting(REGISTER, &megabyte), 413),
        ("a password of 1 MB, in chunks", chunked(REGISTER, &megabyte), 413),
        ("a duplicate e-mail", registering("ada@example.com"), 409),
        ("a duplicate e-mail, spelt otherwise", registering("ADA@example.com"), 409),
        ("another content type", retyped("text/plain"), 415),
        ("a form", retyped("application/x-www-form-urlencoded"), 415),
        ("a wrong password", posting(LOGIN, r#"{"email":"ada@example.com","password":"wrong"}"#), 401),
        ("an unknown account", posting(LOGIN, r#"{"email":"eve@example.com","password":"wrong"}"#), 401),
        ("another method", getting(REGISTER), 405),
        ("an unknown path", getting("/api/nothing"), 404),
        ("an unknown user", getting("/api/users/1"), 404),
    ];
    for (what, request, status) in cases {
        let answer = phalanx.exchange(&request);
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        answer.problem();
        assert!(answer.header("x-phalanx-instance").is_some(), "{what}: {answer:?}");
    }
    phalanx.stop();
}

#[test]
fn every_wrong_field_is_told_at_once() {
    let phalanx = Phalanx::up(&file(&reference_api()));
    let answer = phalanx.exchange(&posting(REGISTER, r#"{"email":"ada","password":7,"role":"admin"}"#));
    let errors = answer.json()["errors"].clone();
    let pointers: Vec<&Value> = errors.as_array().unwrap().iter().map(|error| &error["pointer"]).collect();
    assert_eq!(pointers, ["/email", "/name", "/password", "/role"]);
    phalanx.stop();
}

#[test]
fn what_is_no_http_is_refused_and_reaches_no_replica() {
    let phalanx = Phalanx::up(&file(&reference_api()));
    for (what, request, status) in [
        ("no Host", "GET /health HTTP/1.1\r\n\r\n", 400),
        ("two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (
            "a length and chunks",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        ("another version", "GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
        ("a tunnel", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 405),
    ] {
        let answer = phalanx.exchange(request.as_bytes());
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        answer.problem();
        assert_eq!(answer.header("x-phalanx-instance"), None, "{what}: {answer:?}");
    }
    assert_eq!(phalanx.endpoints().iter().map(|endpoint| endpoint.requests).sum::<u64>(), 0);
    phalanx.stop();
}

#[test]
fn a_web_page_cannot_read_the_admin_api() {
    let phalanx = Phalanx::up(&file(&puppets(1)));
    for (what, fields) in [
        ("a rebound name", "Host: evil.example\r\n"),
        ("another origin", "Host: localhost\r\nOrigin: https://evil.example\r\n"),
    ] {
        for path in ["/v1/state", "/metrics", "/"] {
            let request = format!("GET {path} HTTP/1.1\r\n{fields}\r\n");
            let answer = exchange(phalanx.admin, request.as_bytes());
            assert_eq!(answer.status, 403, "{what}: {answer:?}");
            answer.problem();
        }
    }
    phalanx.stop();
}

fn retyped(content_type: &str) -> Vec<u8> {
    let request = String::from_utf8(registering("bob@example.com")).unwrap();
    request.replace("application/json", content_type).into_bytes()
}

fn chunked(target: &str, body: &str) -> Vec<u8> {
    let head = "Host: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    format!("POST {target} HTTP/1.1\r\n{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).into_bytes()
}
