//! Tokens that were good until somebody ended them: in Redis, and in a file.

use std::time::Duration;

use phalanx_auth::{
    Revocation, RevocationSettings, Revocations, SharedState, StalePolicy, StateSettings, StateUpkeep,
};
use phalanx_data::DataDirectory;
use phalanx_test_servers::Redis;
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{INVALID, ROUTES, Scene, bearer, request};
use crate::support::{AUTH, Recorder, Setup, eventually, payload, signed};

const LIFETIME: Duration = Duration::from_mins(10);

/// A token of this login, of account 7 in its first epoch.
fn token(session: &str) -> String {
    let mut payload = payload();
    payload["sid"] = json!(session);
    signed(&json!({ "typ": "at+jwt", "alg": "HS256" }), &payload)
}

fn me(session: &str) -> String {
    request("GET /me/", &bearer(&token(session)))
}

fn session(session: &str) -> Revocation {
    Revocation::Session { session: session.to_owned() }
}

/// Whether somebody reads the feed.
#[derive(PartialEq, Eq)]
enum Feed {
    Followed,
    /// So it is behind from the beginning.
    Ignored,
}

/// One process's view of the shared state, kept up until it is dropped.
struct Follower {
    revocations: Revocations,
    _tasks: JoinSet<()>,
}

impl Follower {
    fn start((state, keeping): (SharedState, StateUpkeep), feed: &Feed, stale_policy: StalePolicy) -> Self {
        // A machine that is busy with something else is no outage.
        let feed_age_max = Duration::from_mins(1);
        let settings = RevocationSettings { stale_policy, feed_age_max, ..RevocationSettings::default() };
        let (revocations, following) = Revocations::follow(&state, settings);
        let mut tasks = JoinSet::new();
        tasks.spawn(keeping.run(CancellationToken::new()));
        if *feed == Feed::Followed {
            tasks.spawn(following.run(CancellationToken::new()));
        }
        Self { revocations, _tasks: tasks }
    }

    async fn on(redis: &Redis, feed: &Feed, stale_policy: StalePolicy) -> Self {
        let settings = StateSettings { response_timeout: Duration::from_secs(4), ..StateSettings::default() };
        let state = SharedState::redis(&redis.url(), settings).await;
        Self::start(state.expect("the URL is one"), feed, stale_policy)
    }

    async fn revoke(&self, revocation: Revocation) {
        self.revocations.revoke(&[revocation], LIFETIME).await.expect("the store takes it");
    }
}

async fn scene(follower: &Follower) -> Scene {
    let origin = Recorder::start().await;
    let setup = Setup::fronting(&[origin.address()]).tables(&format!("{ROUTES}{AUTH}"));
    Scene { gateway: setup.revocations(follower.revocations.clone()).start(), origin }
}

/// A service ends logins through one view, and a gateway hears of it through the other.
async fn check_heard(service: &Follower, gateway: &Follower) {
    eventually("the feed to be read", || gateway.revocations.age().is_some()).await;
    let scene = scene(gateway).await;
    for session in ["a", "b"] {
        assert_eq!(scene.gateway.exchange(me(session)).await.status(), 200, "{session}");
    }
    scene.origin.take_requests();
    let mut news = gateway.revocations.changes();
    service.revoke(session("a")).await;
    news.wait_for(|generation| *generation >= 1).await.expect("the gateway listens");
    let (status, error, challenge) = INVALID;
    scene.check_denied(me("a"), status, error, challenge).await;
    assert_eq!(scene.gateway.exchange(me("b")).await.status(), 200, "another login of the same account");
    scene.origin.take_requests();
    service.revoke(Revocation::Subject { subject: "7".to_owned(), epoch: 1 }).await;
    news.wait_for(|generation| *generation >= 2).await.expect("the gateway listens");
    scene.check_denied(me("b"), status, error, challenge).await;
    assert_eq!(scene.gateway.sample("phalanx_auth_requests_total{outcome=\"revoked\"}"), 2);
}

#[tokio::test]
async fn a_logout_that_redis_tells_of_holds_at_the_gateway() {
    let redis = Redis::start();
    let service = Follower::on(&redis, &Feed::Followed, StalePolicy::Ask).await;
    let gateway = Follower::on(&redis, &Feed::Followed, StalePolicy::Refuse).await;
    check_heard(&service, &gateway).await;
}

#[tokio::test]
async fn a_logout_in_the_file_of_this_machine_holds_at_the_gateway() {
    let home = tempfile::tempdir().expect("a directory");
    let directory = DataDirectory::create(home.path()).expect("it is ours");
    let open = || SharedState::embedded(directory.clone());
    let service = Follower::start(open().await.expect("a file"), &Feed::Followed, StalePolicy::Ask);
    let gateway = Follower::start(open().await.expect("the same"), &Feed::Followed, StalePolicy::Refuse);
    check_heard(&service, &gateway).await;
}

/// The request waits for the answer, and its worker serves others meanwhile.
#[tokio::test]
async fn while_the_feed_is_behind_the_store_is_asked() {
    let redis = Redis::start();
    let service = Follower::on(&redis, &Feed::Followed, StalePolicy::Ask).await;
    let behind = Follower::on(&redis, &Feed::Ignored, StalePolicy::Ask).await;
    service.revoke(session("a")).await;
    let scene = scene(&behind).await;
    let (status, error, challenge) = INVALID;
    scene.check_denied(me("a"), status, error, challenge).await;
    assert_eq!(scene.gateway.exchange(me("b")).await.status(), 200);
    let forwarded = scene.origin.take_requests();
    assert_eq!(forwarded[0].field("x-auth-session"), Some("b"), "{forwarded:?}");
    let secret = request("GET /secret", &bearer(&token("b")));
    assert_eq!(scene.gateway.exchange(secret).await.text(), "hidden");
    assert_eq!(behind.revocations.totals().asked, 3);
    // Without an answer either, what is known decides.
    redis.kill();
    assert_eq!(scene.gateway.exchange(me("b")).await.status(), 200);
    scene.origin.take_requests();
    scene.check_denied(me("a"), status, error, challenge).await;
    assert_eq!(behind.revocations.totals().unchecked, 1);
}

#[tokio::test]
async fn where_that_is_the_policy_nobody_passes_while_the_feed_is_behind() {
    let redis = Redis::start();
    let behind = Follower::on(&redis, &Feed::Ignored, StalePolicy::Refuse).await;
    let scene = scene(&behind).await;
    let answer = scene.gateway.exchange(me("b")).await;
    assert_eq!((answer.status(), answer.field("retry-after")), (503, Some("1")));
    assert_eq!(answer.field("content-type"), Some("application/problem+json"));
    assert_eq!(scene.origin.requests(), []);
    // Who needs no token needs no answer.
    for open in ["GET /", "GET /feed/"] {
        assert_eq!(scene.gateway.exchange(request(open, "")).await.status(), 200, "{open}");
    }
    assert_eq!(scene.gateway.sample("phalanx_auth_requests_total{outcome=\"unavailable\"}"), 1);
}
