//! Logins: known to every replica, prolonged, listed, and ended everywhere.

use std::time::Duration;

use phalanx_auth::{Algorithm, KeyRing, KeySet, Keys, Terms, TokenTypes, Verifier, generate};
use phalanx_telemetry::clock;
use phalanx_test_servers::Postgres;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    accounts::signed_as,
    client::{Client, exchange, login, register, request},
    databases,
    fleet::{COOKIE, EMAIL, Fleet, PASSWORD, User, eventually, invalid_token, refresh},
    replica::Replica,
};

#[tokio::test]
async fn who_logs_in_at_one_replica_is_known_to_all_and_when_he_leaves_to_none() {
    for fleet in Fleet::both().await {
        let registered = fleet.registered().await;
        let user = fleet.logged_in().await;
        for replica in [&fleet.first, &fleet.second] {
            assert_eq!(user.get(replica, "/api/profile").await.json()["email"], EMAIL);
            assert_eq!(user.browse(replica, "GET", "/api/cart").await.status, 200);
        }
        let ended = user.post(&fleet.first, "/api/auth/logout").await;
        assert_eq!(ended.status, 204, "{ended:?}");
        let taken = ended.header("set-cookie").unwrap();
        assert!(taken.starts_with(&format!("{COOKIE}=;")) && taken.contains("Max-Age=0"), "{taken}");

        // At once where it was done, and soon elsewhere.
        assert_eq!(user.get(&fleet.first, "/api/profile").await.problem(), invalid_token());
        user.is_refused(&fleet.second).await;
        for replica in [&fleet.first, &fleet.second] {
            assert_eq!(user.refresh(replica).await.problem(), invalid_token());
            assert_eq!(user.browse(replica, "GET", "/api/cart").await.problem(), invalid_token());
            assert_eq!(registered.get(replica, "/api/profile").await.status, 200, "another login goes on");
        }
    }
}

