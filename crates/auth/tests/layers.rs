//! The layers around an axum router: who passes, and what others are answered.

#![expect(clippy::unwrap_used, reason = "this crate is a test, its helpers included")]

use std::{
    convert::Infallible,
    future::{Ready, poll_fn, ready},
    task::{Context, Poll},
    time::Duration,
};

use axum::{Extension, Router, body::Body, extract::Request, response::Response, routing::get};
use http_body_util::BodyExt as _;
use phalanx_auth::{
    Algorithm, AuthenticateLayer, Authenticator, AuthorizeLayer, Freshness, Identity, Issuer, KeyRing,
    KeySet, Keys, RemoteKeys, RemoteKeysSettings, Revocation, RevocationSettings, Revocations, SharedState,
    StalePolicy, StateSettings, Subject, Terms, TokenTypes, Verifier, generate,
};
use phalanx_telemetry::clock;
use phalanx_test_servers::Redis;
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tower_layer::Layer as _;
use tower_service::Service;

const SECRET: &[u8] = b"a secret of thirty-two bytes, at least";
const HOUR: Duration = Duration::from_hours(1);
const ANN: Subject<'_> = Subject { subject: "7", session: Some("70"), epoch: 3, roles: &["user"] };
const ADA: Subject<'_> = Subject { subject: "8", session: Some("80"), epoch: 1, roles: &["user", "admin"] };

fn terms() -> Terms {
    Terms {
        issuer: Some("https://api.test".to_owned()),
        audience: Some("api".to_owned()),
        types: TokenTypes::AccessToken,
    }
}

fn ring() -> KeyRing {
    KeyRing::from_secret(SECRET).unwrap()
}

/// The value of the header of a token that was issued `age` ago.
fn bearer(subject: &Subject<'_>, age: Duration) -> String {
    let issued_at = clock::unix_seconds() - age.as_secs();
    format!("Bearer {}", Issuer::new(ring(), terms(), HOUR).issue(subject, issued_at))
}

fn authenticator(keys: KeySet, revocations: &Revocations) -> Authenticator {
    Authenticator::new(Verifier::new(Keys::fixed(keys), terms()), revocations.clone())
}

/// `/open` is for everybody, `/own` for accounts, `/all` for administrators, `/sensitive` asks the store, and `/unguarded` asks
/// for a role before anybody was asked who he is.
fn router(authenticator: &Authenticator) -> Router {
    let subject = |Extension(identity): Extension<Identity>| async move { identity.claims().subject.clone() };
    let authenticate = AuthenticateLayer::new(authenticator.clone());
    let admin = AuthorizeLayer::any_of(["admin", "auditor"]);
    let sensitive = authenticate.clone().with_freshness(Freshness::Store);
    let guarded = Router::new()
        .route("/all", get(subject))
        .layer(admin.clone())
        .route("/own", get(subject))
        .layer(authenticate);
    let unguarded = Router::new().route("/unguarded", get(subject)).layer(admin);
    Router::new()
        .route("/open", get(async || "anybody"))
        .merge(guarded)
        .merge(unguarded)
        .merge(Router::new().route("/sensitive", get(subject)).layer(sensitive))
}

/// Status, body if the handler answered and the short text otherwise.
async fn ask(router: &Router, path: &str, authorization: &[&str]) -> String {
    let mut request = Request::get(path);
    for value in authorization {
        request = request.header("authorization", *value);
    }
    let response = router.clone().call(request.body(Body::empty()).unwrap()).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    if status.is_success() {
        return format!("{} {}", status.as_u16(), String::from_utf8_lossy(&body));
    }
    assert_eq!(headers["content-type"], "application/problem+json");
    let challenge = headers.get("www-authenticate").or(headers.get("retry-after")).unwrap();
    let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
    format!("{} {} ({})", status.as_u16(), problem["error"].as_str().unwrap(), challenge.to_str().unwrap())
}

