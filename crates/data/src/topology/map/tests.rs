//! How often shards are asked for their map, whatever they answer.

use std::num::NonZeroU16;

use phalanx_shard::read::{Reason, Target};
use tokio::task::JoinSet;

use super::*;
use crate::{Consistency, Data, DataDirectory, EmbeddedSettings, Settings, ShardId};

const ONE: Statement = Statement::new("one", "SELECT 1 AS one");

async fn data(directory: &tempfile::TempDir) -> Data {
    let directory = DataDirectory::create(directory.path()).unwrap();
    let two = NonZeroU16::new(2).unwrap();
    let opening = Data::open_embedded(&directory, two, &[], EmbeddedSettings::default(), Settings::new());
    opening.await.unwrap().0
}

#[tokio::test]
async fn reads_at_once_of_an_epoch_that_is_not_known_cause_two_refreshes_at_most() {
    let directory = tempfile::tempdir().unwrap();
    let data = data(&directory).await;
    let before = data.shared.refreshes();
    let mut reads = JoinSet::new();
    for bucket in 0..50 {
        let shard = data.shard_for(Bucket::of_low_bits(bucket));
        reads.spawn(async move { shard.read(&Consistency::eventual().at_epoch(7), &ONE, &[]).await });
    }
    assert!(reads.join_all().await.iter().all(Result::is_ok));
    assert!((1..=2).contains(&(data.shared.refreshes() - before)), "{}", data.shared.refreshes());
    assert_eq!(data.reads().count(Target::Primary, Reason::Epoch), 50);
    data.shard(ShardId(1)).unwrap().read(&Consistency::eventual(), &ONE, &[]).await.unwrap();
    assert_eq!(data.reads().of(Target::Primary), 51, "a file is its own primary");
}

#[tokio::test]
async fn a_refresh_is_shared_by_who_comes_during_it_and_the_next_is_a_pause_later() {
    let directory = tempfile::tempdir().unwrap();
    let data = data(&directory).await;
    let begun = clock::now();
    let (first, second) = tokio::join!(refresh(&data.shared), refresh(&data.shared));
    assert_eq!((first, second), (Refresh::Own, Refresh::Shared));
    assert_eq!(refresh(&data.shared).await, Refresh::Own);
    assert!(begun.elapsed() >= REFRESH_PAUSE, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_map_is_taken_if_it_is_newer_and_its_shards_are_there() {
    let directory = tempfile::tempdir().unwrap();
    let data = data(&directory).await;
    let mut changing = Changing::default();
    let in_use = || {
        let version = data.shared.shards.load().routes.version();
        (version.epoch, version.revision)
    };
    let reader = |number| Transit { reader: shard_of(number), since: None };
    let routes = |epoch, revision, transit| {
        Routes::new(BucketMap::evenly(epoch, 2).unwrap(), revision, [(Bucket::of_low_bits(5), transit)])
    };
    for (offered, expected) in [
        (routes(1, 4, Transit::default()), (1, 4)),
        (routes(1, 3, Transit::default()), (1, 4)),
        (routes(1, 5, reader(2)), (1, 5)),
        (routes(1, 6, reader(3)), (1, 5)),
        (routes(0, 9, Transit::default()), (1, 5)),
        (routes(2, 0, Transit::default()), (2, 0)),
    ] {
        take(&data.shared, &mut changing, offered);
        assert_eq!(in_use(), expected);
    }
    assert_eq!(changing.refused, Some(MapVersion { epoch: 1, revision: 6 }));
}
