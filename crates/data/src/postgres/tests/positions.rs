//! The position of a write, what a standby says of it, and who takes writes.

use super::*;
use crate::{Isolation, Position, backend::Role};

#[tokio::test(flavor = "multi_thread")]
async fn positions_grow_and_are_at_or_behind_the_commit() {
    let postgres = database();
    let client = Client::of(ServerSettings::new(postgres.url()));
    let mut last = 0;
    for id in 0..20 {
        let before = postgres.position();
        let written = client.add(id).await.unwrap();
        let position = written.position.unwrap();
        assert_eq!((position.shard, position.timeline), (ShardId(3), 1));
        assert!(position.lsn > before && position.lsn > last, "{position:?} {before}");
        assert_eq!((written.count, written.rows[0].get::<i64>("id").unwrap()), (1, id));
        last = position.lsn;
    }
    let mut transaction = client.server.begin(Isolation::Serializable).await.unwrap();
    transaction.run(Query { statement: &ADD, values: &[100.into(), "text".into()] }).await.unwrap();
    let before = postgres.position();
    let position = transaction.commit().await.unwrap().unwrap();
    assert!(position.lsn > before, "the commit's own record lies between them");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guarded_read_answers_once_the_standby_is_as_far() {
    let primary = database();
    let standby = primary.replica();
    let writer = Client::of(ServerSettings::new(primary.url()));
    let reader = Client::of(ServerSettings::new(standby.url()));
    writer.add(0).await.unwrap();
    standby.wait_until_caught_up(&primary);
    standby.pause_replay();
    let position = writer.add(1).await.unwrap().position.unwrap();
    let values = [1.into()];
    let guarded = async |client: &Client, position: Position| {
        client.server.read_guarded(position, Query { statement: &NOTE, values: &values }).await.unwrap()
    };
    assert_eq!(guarded(&reader, position).await, None);
    assert_eq!(reader.read(&NOTE, &values).await.unwrap(), [], "without the guard it is the stale answer");
    assert_eq!(guarded(&writer, position).await, None, "a primary replays nothing");
    standby.resume_replay();
    eventually("the standby never gets there", async || guarded(&reader, position).await.is_some()).await;
    let rows = guarded(&reader, position).await.unwrap();
    assert_eq!(rows[0].get::<String>("text").unwrap(), "text");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_refuses_writes_and_says_what_it_is_before_and_after_its_promotion() {
    let primary = database();
    let standby = primary.replica();
    let writer = Client::of(ServerSettings::new(primary.url()));
    let client = Client::of(ServerSettings::new(standby.url()));
    let position = writer.add(1).await.unwrap().position.unwrap();
    standby.wait_until_caught_up(&primary);
    let refused = client.add(2).await.unwrap_err();
    assert!(matches!(&refused, AccessError::ReadOnly { server } if **server == *client.server.name()));

    let of_primary = writer.server.probe().await.unwrap();
    let of_standby = client.server.probe().await.unwrap();
    assert_eq!(of_primary.role, Role::Primary);
    assert!(of_primary.lsn >= position.lsn && of_standby.lsn >= position.lsn);
    assert_eq!(of_primary.system_identifier, of_standby.system_identifier);
    assert_eq!(
        (of_standby.timeline, &*of_standby.database, of_standby.version / 10_000),
        (1, "postgres", 15)
    );
    let connections = of_standby.connections.unwrap();
    assert_eq!((connections.max, connections.reserved), (60, 3));
    assert!((1..=connections.used).contains(&connections.to_database), "{connections:?}");
    let Role::Standby { replay_age: Some(age), received_lsn: Some(received), heard_ago: Some(_) } =
        of_standby.role
    else {
        panic!("{of_standby:?}");
    };
    assert!(age < Duration::from_secs(60) && received >= position.lsn, "{of_standby:?}");

    standby.promote();
    let position = client.add(3).await.unwrap().position.unwrap();
    assert_eq!(position.timeline, 2, "the control file's is still the old one");
    let promoted = client.server.probe().await.unwrap();
    assert_eq!((promoted.role, promoted.timeline), (Role::Primary, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_and_transactions_tell_the_epoch() {
    const EPOCH: Statement =
        Statement::new("epoch", "SELECT current_setting('phalanx.epoch', true) AS epoch");
    let postgres = database();
    let plain = ServerSettings::new(postgres.url());
    let pooled = ServerSettings { pooler: crate::Pooler::Transaction, ..plain.clone() };
    for settings in [plain, pooled] {
        let client = Client::of(settings);
        client.write(&EPOCH, &[]).await.unwrap();
        for epoch in ["7", "8"] {
            client.server.set_epoch(epoch.parse().unwrap());
            for _ in 0..8 {
                let told = client.write(&EPOCH, &[]).await.unwrap().rows[0].get::<String>("epoch").unwrap();
                assert_eq!(told, epoch);
            }
            let mut transaction = client.server.begin(Isolation::ReadCommitted).await.unwrap();
            let (rows, _) = transaction.run(Query { statement: &EPOCH, values: &[] }).await.unwrap();
            assert_eq!(rows[0].get::<String>("epoch").unwrap(), epoch);
            transaction.rollback().await.unwrap();
        }
    }
}
