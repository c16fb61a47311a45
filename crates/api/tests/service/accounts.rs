//! Accounts, logins and tokens, over one replica and over several.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use phalanx_auth::KeyRing;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    client::{Answer, exchange, get_as, login, post, register},
    replica::{Replica, SECRET, settings},
};

pub(crate) fn bearer(answer: &Value) -> String {
    format!("Bearer {}", answer["token"].as_str().unwrap())
}

#[tokio::test]
async fn an_account_made_on_one_replica_is_served_by_the_other() {
    let directory = tempfile::tempdir().unwrap();
    // Both begin at once, over a directory without secret and schema.
    let first = Replica::start(settings(directory.path(), "api-1")).await;
    let second = Replica::start(settings(directory.path(), "api-2")).await;

    let registered = first.exchange(register(" Ada@Example.com ")).await;
    assert_eq!(registered.status, 201, "{registered:?}");
    assert_eq!(registered.header("x-phalanx-instance"), Some("api-1"));
    assert_eq!(registered.header("cache-control"), Some("no-store"));
    let body = registered.json();
    let user = body["user"].clone();
    let id = user["id"].as_str().unwrap();
    assert_eq!(user, json!({ "id": id, "email": "ada@example.com", "name": "Ada", "role": "user" }));
    assert_eq!(registered.header("location"), Some(&*format!("/api/users/{id}")));

    let profile = second.exchange(get_as("/api/profile", &bearer(&body))).await;
    assert_eq!((profile.status, profile.header("x-phalanx-instance")), (200, Some("api-2")), "{profile:?}");
    assert_eq!(profile.json(), user);

    let logged_in = second.exchange(login("ADA@example.com", "correct horse")).await;
    assert_eq!(logged_in.status, 200, "{logged_in:?}");
    assert_eq!(logged_in.json()["user"], user);
    let profile = first.exchange(get_as("/api/profile", &bearer(&logged_in.json()))).await;
    assert_eq!(profile.json(), user);

    let public = second.get(&format!("/api/users/{id}")).await;
    assert_eq!((public.status, public.json()), (200, json!({ "id": id, "name": "Ada" })));
}

#[tokio::test]
async fn an_account_outlives_its_replica() {
    let directory = tempfile::tempdir().unwrap();
    let replica = Replica::over(directory.path()).await;
    let registered = replica.exchange(register("ada@example.com")).await.json();
    replica.stop().await;

    let replica = Replica::over(directory.path()).await;
    let profile = replica.exchange(get_as("/api/profile", &bearer(&registered))).await;
    assert_eq!(profile.json(), registered["user"], "the token still holds, so the secret was kept too");
    assert_eq!(replica.exchange(login("ada@example.com", "correct horse")).await.status, 200);
}

#[tokio::test]
async fn of_two_that_register_one_mailbox_at_once_one_wins() {
    let directory = tempfile::tempdir().unwrap();
    let replicas = [Replica::over(directory.path()).await, Replica::over(directory.path()).await];
    let mut requests = JoinSet::new();
    for (index, spelling) in
        ["ada@example.com", "Ada@example.com", "ADA@EXAMPLE.COM", " ada@example.com"].iter().enumerate()
    {
        let address = replicas[index % 2].address;
        requests.spawn(async move { exchange(address, &register(spelling)).await });
    }
    let answers = requests.join_all().await;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    let conflicts = answers.iter().filter(|answer| answer.status == 409);
    let told: Vec<_> = conflicts.map(Answer::problem).collect();
    assert_eq!((created, told), (1, vec![(409, "Email already registered".to_owned()); 3]), "{answers:?}");
}

