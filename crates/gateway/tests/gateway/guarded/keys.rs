//! Keys that the issuer publishes: fetched while requests come, and kept whatever becomes of the issuer.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use phalanx_auth::{Algorithm, Issuer, KeyRing, RemoteKeysSettings, Subject, Terms, TokenTypes, generate};
use phalanx_telemetry::clock;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{INVALID, ROUTES, Scene, bearer, open_request, request};
use crate::support::{
    ClosedPort, Message, Origin, Recorder, Reply, Setup, eventually, ok, payload, signed, signed_with, within,
};

/// An issuer with a key of its own, and its server.
struct Id {
    ring: KeyRing,
    published: Arc<Mutex<String>>,
    server: Recorder,
}

impl Id {
    async fn start(algorithm: Algorithm) -> Self {
        Self::start_on(TcpListener::bind("127.0.0.1:0").await.expect("a free port"), algorithm)
    }

    fn start_on(listener: TcpListener, algorithm: Algorithm) -> Self {
        let ring = ring(algorithm);
        let published = Arc::new(Mutex::new(ring.key_set().to_public_jwks()));
        let set = published.clone();
        let server =
            Recorder::answering_on(listener, move |_: &Message| Reply::Send(ok(&set.lock().unwrap())));
        Self { ring, published, server }
    }

    /// Signs with another key from here on.
    fn rotate(&mut self, algorithm: Algorithm) {
        self.ring = ring(algorithm);
        *self.published.lock().unwrap() = self.ring.key_set().to_public_jwks();
    }

    /// A request with one of its tokens.
    fn me(&self) -> String {
        me(&self.ring)
    }

    fn setup(&self, origin: &Recorder) -> Setup {
        setup(self.server.address(), origin)
    }
}

fn ring(algorithm: Algorithm) -> KeyRing {
    KeyRing::of(vec![generate(algorithm)]).expect("one key, which is the current one")
}

fn me(ring: &KeyRing) -> String {
    let terms = Terms {
        issuer: Some("https://id".to_owned()),
        audience: Some("api".to_owned()),
        types: TokenTypes::AccessToken,
    };
    let subject = Subject { subject: "7", session: Some("9"), epoch: 0, roles: &["user"] };
    let token =
        Issuer::new(ring.clone(), terms, Duration::from_mins(10)).issue(&subject, clock::unix_seconds());
    request("GET /me/", &bearer(&token))
}

fn setup(jwks: SocketAddr, origin: &Recorder) -> Setup {
    let auth = format!("[auth]\nissuer = \"https://id\"\naudience = \"api\"\njwks = \"http://{jwks}/jwks\"");
    // Unknown keys may be asked for at any time, and a busy machine may take its own.
    let keys = RemoteKeysSettings {
        cooldown: Duration::ZERO,
        wait: Duration::from_secs(4),
        ..RemoteKeysSettings::default()
    };
    Setup::fronting(&[origin.address()]).tables(&format!("{ROUTES}{auth}")).keys(keys)
}

/// A01: nor with a public key for a secret, which everybody has.
#[tokio::test]
async fn a_token_of_each_algorithm_is_good_under_its_own_key_alone() {
    for algorithm in [Algorithm::ES256, Algorithm::EdDSA, Algorithm::RS256] {
        let (id, origin) = (Id::start(algorithm).await, Recorder::start().await);
        let scene = Scene { gateway: id.setup(&origin).start(), origin };
        // The first waits for the keys.
        assert_eq!(scene.gateway.exchange(id.me()).await.status(), 200, "{algorithm:?}");
        let forwarded = scene.origin.take_requests();
        assert_eq!(forwarded[0].field("x-auth-subject"), Some("7"), "{algorithm:?}");
        let (status, error, challenge) = INVALID;
        scene.check_denied(me(&ring(algorithm)), status, error, challenge).await;
        let set = id.published.lock().unwrap().clone();
        let key = &serde_json::from_str::<Value>(&set).unwrap()["keys"][0];
        let public = key.get("n").or(key.get("x")).and_then(Value::as_str).unwrap();
        let decoded = BASE64_URL_SAFE_NO_PAD.decode(public).unwrap();
        for secret in [set.as_bytes(), public.as_bytes(), &decoded] {
            let header = json!({ "typ": "at+jwt", "alg": "HS256", "kid": key["kid"] });
            let confused = signed_with(secret, &header, &payload());
            scene.check_denied(request("GET /me/", &bearer(&confused)), status, error, challenge).await;
        }
    }
}

#[tokio::test]
async fn another_key_is_fetched_when_a_token_names_it() {
    let (mut id, origin) = (Id::start(Algorithm::ES256).await, Recorder::start().await);
    let scene = Scene { gateway: id.setup(&origin).start(), origin };
    let old = id.me();
    assert_eq!(scene.gateway.exchange(&old).await.status(), 200);
    id.rotate(Algorithm::EdDSA);
    assert_eq!(scene.gateway.exchange(id.me()).await.status(), 200);
    assert_eq!(id.server.request_count(), 2);
    scene.origin.take_requests();
    // What was verified with a key that is gone is verified no more.
    let (status, error, challenge) = INVALID;
    scene.check_denied(old, status, error, challenge).await;
    assert_eq!(scene.gateway.exchange(id.me()).await.status(), 200);
}