const NO_TOKEN: &str = "401 No token provided (Bearer)";
const INVALID: &str = r#"401 Invalid token (Bearer error="invalid_token")"#;
const FORBIDDEN: &str = r#"403 Insufficient permissions (Bearer error="insufficient_scope")"#;
const EXPIRED: &str =
    r#"401 Token expired (Bearer error="invalid_token", error_description="the token expired")"#;
const STATE_UNAVAILABLE: &str = "503 State unavailable (1)";

#[tokio::test]
async fn who_passes_which_layer() {
    let router = router(&authenticator(ring().key_set(), &Revocations::none()));
    let (ann, ada) = (bearer(&ANN, Duration::ZERO), bearer(&ADA, Duration::ZERO));
    let expired = bearer(&ADA, 2 * HOUR);
    let lower = ann.replace("Bearer", "bearer");
    let cases: &[(&str, &[&str], &str)] = &[
        ("/open", &[], "200 anybody"),
        ("/open", &["Bearer x"], "200 anybody"),
        ("/own", &[], NO_TOKEN),
        ("/own", &["Basic YTpi"], NO_TOKEN),
        ("/own", &["Bearer x"], INVALID),
        ("/own", &[&expired], EXPIRED),
        ("/own", &[&ann], "200 7"),
        ("/own", &[&lower], "200 7"),
        ("/own", &[&ann, &ann], INVALID),
        ("/all", &[], NO_TOKEN),
        ("/all", &[&ann], FORBIDDEN),
        ("/all", &[&expired], EXPIRED),
        ("/all", &[&ada], "200 8"),
        ("/sensitive", &[&ann], "200 7"),
        ("/unguarded", &[], NO_TOKEN),
        ("/unguarded", &[&ada], NO_TOKEN),
    ];
    for (path, authorization, expected) in cases {
        assert_eq!(ask(&router, path, authorization).await, *expected, "{path} {authorization:?}");
    }
}

#[tokio::test]
async fn a_revoked_token_passes_no_layer() {
    let revocations = Revocations::none();
    let router = router(&authenticator(ring().key_set(), &revocations));
    let (ann, ada) = (bearer(&ANN, Duration::ZERO), bearer(&ADA, Duration::ZERO));
    let session = Revocation::Session { session: "70".to_owned() };
    // Her tokens of the epoch before the second; those of the second stay good.
    let subject = |epoch| Revocation::Subject { subject: "8".to_owned(), epoch };
    for (revocation, of_ann, of_ada) in
        [(subject(1), "200 7", "200 8"), (session, INVALID, "200 8"), (subject(2), INVALID, INVALID)]
    {
        revocations.revoke(std::slice::from_ref(&revocation), HOUR).await.unwrap();
        for path in ["/own", "/sensitive"] {
            assert_eq!(ask(&router, path, &[&ann]).await, of_ann, "{path} {revocation:?}");
            assert_eq!(ask(&router, path, &[&ada]).await, of_ada, "{path} {revocation:?}");
        }
    }
}