#[tokio::test]
async fn a_cookie_logs_out_as_a_token_does() {
    let fleet = Fleet::over_files(&[]).await;
    let user = fleet.registered().await;
    assert_eq!(user.browse(&fleet.second, "POST", "/api/auth/logout").await.status, 204);
    assert_eq!(user.browse(&fleet.second, "POST", "/api/auth/logout").await.problem(), invalid_token());
    user.is_refused(&fleet.first).await;
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_fifty_at_once_agree() {
    for fleet in Fleet::both().await {
        let user = fleet.registered().await;
        let mut refreshes = JoinSet::new();
        for index in 0..50 {
            let address = [fleet.first.address, fleet.second.address][index % 2];
            let body = json!({ "refresh_token": user.refresh_token });
            let request = request("POST", "/api/auth/refresh", &[], Some(&body));
            refreshes.spawn(async move { exchange(address, &request).await });
        }
        let answers = refreshes.join_all().await;
        let next = User::of(&answers[0], 200);
        assert_ne!(next.refresh_token, user.refresh_token);
        for answer in &answers {
            assert_eq!(User::of(answer, 200).refresh_token, next.refresh_token);
            assert!(answer.headers("set-cookie").iter().all(|set| !set.starts_with(COOKIE)), "{answer:?}");
        }
        assert_eq!(next.get(&fleet.second, "/api/profile").await.status, 200);
        assert_eq!(next.refresh(&fleet.first).await.status, 200);
    }
}

#[tokio::test]
async fn what_is_no_refresh_token_is_refused() {
    let fleet = Fleet::over_files(&[]).await;
    let user = fleet.registered().await;
    let access_token = user.authorization.strip_prefix("Bearer ").unwrap();
    let long = "x".repeat(60_000);
    for token in ["", "x", access_token, &user.refresh_token[1..], &long] {
        assert_eq!(refresh(&fleet.first, token).await.problem(), invalid_token(), "{token}");
    }
    let missing = fleet.first.exchange(request("POST", "/api/auth/refresh", &[], Some(&json!({})))).await;
    assert_eq!(missing.json()["pointer"], "/refresh_token");
}

#[tokio::test]
async fn sessions_are_listed_and_ended_one_by_one() {
    for fleet in Fleet::both().await {
        let (first, second) = (fleet.registered().await, fleet.logged_in().await);
        let listed = second.get(&fleet.first, "/api/auth/sessions").await.json();
        let sessions = listed["sessions"].as_array().unwrap();
        let current: Vec<_> = sessions.iter().map(|session| session["current"].as_bool().unwrap()).collect();
        assert_eq!(current, [true, false], "the last begun first: {listed}");
        assert_eq!(sessions[0]["device"]["address"], "127.0.0.1");
        let path = format!("/api/auth/sessions/{}", sessions[1]["id"].as_str().unwrap());

        let stranger = User::of(&fleet.first.exchange(register("eve@example.com")).await, 201);
        assert_eq!(stranger.ask(&fleet.first, "DELETE", &path, None).await.problem().0, 404);
        assert_eq!(second.ask(&fleet.first, "DELETE", &path, None).await.status, 204);
        first.is_refused(&fleet.second).await;
        assert_eq!(first.refresh(&fleet.second).await.problem(), invalid_token());
        // Ended once more, it has ended.
        assert_eq!(second.ask(&fleet.first, "DELETE", &path, None).await.status, 204);
        assert_eq!(second.get(&fleet.second, "/api/profile").await.status, 200);
        for id in ["0", "-1", "1e3", "9223372036854775808", "%7B1%7D", "7"] {
            let path = format!("/api/auth/sessions/{id}");
            assert_eq!(second.ask(&fleet.first, "DELETE", &path, None).await.problem().0, 404, "{id}");
        }
    }
}

#[tokio::test]
async fn logout_all_ends_every_login_and_no_later_one() {
    for fleet in Fleet::both().await {
        let (first, second) = (fleet.registered().await, fleet.logged_in().await);
        assert_eq!(first.post(&fleet.first, "/api/auth/logout-all").await.status, 204);
        for user in [&first, &second] {
            user.is_refused(&fleet.first).await;
            user.is_refused(&fleet.second).await;
            assert_eq!(user.refresh(&fleet.second).await.problem(), invalid_token());
            assert_eq!(user.browse(&fleet.second, "GET", "/api/cart").await.problem(), invalid_token());
        }
        let again = fleet.logged_in().await;
        assert_eq!(again.get(&fleet.first, "/api/profile").await.status, 200);
        let listed = again.get(&fleet.second, "/api/auth/sessions").await.json();
        assert_eq!(listed["sessions"].as_array().unwrap().len(), 1, "{listed}");
    }
}

#[tokio::test]
async fn another_password_ends_all_sessions_and_begins_one() {
    let fleet = Fleet::over_files(&[]).await;
    let (first, second) = (fleet.registered().await, fleet.logged_in().await);
    let change =
        async |user: &User, body: Value| user.ask(&fleet.first, "PATCH", "/api/profile", Some(&body)).await;
    for (body, status, pointer) in [
        (json!({}), 422, Some("")),
        (json!({ "name": 1 }), 422, Some("/name")),
        (json!({ "email": "eve@example.com" }), 422, Some("")),
        (json!({ "password": "battery horse correct" }), 422, Some("/current_password")),
        (json!({ "current_password": PASSWORD }), 422, Some("/password")),
        (json!({ "current_password": PASSWORD, "password": "ada@example.com" }), 422, Some("/password")),
        (
            json!({ "current_password": "wrong horse", "password": "battery horse correct", "name": "Eve" }),
            401,
            None,
        ),
    ] {
        let answer = change(&first, body.clone()).await;
        assert_eq!((answer.problem().0, answer.json()["pointer"].as_str()), (status, pointer), "{body}");
    }
    assert_eq!(
        first.get(&fleet.first, "/api/profile").await.json()["name"],
        "Ada",
        "nothing was changed by halves"
    );

    let renamed = change(&first, json!({ "name": " Ada Lovelace " })).await;
    assert_eq!((renamed.status, &renamed.json()["name"]), (200, &json!("Ada Lovelace")), "{renamed:?}");
    assert_eq!(renamed.json().get("token"), None);
    let body = json!({ "current_password": PASSWORD, "password": "battery horse correct" });
    let fresh = User::of(&change(&first, body).await, 200);
    for user in [&first, &second] {
        user.is_refused(&fleet.first).await;
        user.is_refused(&fleet.second).await;
        assert_eq!(user.refresh(&fleet.first).await.problem(), invalid_token());
    }
    for replica in [&fleet.first, &fleet.second] {
        assert_eq!(fresh.get(replica, "/api/profile").await.json()["name"], "Ada Lovelace");
        assert_eq!(fresh.browse(replica, "GET", "/api/cart").await.status, 200);
    }
    assert_eq!(fleet.second.exchange(login(EMAIL, PASSWORD)).await.problem().0, 401);
    assert_eq!(fleet.second.exchange(login(EMAIL, "battery horse correct")).await.status, 200);
}

#[tokio::test]
async fn an_admin_changes_what_somebody_may_and_whether_he_may_anything() {
    for fleet in Fleet::both().await {
        let user = fleet.registered().await;
        let admin = signed_as("admin", "1", "api", 3600);
        let path = format!("/api/users/{}", user.id);
        let change = async |path: &str, body: Value| {
            let request = request("PATCH", path, &[("authorization", &admin)], Some(&body));
            fleet.first.exchange(request).await
        };
        for (body, pointer) in [
            (json!({}), ""),
            (json!({ "role": "root" }), "/role"),
            (json!({ "disabled": 1 }), "/disabled"),
            (json!({ "name": "Eve" }), ""),
        ] {
            let answer = change(&path, body.clone()).await;
            assert_eq!((answer.problem().0, &answer.json()["pointer"]), (422, &json!(pointer)), "{body}");
        }
        assert_eq!(
            change("/api/users/1", json!({ "disabled": true })).await.problem().0,
            422,
            "his own account"
        );
        assert_eq!(change("/api/users/2", json!({ "disabled": true })).await.problem().0, 404);

        let promoted = change(&path, json!({ "role": "admin" })).await;
        assert_eq!((promoted.status, &promoted.json()["role"]), (200, &json!("admin")), "{promoted:?}");
        user.is_refused(&fleet.second).await;
        let user = User::of(&user.refresh(&fleet.second).await, 200);
        assert_eq!(
            user.get(&fleet.second, "/api/users").await.status,
            200,
            "the login goes on, as an admin's"
        );

        let disabled = change(&path, json!({ "disabled": true })).await;
        assert_eq!((disabled.status, &disabled.json()["disabled"]), (200, &json!(true)), "{disabled:?}");
        user.is_refused(&fleet.first).await;
        user.is_refused(&fleet.second).await;
        assert_eq!(user.refresh(&fleet.second).await.problem(), invalid_token());
        let refused = fleet.second.exchange(login(EMAIL, PASSWORD)).await;
        assert_eq!(refused.problem(), (401, "Invalid credentials".to_owned()));

        assert_eq!(change(&path, json!({ "disabled": false })).await.status, 200);
        let user = fleet.logged_in().await;
        assert_eq!(user.get(&fleet.first, "/api/profile").await.json()["role"], "admin");
    }
}

#[tokio::test]
async fn a_cookie_counts_on_pages_of_the_service_alone() {
    let fleet = Fleet::over_files(&[]).await;
    let user = fleet.registered().await;
    let cookie = ("cookie", user.cookie.as_deref().unwrap());
    for (method, field, status) in [
        ("GET", ("sec-fetch-site", "cross-site"), 200),
        ("DELETE", ("sec-fetch-site", "same-origin"), 200),
        ("DELETE", ("sec-fetch-site", "same-site"), 403),
        ("DELETE", ("sec-fetch-site", "cross-site"), 403),
        ("DELETE", ("origin", "https://api"), 200),
        ("DELETE", ("origin", "https://evil.example"), 403),
        ("DELETE", ("origin", "null"), 403),
    ] {
        let answer = fleet.first.exchange(request(method, "/api/cart", &[cookie, field], None)).await;
        assert_eq!(answer.status, status, "{method} {field:?} {answer:?}");
    }
    // Of two proofs the one counts that no browser sends by itself.
    let both = [cookie, ("authorization", "Bearer of.no.use"), ("sec-fetch-site", "same-origin")];
    let answer = fleet.first.exchange(request("GET", "/api/cart", &both, None)).await;
    assert_eq!(answer.problem(), invalid_token());
    let (name, value) = cookie.1.split_once('=').unwrap();
    for forged in [
        format!("{name}={value}x"),
        format!("{name}=1.{value}"),
        format!("{name}="),
        format!("x{name}={value}"),
    ] {
        let answer = fleet.first.exchange(request("GET", "/api/cart", &[("cookie", &forged)], None)).await;
        assert_eq!(answer.problem().0, 401, "{forged}");
    }
    let set = fleet.first.exchange(login(EMAIL, PASSWORD)).await;
    let set = set.headers("set-cookie").into_iter().find(|set| set.starts_with(COOKIE)).unwrap().to_owned();
    for attribute in ["; Path=/;", "Max-Age=604800", "Secure", "HttpOnly", "SameSite=Lax"] {
        assert!(set.contains(attribute), "{set}");
    }
    // It is for sessions; what a token alone opens stays shut.
    assert_eq!(user.browse(&fleet.first, "GET", "/api/profile").await.problem().1, "No token provided");
}

#[tokio::test]
async fn who_guesses_has_to_wait_and_is_told_how_long() {
    for fleet in Fleet::both().await {
        let user = fleet.registered().await;
        let mut wrong = 0;
        let refused = loop {
            let answer = [&fleet.first, &fleet.second][wrong % 2].exchange(login(EMAIL, "wrong horse")).await;
            if answer.status == 429 {
                break answer;
            }
            assert_eq!(answer.problem(), (401, "Invalid credentials".to_owned()));
            wrong += 1;
            assert!(wrong < 100, "nobody ever has to wait");
        };
        assert_eq!(refused.problem(), (429, "Too many attempts".to_owned()));
        let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
        assert_eq!(user.get(&fleet.first, "/api/profile").await.status, 200, "whoever is in stays in");
        // After that time the owner is let in.
        eventually(async || fleet.second.exchange(login(EMAIL, PASSWORD)).await.status == 200).await;
    }
}

#[tokio::test]
async fn anybody_verifies_tokens_with_the_keys_that_are_shown() {
    let ring = KeyRing::of(vec![generate(Algorithm::EdDSA)]).unwrap().to_private_jwks();
    let directory = tempfile::tempdir().unwrap();
    let variables = [("DATA_DIR", directory.path().to_str().unwrap().to_owned()), ("JWT_KEYS", ring)];
    let settings =
        phalanx_api::Settings::from_variables(variables.map(|(name, value)| (name.to_owned(), value)));
    let replica = Replica::start(settings.unwrap()).await;
    let user = User::of(&replica.exchange(register(EMAIL)).await, 201);
    let shown = replica.get("/.well-known/jwks.json").await;
    assert_eq!(shown.header("cache-control"), Some("public, max-age=300"));
    let set = KeySet::from_jwks(&shown.text).unwrap();
    assert!(!shown.text.contains("\"d\""), "{}", shown.text);
    let terms = Terms {
        issuer: Some("phalanx".to_owned()),
        audience: Some("api".to_owned()),
        types: TokenTypes::AccessToken,
    };
    let token = user.authorization.strip_prefix("Bearer ").unwrap();
    let claims = Verifier::new(Keys::of(set), terms).verify(token.as_bytes(), clock::unix_seconds()).unwrap();
    assert_eq!((claims.subject.as_str(), claims.has_role("user")), (user.id.as_str(), true));
    assert_eq!(user.get(&replica, "/api/profile").await.status, 200);
    // A secret is nobody's to see.
    let fleet = Fleet::over_files(&[]).await;
    assert_eq!(fleet.first.get("/.well-known/jwks.json").await.json(), json!({ "keys": [] }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cookie_does_not_outlive_what_only_the_database_knows() {
    let server = Postgres::start(phalanx_test_servers::Settings::default());
    for ended in ["UPDATE accounts SET epoch = epoch + 1", "UPDATE logins SET ended_at = created_at"] {
        let url = server.url();
        let mut settings = databases::settings("api-1", &[("DATABASE_URL", &url)]);
        // A use is noted four times in that time, and the database is looked at then.
        settings.sessions.idle_timeout = Duration::from_secs(8);
        let replica = Replica::start(settings).await;
        assert_eq!(replica.get("/livez").await.status, 200);
        let email = format!("ada-{}@example.com", ended.len());
        let user = User::of(&replica.exchange(register(&email)).await, 201);
        assert_eq!(user.browse(&replica, "GET", "/api/cart").await.status, 200);
        // As if who did it had died before he told.
        server.execute(ended);
        eventually(async || user.browse(&replica, "GET", "/api/cart").await.status == 401).await;
    }
}

#[tokio::test]
async fn who_hangs_up_before_the_answer_has_logged_out_all_the_same() {
    for fleet in Fleet::both().await {
        fleet.registered().await;
        let mut users = Vec::new();
        for _ in 0..5 {
            let user = fleet.logged_in().await;
            let mut client = Client::connect(fleet.first.address).await;
            let fields = [("authorization", user.authorization.as_str())];
            client.send(&request("POST", "/api/auth/logout", &fields, None)).await;
            drop(client);
            users.push(user);
        }
        for user in users {
            user.is_refused(&fleet.first).await;
            user.is_refused(&fleet.second).await;
            eventually(async || user.refresh(&fleet.second).await.status == 401).await;
        }
    }
}