/// The one worker serves others meanwhile.
#[tokio::test]
async fn a_request_waits_for_its_key_alone() {
    let (issuer, origin) = (Origin::listen().await, Recorder::start().await);
    let gateway = setup(issuer.address(), &origin).start();
    let ring = ring(Algorithm::EdDSA);
    let mut waiting = gateway.connect().await;
    let (mut answering, _) = issuer.accept_request().await;
    waiting.send(me(&ring)).await;
    for _ in 0..3 {
        assert_eq!(gateway.exchange(open_request()).await.status(), 200);
    }
    assert_eq!(origin.take_requests().len(), 3);
    answering.send(ok(&ring.key_set().to_public_jwks())).await;
    assert_eq!(waiting.response().await.status(), 200);
    assert_eq!(waiting.exchange(me(&ring)).await.status(), 200);
}

/// A02
#[tokio::test]
async fn invented_names_of_keys_cause_few_fetches() {
    let (id, origin) = (Id::start(Algorithm::ES256).await, Recorder::start().await);
    let setup = id.setup(&origin).keys(RemoteKeysSettings::default());
    let scene = Scene { gateway: setup.start(), origin };
    assert_eq!(scene.gateway.exchange(id.me()).await.status(), 200);
    let mut client = scene.gateway.connect().await;
    for name in 0..200 {
        let header = json!({ "typ": "at+jwt", "alg": "ES256", "kid": format!("{name}") });
        let sent = request("GET /me/", &bearer(&signed(&header, &payload())));
        assert_eq!(client.exchange(sent).await.status(), 401);
    }
    assert!(id.server.request_count() <= 2, "{} fetches", id.server.request_count());
    assert_eq!(scene.gateway.exchange(id.me()).await.status(), 200);
}

#[tokio::test]
async fn without_keys_nobody_is_judged_and_with_the_first_everybody_is() {
    let origin = Recorder::start().await;
    let port = ClosedPort::reserve();
    let scene = Scene { gateway: setup(port.address(), &origin).start(), origin };
    let stranger = me(&ring(Algorithm::ES256));
    let answer = scene.gateway.exchange(&stranger).await;
    assert_eq!((answer.status(), answer.field("retry-after")), (503, Some("1")), "{answer:?}");
    assert_eq!(scene.origin.requests(), []);
    // Who needs no token needs no key.
    for open in ["GET /", "GET /feed/"] {
        assert_eq!(scene.gateway.exchange(request(open, "")).await.status(), 200, "{open}");
    }
    scene.origin.take_requests();

    let id = Id::start_on(port.listen(64), Algorithm::ES256);
    within("keys", async { while scene.gateway.exchange(id.me()).await.status() != 200 {} }).await;
    scene.origin.take_requests();
    let (status, error, challenge) = INVALID;
    scene.check_denied(stranger, status, error, challenge).await;
}

#[tokio::test]
async fn keys_outlive_their_issuer() {
    let (id, origin) = (Id::start(Algorithm::ES256).await, Recorder::start().await);
    let scene = Scene { gateway: id.setup(&origin).start(), origin };
    let good = id.me();
    assert_eq!(scene.gateway.exchange(&good).await.status(), 200);
    let other = id.me();
    drop(id);
    // It asks in vain, and goes on with what it has.
    assert_eq!(scene.gateway.exchange(me(&ring(Algorithm::EdDSA))).await.status(), 401);
    for request in [good, other] {
        assert_eq!(scene.gateway.exchange(request).await.status(), 200);
    }
    let none_failed = "phalanx_jwks_fetches_total{outcome=\"failed\"} 0";
    eventually("a fetch to fail", || !scene.gateway.exposition().contains(none_failed)).await;
}

/// The issuer may be a replica behind the very gateway.
#[tokio::test]
async fn keys_may_come_through_the_gateway_itself() {
    let ring = ring(Algorithm::EdDSA);
    let set = ring.key_set().to_public_jwks();
    let origin = Recorder::answering(move |_| Reply::Send(ok(&set))).await;
    // The address of a gateway is known only when it runs: until then nobody can say where the keys are.
    let known = Arc::new(OnceLock::<SocketAddr>::new());
    let where_to = known.clone();
    let directions = Recorder::answering(move |_| {
        let answer = match where_to.get() {
            Some(gateway) => format!("307 Temporary Redirect\r\nLocation: http://{gateway}/jwks"),
            None => "503 Service Unavailable".to_owned(),
        };
        Reply::Send(format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n").into_bytes())
    })
    .await;
    let gateway = setup(directions.address(), &origin).start();
    known.set(gateway.address).expect("it is told once");
    within("keys", async { while gateway.exchange(me(&ring)).await.status() != 200 {} }).await;
}
