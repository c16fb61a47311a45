//! More logins than can be hashed.

use std::num::NonZeroUsize;

use phalanx_api::Settings;
use phalanx_auth::{HashingSettings, PASSWORD_BYTES_MAX};
use tokio::task::JoinSet;

use serde_json::json;

use crate::{
    client::{exchange, get_as, login, register},
    http2::Streams,
    replica::{Replica, settings},
};

/// Fewer than one address may try without a wait.
const LOGINS: usize = 40;
/// On few connections, so that the test needs few descriptors.
const CONNECTIONS: usize = 2;
const LOGINS_ON_EACH: usize = 250;

#[tokio::test]
async fn a_flood_of_logins_is_refused_past_the_queue_while_other_routes_answer() {
    let directory = tempfile::tempdir().unwrap();
    let hashing = HashingSettings { threads: NonZeroUsize::MIN, hash_queue_max: NonZeroUsize::MIN };
    let replica = Replica::start(Settings { hashing, ..settings(directory.path(), "api-1") }).await;
    let mut logins = JoinSet::new();
    for number in 0..LOGINS {
        let address = replica.address;
        let email = format!("ada-{number}@example.com");
        logins.spawn(async move { exchange(address, &login(&email, "correct horse")).await });
    }
    for path in ["/health", "/ready", "/api/catalog"] {
        assert_eq!(replica.get(path).await.status, 200, "{path}");
    }
    let answers = logins.join_all().await;
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 503).collect();
    let verified = answers.iter().filter(|answer| answer.status == 401).count();
    assert!(!refused.is_empty() && verified > 0 && refused.len() + verified == LOGINS, "{answers:?}");
    for answer in refused {
        assert_eq!(answer.problem(), (503, "Overloaded".to_owned()));
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
}

/// A07. Whoever is let in, hashing has its bounds: nobody else waits for it, and what cannot be a password never gets there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_logins_at_once_are_answered_and_nobody_else_waits() {
    let directory = tempfile::tempdir().unwrap();
    let replica = Replica::over(directory.path()).await;
    let registered = replica.exchange(register("ada@example.com")).await.json();
    let bearer = format!("Bearer {}", registered["token"].as_str().unwrap());
    let mut logins = JoinSet::new();
    let mut connections = Vec::new();
    for connection in 0..CONNECTIONS {
        let mut streams = Streams::connect(replica.address).await;
        streams.get("/health").await;
        for number in 0..LOGINS_ON_EACH {
            let email = format!("{connection}-{number}@example.com");
            let body = json!({ "email": email, "password": "correct horse" });
            logins.spawn(streams.post("/api/auth/login", &body));
        }
        connections.push(streams);
    }
    let profile = replica.exchange(get_as("/api/profile", &bearer)).await;
    assert_eq!((profile.status, profile.json()), (200, registered["user"].clone()));
    for path in ["/livez", "/ready", "/api/catalog"] {
        assert_eq!(replica.get(path).await.status, 200, "{path}");
    }
    for (length, problem) in
        [(PASSWORD_BYTES_MAX + 1, (422, "Invalid fields")), (1 << 20, (413, "Body too large"))]
    {
        let answer = replica.exchange(login("ada@example.com", &"x".repeat(length))).await;
        assert_eq!(answer.problem(), (problem.0, problem.1.to_owned()), "{length}");
    }
    let mut verified = 0;
    for (status, problem) in logins.join_all().await {
        match status {
            401 => verified += 1,
            // Past the queue, or past what one address may try.
            503 | 429 => {}
            _ => panic!("{status}: {problem}"),
        }
    }
    assert!(verified > 0);
}
