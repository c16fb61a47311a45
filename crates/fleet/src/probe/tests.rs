//! Probes of all kinds against real servers and real programs.

mod calls;
mod programs;

use std::io::{Read as _, Write as _};

use phalanx_config::{Config, Replicas, Source};
use phalanx_telemetry::chain;

use super::{http::STATUS_LINE_BYTES_MAX, *};
use crate::fleet::Settings;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_probe_tells_what_it_found() {
    let endless = "x".repeat(4 * STATUS_LINE_BYTES_MAX);
    for (answer, expected) in [
        ("HTTP/1.1 204 No Content\r\n\r\n", "ok"),
        ("HTTP/1.1 302 Found\r\n\r\n", "ok"),
        ("HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP status 400"),
        ("HTTP/1.1 503 Service Unavailable\r\n\r\n", "HTTP status 503"),
        ("HTTP/1.1 100 Continue\r\n\r\n", "HTTP status 100"),
        ("", "the connection was closed without an answer"),
        ("220 mail ready\r\n", "an answer that is not HTTP/1"),
        (&endless, "an answer that is not HTTP/1"),
    ] {
        let address = listener_that_answers(answer);
        assert_eq!(found(&target(address), &http(None), PATIENCE).await, expected, "{answer:.40}");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_judged_by_its_first_line() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        read_request(&mut connection);
        connection.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        // Until the probe has had enough and closes.
        while connection.write_all(b"1\r\nx\r\n").is_ok() {}
    });
    assert_eq!(found(&target(address), &http(None), PATIENCE).await, "ok");
    server.join().unwrap();
}

#[tokio::test]
async fn an_accepted_connection_is_enough_for_a_probe_that_connects() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = target(listener.local_addr().unwrap());
    let connect = Check::Connect { port: None };
    assert_eq!(found(&target, &connect, PATIENCE).await, "ok");
    drop(listener);
    assert_eq!(found(&target, &connect, PATIENCE).await, "connection refused");
}

#[tokio::test]
async fn a_probe_can_ask_another_port_than_the_replica_has() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let port = Some(listener_that_answers("HTTP/1.1 200 OK\r\n\r\n").port());
    assert_eq!(found(&target(closed), &http(port), PATIENCE).await, "ok");
    let open = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = Some(open.local_addr().unwrap().port());
    assert_eq!(found(&target(closed), &Check::Connect { port }, PATIENCE).await, "ok");
}

#[tokio::test]
async fn silence_ends_with_the_timeout() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = target(listener.local_addr().unwrap());
    let call = Check::Grpc { service: String::new(), port: None };
    for check in [http(None), call] {
        assert_eq!(found(&target, &check, Duration::from_millis(10)).await, "no answer within 10ms");
    }
}

#[test]
fn what_this_machine_lacks_is_not_held_against_a_replica() {
    let answer = |errno: Errno| ProbeError::from(io::Error::from(errno)).answer();
    for errno in [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS, Errno::ADDRNOTAVAIL] {
        assert_eq!(answer(errno), None, "{errno}");
    }
    for errno in [Errno::CONNREFUSED, Errno::CONNRESET, Errno::PIPE, Errno::HOSTUNREACH, Errno::ACCESS] {
        assert_eq!(answer(errno), Some(Answer::Bad), "{errno}");
    }
}

/// What one probe finds, in words.
async fn found(target: &Target, check: &Check, limit: Duration) -> String {
    let second = Duration::from_secs(1);
    let asked = Probe {
        check: check.clone(),
        initial_delay: Duration::ZERO,
        period: second,
        timeout: limit,
        success: 1,
        failure: 3,
    };
    match probe(target, &asked).await {
        Ok(()) => "ok".to_owned(),
        Err(error) => chain(&error).to_string(),
    }
}

fn http(port: Option<u16>) -> Check {
    Check::Http { path: "/ready".to_owned(), port }
}

/// A replica at this address, with a greeting in its environment.
fn target(address: SocketAddr) -> Target {
    Target {
        template: Arc::new(Template::new(replicas(), Settings::new(PATIENCE))),
        instance: "api-1".into(),
        address,
        groups: Arc::default(),
        over: CancellationToken::new(),
    }
}

fn replicas() -> Replicas {
    let file = "[[route]]\npath = '/'\nservice = 'api'\n[service.api]\ncommand = ['server']\nenv = { GREETING = 'hello' }\n";
    let config = Config::parse("phalanx.toml", file, &|_| None).unwrap();
    match config.services.into_values().next().unwrap().source {
        Source::Replicas(replicas) => replicas,
        Source::Endpoints { .. } | Source::Discovered { .. } => panic!("a command makes replicas"),
    }
}

fn listener_that_answers(answer: &str) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = answer.to_owned();
    std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let request = read_request(&mut connection);
        assert!(request.starts_with(b"GET /ready HTTP/1.1\r\nHost: 127.0.0.1:"), "{request:?}");
        let _ = connection.write_all(answer.as_bytes());
    });
    address
}

fn read_request(connection: &mut std::net::TcpStream) -> Vec<u8> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        connection.read_exact(&mut byte).unwrap();
        request.push(byte[0]);
    }
    request
}
