//! More logins than can be hashed.

use std::num::NonZeroUsize;

use phalanx_api::Settings;
use phalanx_auth::HashingSettings;
use tokio::task::JoinSet;

use crate::{
    client::{exchange, login},
    replica::{Replica, settings},
};

const LOGINS: usize = 50;

#[tokio::test]
async fn a_flood_of_logins_is_refused_past_the_queue_while_other_routes_answer() {
    let directory = tempfile::tempdir().unwrap();
    let hashing = HashingSettings { threads: NonZeroUsize::MIN, hash_queue_max: NonZeroUsize::MIN };
    let replica = Replica::start(Settings { hashing, ..settings(directory.path(), "api-1") }).await;
    let mut logins = JoinSet::new();
    for _ in 0..LOGINS {
        let address = replica.address;
        logins.spawn(async move { exchange(address, &login("ada@example.com", "correct horse")).await });
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
