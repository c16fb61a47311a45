//! The admin API over real sockets, and its client against it.

use std::{
    error::Error as _,
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use phalanx_admin::{
    Readiness, Source,
    client::{ClientError, fetch_state},
    state::{Gateway, State},
};
use tokio_util::sync::CancellationToken;

/// Long enough for the slowest machine; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

struct Told(Readiness);

impl Source for Told {
    fn state(&self) -> State {
        State {
            version: "0.1.0".to_owned(),
            uptime_seconds: 7,
            gateway: Gateway {
                listeners: vec!["127.0.0.1:8080".to_owned()],
                workers: 2,
                connections: 3,
                requests_in_flight: 1,
            },
            services: Vec::new(),
        }
    }

    fn metrics(&self) -> String {
        "# EOF\n".to_owned()
    }

    fn readiness(&self) -> Readiness {
        self.0.clone()
    }
}

/// An admin API on a thread of its own; ends with the test.
struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start(readiness: Readiness) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
        listener.set_nonblocking(true).expect("a socket can be set non-blocking");
        let address = listener.local_addr().expect("a bound socket has an address");
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be built");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("the socket is a listener");
                phalanx_admin::serve(listener, Arc::new(Told(readiness)), stopped).await;
            });
        });
        Self { address, stop, thread: Some(thread) }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the admin API listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream
    }

    /// The answer to one request: head and body.
    fn ask(&self, method: &str, path: &str, headers: &str) -> (String, String) {
        let mut stream = self.connect();
        let request = format!("{method} {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("the request can be sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the answer ends");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        (head.to_ascii_lowercase(), body.to_owned())
    }

    fn get(&self, path: &str) -> (String, String) {
        self.ask("GET", path, "Host: localhost\r\n")
    }

    /// Ends the server and waits for it.
    fn stop(&mut self) {
        self.stop.cancel();
        let thread = self.thread.take().expect("stopped once");
        thread.join().expect("the server does not panic");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[test]
fn every_route_answers() {
    let admin = Running::start(Readiness::Ready);
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
    let admin = Running::start(Readiness::NotReady { reasons });
    let (head, body) = admin.get("/readyz");
    assert!(head.starts_with("http/1.1 503 "), "{head}");
    assert_eq!(body, r#"{"ready":false,"reasons":["service `api` has no serving replica"]}"#);
    assert!(admin.get("/livez").0.starts_with("http/1.1 200 "));
}

#[test]
fn a_head_request_gets_no_body() {
    let (head, body) = Running::start(Readiness::Ready).ask("HEAD", "/metrics", "Host: localhost\r\n");
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert_eq!(body, "");
}

#[test]
fn what_is_refused_says_why() {
    let admin = Running::start(Readiness::Ready);
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
    let admin = Running::start(Readiness::Ready);
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
    let mut admin = Running::start(Readiness::Ready);
    let mut idle = admin.connect();
    ask_and_stay(&mut idle);

    admin.stop();
    idle.read_to_end(&mut Vec::new()).unwrap();
    assert!(TcpStream::connect(admin.address).is_err());
}

#[test]
fn the_client_reads_what_the_server_tells() {
    let admin = Running::start(Readiness::Ready);
    let state = fetch_state(&admin.address.to_string()).unwrap();
    assert_eq!(state, Told(Readiness::Ready).state());
}

#[test]
fn the_client_says_where_nobody_answers_and_what_to_do() {
    let mut admin = Running::start(Readiness::Ready);
    admin.stop();
    let error = fetch_state(&admin.address.to_string()).unwrap_err();
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
        let error = fetch_state(&address.to_string()).unwrap_err();
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
