use phalanx_data::DataDirectory;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{Revocation, SharedState, state::Store};

/// In Unix seconds.
const NOW: u64 = 1_000_000;
const LEEWAY: u64 = CLOCK_LEEWAY.as_secs();

fn session(session: &str, until: u64) -> Entry {
    Entry::new(&Revocation::Session { session: session.to_owned() }, until)
}

async fn feed(folder: &tempfile::TempDir) -> (EmbeddedFeed, JoinSet<()>) {
    let directory = DataDirectory::create(folder.path().join("data")).unwrap();
    let (state, upkeep) = SharedState::embedded(directory).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(upkeep.run(CancellationToken::new()));
    let Store::Embedded(state) = state.store else { unreachable!("it was opened as one") };
    (EmbeddedFeed::new(state), tasks)
}

async fn ids(follower: &mut EmbeddedFollower) -> Option<Vec<String>> {
    match follower.next().await.unwrap() {
        Page::Next { entries, end: PageEnd::OfFeed, unreadable: 0 } => {
            Some(entries.into_iter().map(|entry| entry.target.id).collect())
        }
        Page::Restarted => None,
        page => panic!("{page:?}"),
    }
}

#[tokio::test]
async fn a_follower_goes_on_where_it_was_and_begins_again_where_that_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let (feed, _tasks) = feed(&folder).await;
    let mut follower = feed.follower();
    assert_eq!(ids(&mut follower).await.unwrap(), [""; 0]);
    feed.publish(&[session("a", NOW + 1), session("b", NOW + 9)], NOW).await.unwrap();
    assert_eq!(ids(&mut follower).await.unwrap(), ["a", "b"]);
    assert_eq!(ids(&mut follower).await.unwrap(), [""; 0]);
    // What is over leaves with a later publication, and not before everybody's clock says so.
    feed.publish(&[session("c", NOW + 100)], NOW + LEEWAY).await.unwrap();
    assert_eq!(ids(&mut feed.follower()).await.unwrap(), ["a", "b", "c"]);
    feed.publish(&[session("d", NOW + 100)], NOW + 1 + LEEWAY).await.unwrap();
    assert_eq!(ids(&mut follower).await.unwrap(), ["c", "d"], "it stood at `b`, which is still there");
    // A file from a backup, say: the last row that was read is not in it.
    const DELETE: Statement = Statement::new("test_delete", "DELETE FROM revocations WHERE id = 'd'");
    feed.state.shard().write(&DELETE, &[]).await.unwrap();
    assert_eq!(ids(&mut follower).await, None);
    assert_eq!(ids(&mut follower).await.unwrap(), ["b", "c"]);
    assert_eq!(ids(&mut follower).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn texts_and_numbers_are_stored_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let (feed, _tasks) = feed(&folder).await;
    let id = "'\"],[\\ é ; --";
    let entry = Entry::new(&Revocation::Subject { subject: id.to_owned(), epoch: u64::MAX }, u64::MAX);
    feed.publish(std::slice::from_ref(&entry), NOW).await.unwrap();
    let found = feed.ask(&Marks { session: None, subject: id, epoch: 7 }).await.unwrap();
    assert_eq!(found.len(), 1);
    assert!(found[0].revokes(&Marks { session: None, subject: id, epoch: 7 }, NOW));
    for (session, subject) in [(Some(id), ""), (None, "é"), (Some(""), "")] {
        assert_eq!(
            feed.ask(&Marks { session, subject, epoch: 0 }).await.unwrap(),
            [],
            "{session:?} {subject}"
        );
    }
}
