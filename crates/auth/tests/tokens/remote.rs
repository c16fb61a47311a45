//! Keys over the network: a rotation is seen, a flood of unknown keys is not passed on, and a server that fails takes nothing away.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use futures_util::FutureExt as _;
use phalanx_auth::{
    Algorithm, KeyRing, KeySet, Keys, RemoteKeys, RemoteKeysSettings, TokenError, TokenTypes, Verifier,
    generate,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::forge::{Forge, NOW, base64url, good_claims, terms};

const LONG: Duration = Duration::from_secs(3600);
/// Every ask may cause a fetch, and waits until it has ended.
const EAGER: RemoteKeysSettings =
    RemoteKeysSettings { cooldown: Duration::ZERO, wait: LONG, timeout: Duration::from_secs(30) };

/// What a key server answers, and how often it was asked.
#[derive(Default)]
struct Desk {
    answer: String,
    requests: usize,
    closed: bool,
}

/// A server on a thread of its own, which ends with it.
struct KeyServer {
    address: SocketAddr,
    desk: Arc<Mutex<Desk>>,
    thread: Option<JoinHandle<()>>,
}

impl KeyServer {
    fn start(answer: String) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let desk = Arc::new(Mutex::new(Desk { answer, ..Desk::default() }));
        let shared = Arc::clone(&desk);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut desk = shared.lock().unwrap_or_else(PoisonError::into_inner);
                if desk.closed {
                    return;
                }
                desk.requests += 1;
                let answer = desk.answer.clone();
                drop(desk);
                serve(stream.unwrap(), &answer);
            }
        });
        Self { address, desk, thread: Some(thread) }
    }

    fn url(&self) -> String {
        format!("http://{}/.well-known/jwks.json", self.address)
    }

    fn answer(&self, answer: String) {
        self.desk.lock().unwrap().answer = answer;
    }

    fn requests(&self) -> usize {
        self.desk.lock().unwrap().requests
    }
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        // The thread looks at the desk when somebody comes.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Reads a request and answers it; a client that is gone is none of its business.
fn serve(mut stream: TcpStream, answer: &str) {
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => request.extend_from_slice(&buffer[..count]),
        }
    }
    let _ = stream.write_all(answer.as_bytes());
}

fn ok(body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nCache-Control: max-age=60\r\nConnection: close\r\n\r\n{body}"
    )
}

/// Keys from a server, and the task that fetches them, which ends with the set.
struct Fetching {
    keys: RemoteKeys,
    verifier: Verifier,
    _upkeep: JoinSet<()>,
}

impl Fetching {
    /// Whether a token of this header, by a key that is not there, has keys fetched.
    async fn is_fetched_for(&self, header: &str) -> bool {
        let before = self.keys.totals().fetched;
        let token = format!("{header}.e30.AA");
        let outcome = self.keys.verify(&self.verifier, token.as_bytes(), NOW).await;
        assert_eq!(outcome.err(), Some(TokenError::UnknownKey));
        self.keys.totals().fetched > before
    }

    /// Waits for a fetch that brings keys. One that was under way may still bring what the server answered before.
    async fn has_fetched_again(&self) {
        for number in 0_u32.. {
            if self.is_fetched_for(&header(&number.to_string())).await {
                return;
            }
        }
    }
}

async fn fetch_from(server: &KeyServer, settings: RemoteKeysSettings) -> Fetching {
    let keys = Keys::fixed(KeySet::default());
    let (remote, upkeep) = RemoteKeys::new(&server.url(), keys.clone(), settings).unwrap();
    assert!(remote.keys().is_empty());
    let mut tasks = JoinSet::new();
    tasks.spawn(upkeep.run(CancellationToken::new()));
    remote.attempted().await;
    let verifier = Verifier::new(keys, terms(TokenTypes::AnyJwt));
    Fetching { keys: remote, verifier, _upkeep: tasks }
}