#[tokio::test]
async fn an_unknown_address_and_a_wrong_password_get_the_same_answer() {
    let directory = tempfile::tempdir().unwrap();
    let replica = Replica::over(directory.path()).await;
    assert_eq!(replica.exchange(register("ada@example.com")).await.status, 201);
    let wrong = replica.exchange(login("ada@example.com", "wrong horse")).await;
    assert_eq!(wrong.problem(), (401, "Invalid credentials".to_owned()));
    assert_eq!(wrong.header("www-authenticate"), Some("Bearer"));
    for (email, password) in
        [("bob@example.com", "correct horse"), ("no address", "x"), ("ada@example.com", "")]
    {
        let unknown = replica.exchange(login(email, password)).await;
        assert_eq!((unknown.status, &unknown.text), (401, &wrong.text), "{email}");
    }
}

#[tokio::test]
async fn without_a_valid_token_a_profile_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let key = KeyRing::from_secret(SECRET.as_bytes()).unwrap();
    let replica = Replica::start(phalanx_api::Settings {
        token_keys: Some(key),
        ..settings(directory.path(), "api-1")
    })
    .await;
    let none = replica.get("/api/profile").await;
    assert_eq!(none.problem(), (401, "No token provided".to_owned()));
    assert_eq!(none.header("www-authenticate"), Some("Bearer"));

    let registered = replica.exchange(register("ada@example.com")).await.json();
    let id = registered["user"]["id"].as_str().unwrap();
    let invalid = "Invalid token";
    let cases = [
        (bearer(&registered), 200, ""),
        (format!("{}x", bearer(&registered)), 401, invalid),
        ("Bearer x".to_owned(), 401, invalid),
        (format!("Bearer {}", "a".repeat(10_000)), 401, invalid),
        ("Basic YTpi".to_owned(), 401, "No token provided"),
        (signed(id, "api", 60), 200, ""),
        (signed(id, "other", 60), 401, invalid),
        (signed("1", "api", 60), 401, invalid),
        (signed("1 OR 1=1", "api", 60), 401, invalid),
        (signed(id, "api", -1), 401, "Token expired"),
    ];
    for (authorization, status, error) in cases {
        let answer = replica.exchange(get_as("/api/profile", &authorization)).await;
        assert_eq!(answer.status, status, "{authorization} {answer:?}");
        if status == 401 {
            assert_eq!(answer.problem().1, error, "{authorization}");
            let challenge = answer.header("www-authenticate").unwrap();
            let told = challenge.starts_with("Bearer error=\"invalid_token\"");
            assert_eq!(told, error != "No token provided", "{challenge}");
        }
    }
}

#[tokio::test]
async fn sql_in_a_value_is_text() {
    let directory = tempfile::tempdir().unwrap();
    takes_sql_as_text(&Replica::over(directory.path()).await).await;
}

/// A11, over either kind of database.
pub(crate) async fn takes_sql_as_text(replica: &Replica) {
    let name = "Robert'); DROP TABLE accounts;--";
    let body = json!({ "email": "';--@example.com", "password": "' OR '1'='1", "name": name });
    let registered = replica.exchange(post("/api/auth/register", body.to_string())).await;
    assert_eq!(registered.json()["user"]["name"], name, "{registered:?}");
    assert_eq!(replica.exchange(login("';--@example.com", "' OR '1'='1")).await.status, 200);
    assert_eq!(replica.exchange(login("' OR '1'='1", "' OR '1'='1")).await.status, 401);
}

/// A token with the replica's own key that expires `seconds` from the present.
pub(crate) fn signed(subject: &str, audience: &str, seconds: i64) -> String {
    signed_as("user", subject, audience, seconds)
}

/// The same of an account with this role.
pub(crate) fn signed_as(role: &str, subject: &str, audience: &str, seconds: i64) -> String {
    let now = i64::try_from(phalanx_telemetry::clock::unix_seconds()).unwrap();
    let claims = json!({
        "sub": subject, "sid": subject, "sv": 0, "role": role, "iss": "phalanx", "aud": audience,
        "iat": now - 60, "nbf": now - 60, "exp": now + seconds, "jti": "1",
    });
    let header = Header { typ: Some("at+jwt".to_owned()), ..Header::new(Algorithm::HS256) };
    let token = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap();
    format!("Bearer {token}")
}