#[tokio::test]
async fn without_keys_it_is_not_the_clients_fault() {
    let none = KeySet::from_jwks(r#"{"keys":[]}"#).unwrap();
    let router = router(&authenticator(none, &Revocations::none()));
    let ann = bearer(&ANN, Duration::ZERO);
    for path in ["/own", "/all", "/sensitive"] {
        assert_eq!(ask(&router, path, &[&ann]).await, "503 Keys unavailable (1)", "{path}");
        assert_eq!(ask(&router, path, &["Bearer x"]).await, INVALID, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_the_policy_and_the_route_decide() {
    let redis = Redis::start();
    let ann = bearer(&ANN, Duration::ZERO);
    let mut tasks = JoinSet::new();
    let mut routers = Vec::new();
    for stale_policy in [StalePolicy::Ask, StalePolicy::Refuse] {
        let settings = StateSettings { response_timeout: HOUR, ..StateSettings::default() };
        let (state, upkeep) = SharedState::redis(&redis.url(), settings).await.unwrap();
        tasks.spawn(upkeep.run(CancellationToken::new()));
        // Nobody follows the feed, so it is behind from the beginning.
        let settings = RevocationSettings { stale_policy, ..RevocationSettings::default() };
        let (revocations, _) = Revocations::follow(&state, settings);
        routers.push((stale_policy, router(&authenticator(ring().key_set(), &revocations))));
    }
    let expected = |policy| if policy == StalePolicy::Ask { "200 7" } else { STATE_UNAVAILABLE };
    for (policy, router) in &routers {
        assert_eq!(ask(router, "/own", &[&ann]).await, expected(*policy), "{policy:?}");
        assert_eq!(ask(router, "/sensitive", &[&ann]).await, "200 7", "{policy:?}");
    }
    redis.stop();
    for (policy, router) in &routers {
        assert_eq!(ask(router, "/own", &[&ann]).await, expected(*policy), "{policy:?}");
        assert_eq!(ask(router, "/sensitive", &[&ann]).await, STATE_UNAVAILABLE, "{policy:?}");
        assert_eq!(ask(router, "/open", &[]).await, "200 anybody");
    }
}

#[tokio::test]
async fn a_token_by_a_key_that_is_not_there_has_it_fetched() {
    let ring = || KeyRing::of(vec![generate(Algorithm::EdDSA)]).unwrap();
    let (first, second, unknown) = (ring(), ring(), ring());
    // What the other issuer publishes.
    let (publish, published) = watch::channel(first.key_set().to_public_jwks());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    let publisher = Router::new().route("/jwks.json", get(async move || published.borrow().clone()));
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, publisher).await.unwrap() });
    let settings =
        RemoteKeysSettings { cooldown: Duration::ZERO, wait: HOUR, ..RemoteKeysSettings::default() };
    let keys = Keys::fixed(KeySet::from_jwks(r#"{"keys":[]}"#).unwrap());
    let (remote_keys, upkeep) = RemoteKeys::new(&url, keys, settings).unwrap();
    let verifier = Verifier::new(remote_keys.keys().clone(), terms());
    let authenticator =
        Authenticator::new(verifier, Revocations::none()).with_remote_keys(remote_keys.clone());
    let router = router(&authenticator);
    let by = |ring: &KeyRing| {
        format!("Bearer {}", Issuer::new(ring.clone(), terms(), HOUR).issue(&ANN, clock::unix_seconds()))
    };
    tasks.spawn(async move { upkeep.run(CancellationToken::new()).await });
    remote_keys.attempted().await;
    assert_eq!(ask(&router, "/own", &[&by(&first)]).await, "200 7");
    assert_eq!(ask(&router, "/own", &[&by(&unknown)]).await, INVALID);
    publish.send(second.key_set().to_public_jwks()).unwrap();
    assert_eq!(ask(&router, "/own", &[&by(&second)]).await, "200 7");
    assert_eq!(ask(&router, "/own", &[&by(&first)]).await, INVALID);
}

/// Has to be found ready for each request, and no clone is.
#[derive(Default)]
struct Particular {
    ready: bool,
}

impl Clone for Particular {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Service<Request> for Particular {
    type Response = Response;
    type Error = Infallible;
    type Future = Ready<Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "it was not found ready");
        ready(Ok(Response::default()))
    }
}

#[tokio::test]
async fn the_service_that_was_found_ready_gets_the_request() {
    let authenticator = authenticator(ring().key_set(), &Revocations::none());
    for freshness in [Freshness::Feed, Freshness::Store] {
        let layer = AuthenticateLayer::new(authenticator.clone()).with_freshness(freshness);
        let mut service = layer.layer(Particular::default());
        for _ in 0..2 {
            poll_fn(|context| service.poll_ready(context)).await.unwrap();
            let authorization = bearer(&ANN, Duration::ZERO);
            let request =
                Request::get("/").header("authorization", authorization).body(Body::empty()).unwrap();
            assert_eq!(service.call(request).await.unwrap().status(), 200, "{freshness:?}");
        }
    }
}