fn header(kid: &str) -> String {
    base64url(format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#).as_bytes())
}

fn ring() -> KeyRing {
    KeyRing::of(vec![generate(Algorithm::EdDSA)]).unwrap()
}

fn token(ring: &KeyRing) -> String {
    let issuer = phalanx_auth::Issuer::new(ring.clone(), terms(TokenTypes::AnyJwt), Duration::from_secs(600));
    issuer.issue(&phalanx_auth::Subject { subject: "1", session: None, epoch: 0, roles: &[] }, NOW)
}

#[tokio::test]
async fn a_rotation_is_seen_with_the_first_token_of_the_key() {
    let (first, second) = (ring(), ring());
    let server = KeyServer::start(ok(&first.key_set().to_public_jwks()));
    let fetching = fetch_from(&server, EAGER).await;
    fetching.verifier.verify(token(&first).as_bytes(), NOW).unwrap();

    server.answer(ok(&second.key_set().to_public_jwks()));
    let unknown = token(&second);
    assert_eq!(fetching.verifier.verify(unknown.as_bytes(), NOW), Err(TokenError::UnknownKey));
    fetching.keys.verify(&fetching.verifier, unknown.as_bytes(), NOW).await.unwrap();
    fetching.verifier.verify(unknown.as_bytes(), NOW).unwrap();
    assert_eq!(fetching.verifier.verify(token(&first).as_bytes(), NOW), Err(TokenError::UnknownKey));
    let totals = fetching.keys.totals();
    assert_eq!((totals.fetched, totals.failed, server.requests()), (2, 0, 2));
    assert!(totals.age.is_some());
}

#[tokio::test]
async fn whoever_comes_first_with_a_key_fetches_it_for_all() {
    let (first, second) = (ring(), ring());
    let server = KeyServer::start(ok(&first.key_set().to_public_jwks()));
    let Fetching { keys, verifier, _upkeep } = fetch_from(&server, EAGER).await;
    server.answer(ok(&second.key_set().to_public_jwks()));
    let mut requests = JoinSet::new();
    for _ in 0..100 {
        let (keys, verifier, token) = (keys.clone(), verifier.clone(), token(&second));
        requests.spawn(async move { keys.verify(&verifier, token.as_bytes(), NOW).await.map(drop) });
    }
    assert_eq!(requests.join_all().await, [Ok(()); 100]);
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn a_flood_of_unknown_keys_is_not_passed_on() {
    let ring = ring();
    let forge = Forge::edwards();
    let server = KeyServer::start(ok(&ring.key_set().to_public_jwks()));
    let fetching = fetch_from(&server, RemoteKeysSettings { cooldown: LONG, ..EAGER }).await;
    for number in 0..1000 {
        let token = forge
            .token(&format!(r#"{{"alg":"EdDSA","kid":"{number}"}}"#), good_claims().to_string().as_bytes());
        let outcome = fetching.keys.verify(&fetching.verifier, token.as_bytes(), NOW).await;
        assert_eq!(outcome, Err(TokenError::UnknownKey));
    }
    assert_eq!(server.requests(), 1);
    fetching.verifier.verify(token(&ring).as_bytes(), NOW).unwrap();
}

#[tokio::test]
async fn a_key_that_was_not_found_is_not_looked_for_again_at_once() {
    let server = KeyServer::start(ok(&ring().key_set().to_public_jwks()));
    let fetching = fetch_from(&server, EAGER).await;
    for (token, fetched) in [("a", true), ("a", false), ("b", true), ("a", false), ("b", false)] {
        assert_eq!(fetching.is_fetched_for(&header(token)).await, fetched, "{token}");
    }
    assert_eq!(server.requests(), 3);
}

#[tokio::test]
async fn whatever_the_server_answers_the_keys_that_are_there_stay() {
    let ring = ring();
    let good = ok(&ring.key_set().to_public_jwks());
    let server = KeyServer::start(good.clone());
    let fetching = fetch_from(&server, EAGER).await;
    let public = ring.key_set().to_public_jwks();
    let bad = [
        String::new(),
        "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
        format!(
            "HTTP/1.1 203 Of Another\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{public}",
            public.len()
        ),
        format!(
            "HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            server.url()
        ),
        "SSH-2.0-none\r\n\r\n".to_owned(),
        ok(""),
        ok("<html>"),
        ok(r#"{"keys":[]}"#),
        ok(r#"{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}"#),
        ok(r#"{"keys":[{"kty":"oct","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}]}"#),
        ok(&format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(300_000))),
    ];
    for (number, answer) in (1..).zip(bad) {
        server.answer(answer);
        // Each ask is of another key; a retry after a failure may have been quicker, and then is what is waited for.
        assert!(!fetching.is_fetched_for(&header(&number.to_string())).await, "answer {number}");
        assert!(fetching.keys.totals().failed >= number);
        fetching.verifier.verify(token(&ring).as_bytes(), NOW).unwrap();
    }
    server.answer(good);
    fetching.has_fetched_again().await;
    assert!(fetching.keys.totals().fetched >= 2);
}

#[tokio::test]
async fn without_a_server_there_are_no_keys_until_there_is_one() {
    let ring = ring();
    let server = KeyServer::start(String::new());
    let fetching = fetch_from(&server, EAGER).await;
    assert!(fetching.keys.keys().is_empty());
    assert_eq!(fetching.keys.totals().age, None);
    server.answer(ok(&ring.key_set().to_public_jwks()));
    fetching.has_fetched_again().await;
    assert!(!fetching.keys.keys().is_empty());
    fetching.verifier.verify(token(&ring).as_bytes(), NOW).unwrap();
}

#[tokio::test]
async fn after_its_upkeep_has_ended_nobody_waits() {
    let server = KeyServer::start(String::new());
    let (remote, upkeep) = RemoteKeys::new(&server.url(), Keys::fixed(KeySet::default()), EAGER).unwrap();
    let stop = CancellationToken::new();
    stop.cancel();
    upkeep.run(stop).await;
    remote.attempted().await;
    let verifier = Verifier::new(remote.keys().clone(), terms(TokenTypes::AnyJwt));
    let outcome = remote.verify(&verifier, token(&ring()).as_bytes(), NOW).await;
    assert_eq!(outcome, Err(TokenError::UnknownKey));
}

/// They came after its key was looked for, and by no fetch of its own.
#[tokio::test]
async fn a_token_is_verified_with_the_keys_that_came_meanwhile() {
    let (first, second) = (ring(), ring());
    let server = KeyServer::start(ok(&first.key_set().to_public_jwks()));
    let Fetching { keys, verifier, _upkeep } = fetch_from(&server, EAGER).await;
    let token = token(&second);
    server.answer(
        "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
    );
    let mut verifying = pin!(keys.verify(&verifier, token.as_bytes(), NOW));
    assert!(verifying.as_mut().now_or_never().is_none(), "it waits for a fetch, which will fail");
    keys.keys().replace(second.key_set());
    verifying.await.unwrap();
}

#[tokio::test]
async fn a_server_without_tls_may_send_on_to_one_with_it() {
    let other = KeyServer::start(String::new());
    let target = other.url().replace("http://", "https://");
    let server = KeyServer::start(format!(
        "HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    ));
    // The other one speaks no TLS, which is a fetch that failed.
    let fetching = fetch_from(&server, EAGER).await;
    let totals = fetching.keys.totals();
    assert_eq!((totals.fetched, totals.failed), (0, 1));
    assert_eq!((server.requests(), other.requests()), (1, 1));
}
