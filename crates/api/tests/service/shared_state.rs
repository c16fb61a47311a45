//! The service while what its replicas share is away: what needs it says so, and all else goes on.

use serde_json::json;

use crate::{
    client::{login, register},
    fleet::{EMAIL, Fleet, PASSWORD, User, eventually},
};

const AWAY: (u16, &str) = (503, "State unavailable");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_tokens_go_on_and_sessions_come_back_with_it() {
    let fleet = Fleet::over_redis().await;
    let redis = fleet.redis.as_ref().unwrap();
    let user = fleet.registered().await;
    let body = json!({ "items": { "3": 1 } });
    assert_eq!(user.ask(&fleet.first, "PUT", "/api/cart", Some(&body)).await.status, 200);
    redis.stop();

    let in_without = User::of(&fleet.second.exchange(login(EMAIL, PASSWORD)).await, 200);
    assert!(in_without.cookie.is_none(), "nobody could find its session");
    assert_eq!(in_without.get(&fleet.first, "/api/profile").await.status, 200);
    assert_eq!(in_without.refresh(&fleet.first).await.status, 200);
    assert_eq!(fleet.first.exchange(register("eve@example.com")).await.status, 201);
    assert_eq!(fleet.first.get("/ready").await.status, 200);
    for (method, path) in
        [("GET", "/api/cart"), ("GET", "/api/auth/sessions"), ("POST", "/api/auth/logout-all")]
    {
        let answer = user.ask(&fleet.second, method, path, None).await;
        assert_eq!(answer.problem(), (AWAY.0, AWAY.1.to_owned()), "{method} {path}");
        assert_eq!(answer.header("retry-after"), Some("1"), "{method} {path}");
    }
    assert_eq!(user.browse(&fleet.first, "GET", "/api/cart").await.problem().0, 503);
    // A logout holds where it was done, and is told to the others when they can be told.
    let leaving = in_without.post(&fleet.first, "/api/auth/logout").await;
    assert_eq!(leaving.problem(), (AWAY.0, AWAY.1.to_owned()));
    in_without.is_refused(&fleet.first).await;

    redis.restart();
    in_without.is_refused(&fleet.second).await;
    eventually(async || user.get(&fleet.first, "/api/cart").await.status == 200).await;
    eventually(async || fleet.logged_in().await.cookie.is_some()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_has_lost_everything_costs_cookies_and_carts_alone() {
    let fleet = Fleet::over_redis().await;
    let user = fleet.registered().await;
    let (gone, kept) = (fleet.logged_in().await, fleet.logged_in().await);
    assert_eq!(gone.post(&fleet.first, "/api/auth/logout").await.status, 204);
    gone.is_refused(&fleet.second).await;
    fleet.redis.as_ref().unwrap().flush_all();
    for replica in [&fleet.first, &fleet.second] {
        // D06: no session is a 401, and never a 500.
        assert_eq!(user.browse(replica, "GET", "/api/cart").await.problem().0, 401);
        assert_eq!(kept.get(replica, "/api/cart").await.json()["items"], json!({}));
        gone.is_refused(replica).await;
    }
    assert_eq!(fleet.logged_in().await.browse(&fleet.first, "GET", "/api/cart").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_stalls_is_not_waited_for() {
    let fleet = Fleet::over_redis().await;
    let redis = fleet.redis.as_ref().unwrap();
    let user = fleet.registered().await;
    redis.pause();
    assert_eq!(user.get(&fleet.first, "/api/cart").await.problem().0, 503);
    assert_eq!(fleet.second.exchange(login(EMAIL, PASSWORD)).await.status, 200);
    assert_eq!(user.get(&fleet.second, "/api/profile").await.status, 200);
    redis.resume();
    eventually(async || user.get(&fleet.first, "/api/cart").await.status == 200).await;
}
