//! Replicas of one machine that share a file.

use phalanx_auth::{Freshness, RevocationSettings, Revocations, SharedState, Standing};
use phalanx_data::DataDirectory;

use crate::support::{HOUR, Replica, of_session, of_subject, session, subject};

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_share_a_file_share_revocations() {
    let folder = tempfile::tempdir().unwrap();
    let directory = || DataDirectory::create(folder.path().join("data")).unwrap();
    let first = Replica::in_directory(directory()).await;
    let second = Replica::in_directory(directory()).await;
    for replica in [&first, &second] {
        replica.reads_to_the_end().await;
        assert_eq!(replica.revocations.check(of_session("s1")), Standing::Live);
    }
    first.revoke(session("s1")).await;
    second.revoke(subject("u1", 3)).await;
    let late = Replica::in_directory(directory()).await;
    for replica in [&first, &second, &late] {
        replica.refuses(of_session("s1")).await;
        replica.refuses(of_subject("u1", 2)).await;
        replica.reads_to_the_end().await;
        assert_eq!(replica.revocations.check(of_subject("u1", 3)), Standing::Live);
        assert_eq!(replica.asks(of_subject("u1", 3)).await, Standing::Live);
    }
    let many: Vec<_> = (0..2500).map(|number| session(&format!("many {number}"))).collect();
    first.revocations.revoke(&many, HOUR).await.unwrap();
    second.refuses(of_session("many 2499")).await;
}

#[tokio::test]
async fn the_file_answers_a_process_that_has_not_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let directory = DataDirectory::create(folder.path().join("data")).unwrap();
    let (state, upkeep) = SharedState::embedded(directory).await.unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(upkeep.run(stop.clone()));
    let stranger = || Revocations::follow(&state, RevocationSettings::default()).0;
    stranger().revoke(&[session("s1"), subject("u1", 3)], HOUR).await.unwrap();
    let asking = stranger();
    for (token, standing) in [
        (of_session("s1"), Standing::Revoked),
        (of_session("s2"), Standing::Live),
        (of_subject("u1", 2), Standing::Revoked),
        (of_subject("u1", 3), Standing::Live),
    ] {
        assert_eq!(asking.permits(token, Freshness::Feed).await.unwrap(), standing, "{token:?}");
    }
    stop.cancel();
    tasks.join_all().await;
}
