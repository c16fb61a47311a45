//! What is read: state, metrics, health, and what the client makes of it.

use std::{
    error::Error as _,
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    thread,
};

use phalanx_admin::{
    Readiness, Source as _,
    client::{Client, ClientError},
    state::State,
};

use crate::running::{Running, Telling};

#[test]
fn every_route_answers() {
    let admin = Running::start();
    for (path, content_type, body) in [
        ("/", "text/plain", "/v1/state"),
        ("/metrics", "application/openmetrics-text; version=1.0.0", "# EOF\n"),
        ("/v1/state", "application/json", r#""version":"0.1.0""#),
        ("/livez", "text/plain", "ok"),
        ("/readyz", "application/json", r#""ready":true"#),
    ] {
        let (head, answered) = admin.get(path);
        assert!(head.starts_with("http/1.1 200 "), "{path}: {head}");
        assert!(head.contains(&format!("content-type: {content_type}")), "{path}: {head}");
        assert!(answered.contains(body), "{path}: {answered}");
    }
}

#[test]
fn readiness_gives_its_reasons() {
    let reasons = vec!["service `api` has no serving replica".to_owned()];
    let admin = Running::start_with(Telling::of(Readiness::NotReady { reasons }));
    let (head, body) = admin.get("/readyz");
    assert!(head.starts_with("http/1.1 503 "), "{head}");
    assert_eq!(body, r#"{"ready":false,"reasons":["service `api` has no serving replica"]}"#);
    assert!(admin.get("/livez").0.starts_with("http/1.1 200 "));
}

#[test]
fn a_head_request_gets_no_body() {
    let (head, body) = Running::start().ask("HEAD", "/metrics", "Host: localhost\r\n");
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert_eq!(body, "");
}

#[test]
fn what_is_refused_says_why() {
    let admin = Running::start();
    let host = "Host: localhost\r\n";
    for (method, path, headers, status, error) in [
        ("GET", "/nothing", host, 404, "Not found"),
        ("GET", "/metrics/", host, 404, "Not found"),
        ("POST", "/metrics", host, 405, "Method not allowed"),
        ("DELETE", "/", host, 405, "Method not allowed"),
        ("GET", "/metrics", "Host: evil.example\r\n", 403, "Foreign host"),
        ("GET", "/nothing", "Host: evil.example\r\n", 403, "Foreign host"),
        ("GET", "/metrics", "", 403, "Foreign host"),
        ("POST", "/metrics", "Host: localhost\r\nOrigin: http://evil.example\r\n", 403, "Foreign origin"),
    ] {
        let case = format!("{method} {path} {headers:?}");
        let (head, body) = admin.ask(method, path, headers);
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{case}: {head}");
        assert!(head.contains("content-type: application/problem+json"), "{case}: {head}");
        assert!(status != 405 || head.contains("allow: get,head"), "{case}: {head}");
        let problem: serde_json::Value = serde_json::from_str(&body).expect("a problem is JSON");
        assert_eq!((&problem["status"], &problem["error"]), (&status.into(), &error.into()), "{case}");
    }
}

/// Asks on a connection that stays open, and reads the beginning of the answer.
fn ask_and_stay(stream: &mut TcpStream) {
    stream.write_all(b"HEAD /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("the request can be sent");
    expect_answer(stream);
}

fn expect_answer(stream: &mut TcpStream) {
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("the answer comes");
        answer.extend(byte);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
}

#[test]
fn connections_beyond_the_limit_wait_for_a_place() {
    let admin = Running::start();
    let mut open: Vec<TcpStream> = (0..256).map(|_| admin.connect()).collect();
    open.iter_mut().for_each(ask_and_stay);

    let mut waiting = admin.connect();
    waiting.write_all(b"HEAD /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    // By the end of another round the server has taken whatever it takes.
    open.iter_mut().for_each(ask_and_stay);
    waiting.set_nonblocking(true).unwrap();
    assert_eq!(waiting.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);

    drop(open.pop());
    waiting.set_nonblocking(false).unwrap();
    expect_answer(&mut waiting);
}

#[test]
fn stopping_closes_idle_connections_and_the_listener() {
    let mut admin = Running::start();
    let mut idle = admin.connect();
    ask_and_stay(&mut idle);

    admin.stop();
    idle.read_to_end(&mut Vec::new()).unwrap();
    assert!(TcpStream::connect(admin.address).is_err());
}

/// As the client of whoever listens there sees it.
fn fetch_state(address: SocketAddr) -> Result<State, ClientError> {
    Client::new(&address.to_string())?.state()
}

#[test]
fn the_client_reads_what_the_server_tells() {
    let admin = Running::start();
    let state = fetch_state(admin.address).unwrap();
    assert_eq!(state, Telling::of(Readiness::Ready).state());
}

#[test]
fn the_client_says_where_nobody_answers_and_what_to_do() {
    let mut admin = Running::start();
    admin.stop();
    let error = fetch_state(admin.address).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "no Phalanx answers at http://{}/v1/state: is `phalanx up` running? another address: --admin URL",
            admin.address
        )
    );
    assert!(error.source().is_some());
}

#[test]
fn the_client_knows_what_is_no_phalanx() {
    let answers = |answer: &'static [u8]| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).unwrap() > 0);
            stream.write_all(answer).unwrap();
        });
        let error = fetch_state(address).unwrap_err();
        server.join().unwrap();
        error
    };
    let page = answers(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    assert!(matches!(page, ClientError::Unreadable { .. }), "{page:?}");
    let moved = answers(b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n");
    assert!(matches!(moved, ClientError::Refused { .. }), "{moved:?}");
    let banner = answers(b"SSH-2.0-OpenSSH_10.0\r\n");
    assert!(matches!(banner, ClientError::Unreachable { .. }), "{banner:?}");
}
