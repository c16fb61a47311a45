//! A bucket that moves from one shard to another while clients use it, step by step as a resharding takes them, by hand.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use phalanx_data::{
    AccessError, Consistency, Data, Isolation, MigrateMode, Migration, Position, Reason, Servers, Settings,
    Shard, ShardId, Target, Transaction, migrate,
};
use phalanx_shard::Bucket;
use phalanx_telemetry::clock;
use phalanx_test_servers::{Postgres, Settings as Server};
use tokio::task::JoinSet;

use crate::support::{BY_ID, INSERT, PATIENCE, Running, TABLE, bodies, servers, settings};

const MIGRATIONS: &[Migration] =
    &[Migration::new("notes", TABLE), Migration::new("fence", "SELECT phalanx.fence_table('notes', 'id')")];
/// The one that moves, in the first shard of two at the start.
const BUCKET: u16 = 5;
/// Longer than any test.
const NEVER: Duration = Duration::from_secs(3600);

/// Two shards, of which the second may have a replica, and the bucket that moves from the first to it.
struct Two {
    source: Postgres,
    target: Postgres,
    replica: Option<Postgres>,
    servers: Servers,
}

/// The ids of that bucket.
fn id(number: i64) -> i64 {
    number * 4096 + i64::from(BUCKET)
}

/// The shard that has them.
fn shard(data: &Data) -> Shard {
    data.shard_for(Bucket::try_from(BUCKET).unwrap())
}

/// A process that learns of a change only by what it meets with.
fn unaware() -> Settings {
    Settings { map_period: NEVER, ..settings() }
}

impl Two {
    async fn start() -> Self {
        let (source, target) = (Postgres::start(Server::default()), Postgres::start(Server::default()));
        let servers = servers(&[(&source, &[]), (&target, &[])]);
        migrate(&servers, &settings(), MIGRATIONS, MigrateMode::Apply).await.unwrap();
        Self { source, target, replica: None, servers }
    }

    async fn with_replica() -> Self {
        let two = Self::start().await;
        let replica = two.target.replica();
        let servers = servers(&[(&two.source, &[]), (&two.target, &[&replica])]);
        Self { replica: Some(replica), servers, ..two }
    }

    /// Changes what both shards say of the bucket, the first one before the other.
    fn set(&self, assignments: &str) {
        for server in [&self.source, &self.target] {
            server.execute(&format!(
                "UPDATE phalanx.buckets SET {assignments} WHERE bucket = {BUCKET};
                 UPDATE phalanx.meta SET revision = revision + 1"
            ));
        }
    }

    fn pause(&self) {
        self.set("state = 'paused'");
    }

    /// The stream of changes: the new owner has all that the old one has.
    fn copy(&self, owner: u16) {
        let (from, to) = if owner == 2 { (&self.source, &self.target) } else { (&self.target, &self.source) };
        let rows = from.query_one_text(
            "SELECT coalesce(string_agg(format('(%s, %L)', id, body), ','), '') FROM notes WHERE id % 4096 = 5",
        );
        if !rows.is_empty() {
            to.execute(&format!(
                "SET session_replication_role = replica; INSERT INTO notes VALUES {rows} ON CONFLICT DO NOTHING"
            ));
        }
    }

    /// The owner changes, with the place from which on the new one has everything.
    fn give(&self, owner: u16, epoch: u64) {
        let server = if owner == 2 { &self.target } else { &self.source };
        let since = server.query_one_text("SELECT pg_current_wal_insert_lsn()");
        self.set(&format!(
            "owner = {owner}, reader = NULL, epoch = {epoch}, since_timeline = 1, since_lsn = '{since}'"
        ));
    }

    fn open(&self) {
        self.set("state = 'open'");
    }

    fn move_to(&self, owner: u16, epoch: u64) {
        self.pause();
        self.copy(owner);
        self.give(owner, epoch);
        self.open();
    }
}

/// Waits until `condition` holds.
async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let begun = clock::now();
    while !condition().await {
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn written(shard: &Shard, id: i64, body: &str) -> Position {
    shard.write(&INSERT, &[id.into(), body.into()]).await.unwrap().position.unwrap()
}

/// The same in a transaction.
async fn inserted(shard: &Shard, number: i64, isolation: Isolation) -> Result<Position, AccessError> {
    let insert = async |transaction: &mut Transaction| {
        transaction.execute(&INSERT, &[id(number).into(), "transaction".into()]).await
    };
    let (_, position) = shard.transaction::<_, AccessError>(isolation, insert).await?;
    Ok(position.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_wait_through_a_pause_and_write_at_the_new_owner() {
    let two = Two::start().await;
    let patient = Settings { primary_wait_max: PATIENCE, ..settings() };
    let running = Running::open(&two.servers, patient).await.unwrap();
    written(&shard(&running.data), id(1), "before").await;
    two.pause();

    let mut writers = JoinSet::new();
    for writer in 10..20 {
        let shard = shard(&running.data);
        writers.spawn(async move { written(&shard, id(writer), "single").await });
    }
    let shard = shard(&running.data);
    let levels = [Isolation::ReadCommitted, Isolation::RepeatableRead, Isolation::Serializable];
    let transactions = (20..).zip(levels).map(|(number, isolation)| inserted(&shard, number, isolation));
    let moving = async {
        let refusals = "SELECT xact_rollback >= 30 FROM pg_stat_database WHERE datname = current_database()";
        until("all of them are refused", async || two.source.query_one_text(refusals) == "t").await;
        assert!(writers.try_join_next().is_none(), "nobody can have written");
        two.copy(2);
        two.give(2, 2);
        two.open();
        writers.join_all().await
    };
    let (transactions, mut positions) = tokio::join!(join_all(transactions), moving);
    positions.extend(transactions.into_iter().map(Result::unwrap));
    assert_eq!(positions.len(), 13);
    assert!(positions.iter().all(|position| position.shard == ShardId(2)), "{positions:?}");
    assert_eq!(two.source.query_one_text("SELECT count(*) FROM notes"), "1");
    assert_eq!(two.target.query_one_text("SELECT count(*) FROM notes"), "14");
    assert_eq!(running.data.map().epoch(), 2);
    running.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_that_outlasts_the_wait_is_told() {
    let two = Two::start().await;
    let wait = Duration::from_millis(300);
    let hasty = Settings { primary_wait_max: wait, ..settings() };
    let running = Running::open(&two.servers, hasty).await.unwrap();
    two.pause();
    let begun = clock::now();
    let refused = shard(&running.data).write(&INSERT, &[id(1).into(), "x".into()]).await;
    assert!(matches!(refused, Err(AccessError::Moved { .. })), "{refused:?}");
    assert!(begun.elapsed() >= wait, "{:?}", begun.elapsed());

    let begun = clock::now();
    let refused = inserted(&shard(&running.data), 1, Isolation::ReadCommitted).await;
    assert!(matches!(refused, Err(AccessError::Moved { .. })), "{refused:?}");
    assert!(begun.elapsed() >= wait, "{:?}", begun.elapsed());

    // Whoever names the shard by its number wants no other, so there is nothing to wait for.
    let by_number = running.data.shard(ShardId(1)).unwrap();
    let refused = by_number.write(&INSERT, &[id(1).into(), "x".into()]).await;
    assert!(matches!(refused, Err(AccessError::Moved { .. })), "{refused:?}");
    running.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_with_an_old_map_writes_where_the_bucket_is_and_reads_what_others_wrote_there() {
    let two = Two::start().await;
    let writer = Running::open(&two.servers, unaware()).await.unwrap();
    let reader = Running::open(&two.servers, unaware()).await.unwrap();
    let before = written(&shard(&writer.data), id(1), "before").await;
    two.move_to(2, 2);
    assert_eq!((writer.data.map().epoch(), reader.data.map().epoch()), (1, 1));

    let position = written(&shard(&writer.data), id(2), "after").await;
    assert_eq!((before.shard, position.shard), (ShardId(1), ShardId(2)));
    let epoch = writer.data.map().epoch();
    assert_eq!((epoch, reader.data.map().epoch()), (2, 1));

    let token = Consistency::after([before, position]).at_epoch(epoch);
    let mut reads = JoinSet::new();
    for _ in 0..20 {
        let (shard, token) = (shard(&reader.data), token.clone());
        reads.spawn(async move { bodies(&shard, &token, id(2)).await });
    }
    assert!(reads.join_all().await.iter().all(|bodies| bodies == &["after"]));
    assert_eq!(reader.data.map().epoch(), 2);
    writer.close().await;
    reader.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_moved_is_seen_behind_a_replica_that_has_it_not_yet() {
    let two = Two::with_replica().await;
    let replica = two.replica.as_ref().unwrap();
    let running = Running::open(&two.servers, unaware()).await.unwrap();
    running.until(&["primary", "primary", "replica"]).await;
    let before = written(&shard(&running.data), id(1), "mine").await;
    replica.set_apply_delay(Duration::from_secs(600));
    two.move_to(2, 2);
    running.data.refresh_map().await;

    let mine = Consistency::after([before]);
    assert_eq!(bodies(&shard(&running.data), &mine, id(1)).await, ["mine"]);
    let anybody = Consistency::eventual();
    assert_eq!(bodies(&shard(&running.data), &anybody, id(1)).await, ["mine"], "it was there for all to see");
    let second = running.data.shard(ShardId(2)).unwrap();
    assert_eq!(bodies(&second, &anybody, id(1)).await, ["mine"], "a shard has all of its buckets");
    assert_eq!(running.data.reads().count(Target::Primary, Reason::Behind), 3, "{:?}", running.data.reads());
    // Reads of buckets that have always been there go to the replica, as ever.
    let elsewhere = running.data.shard_for(Bucket::try_from(4000).unwrap());
    assert!(bodies(&elsewhere, &anybody, 4000).await.is_empty());
    assert_eq!(running.data.reads().of(Target::Replica), 1, "{:?}", running.data.reads());

    replica.set_apply_delay(Duration::ZERO);
    replica.wait_until_caught_up(&two.target);
    assert_eq!(bodies(&shard(&running.data), &mine, id(1)).await, ["mine"]);
    assert_eq!(bodies(&shard(&running.data), &anybody, id(1)).await, ["mine"]);
    assert_eq!(running.data.reads().of(Target::Replica), 3, "{:?}", running.data.reads());
    running.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_epoch_that_no_shard_knows_is_read_from_the_primary() {
    let two = Two::with_replica().await;
    let running = Running::open(&two.servers, unaware()).await.unwrap();
    running.until(&["primary", "primary", "replica"]).await;
    let elsewhere = running.data.shard_for(Bucket::try_from(4000).unwrap());
    let position = written(&elsewhere, 4000, "mine").await;
    two.replica.as_ref().unwrap().wait_until_caught_up(&two.target);
    let lost = Consistency::after([position]).at_epoch(9);
    assert_eq!(bodies(&elsewhere, &lost, 4000).await, ["mine"]);
    assert_eq!(running.data.reads().count(Target::Primary, Reason::Epoch), 1, "{:?}", running.data.reads());
    assert_eq!(bodies(&elsewhere, &Consistency::after([position]).at_epoch(1), 4000).await, ["mine"]);
    assert_eq!(running.data.reads().of(Target::Replica), 1, "{:?}", running.data.reads());
    running.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_on_a_shard_that_the_topology_has_not_is_not_read_from_the_one_before() {
    let two = Two::start().await;
    let running = Running::open(&two.servers, unaware()).await.unwrap();
    let position = written(&shard(&running.data), id(1), "before").await;
    two.set("owner = 9, epoch = 2");
    let token = Consistency::after([position]).at_epoch(2);
    let refused = shard(&running.data).read(&token, &BY_ID, &[id(1).into()]).await;
    assert!(matches!(refused, Err(AccessError::Unreachable)), "{refused:?}");
    // Nothing else is lost.
    let elsewhere = running.data.shard_for(Bucket::try_from(4000).unwrap());
    written(&elsewhere, 4000, "mine").await;
    assert_eq!(bodies(&elsewhere, &token, 4000).await, ["mine"]);
    assert_eq!(running.data.map().epoch(), 1);
    running.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn switched_reads_go_to_the_reader_unless_they_ask_for_more() {
    let two = Two::start().await;
    let soon = Settings { map_period: Duration::from_millis(50), ..settings() };
    let running = Running::open(&two.servers, soon).await.unwrap();
    let shard = shard(&running.data);
    let position = written(&shard, id(1), "owner's").await;
    two.copy(2);
    two.target.execute("SET session_replication_role = replica; UPDATE notes SET body = 'reader''s'");
    let anybody = Consistency::eventual();
    assert_eq!(bodies(&shard, &anybody, id(1)).await, ["owner's"]);

    two.set("reader = 2");
    let shows = async |body| bodies(&shard, &anybody, id(1)).await == [body];
    until("reads go to the reader", async || shows("reader's").await).await;
    assert_eq!(bodies(&shard, &Consistency::after([]), id(1)).await, ["reader's"]);
    assert_eq!(bodies(&shard, &Consistency::after([position]), id(1)).await, ["owner's"]);
    let other = Position { shard: ShardId(2), timeline: 1, lsn: 1 };
    assert_eq!(bodies(&shard, &Consistency::after([other]), id(1)).await, ["owner's"]);
    assert_eq!(bodies(&shard, &Consistency::primary(), id(1)).await, ["owner's"]);
    assert_eq!(written(&shard, id(2), "owner's").await.shard, ShardId(1));

    two.set("reader = NULL");
    until("reads return to the owner", async || shows("owner's").await).await;
    assert_eq!(running.data.map().epoch(), 1, "nobody was given anything");
    running.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_writes_reads_it_at_any_process_while_the_bucket_moves_to_and_fro() {
    let two = Two::with_replica().await;
    two.replica.as_ref().unwrap().set_apply_delay(Duration::from_millis(200));
    let patient = Settings { primary_wait_max: PATIENCE, replica_wait_max: PATIENCE, ..settings() };
    // The last one never writes, so it hears of a move by what its clients bring along and in no other way.
    let processes = [
        Running::open(&two.servers, patient.clone()).await.unwrap(),
        Running::open(&two.servers, Settings { map_period: NEVER, ..patient.clone() }).await.unwrap(),
        Running::open(&two.servers, Settings { map_period: NEVER, ..patient }).await.unwrap(),
    ];
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for client in 0..8_usize {
        let [first, second, reader] = processes.each_ref().map(|process| process.data.clone());
        let stop = Arc::clone(&stop);
        clients.spawn(async move {
            let mut count = 0;
            while !stop.load(Ordering::Relaxed) {
                let id = id(i64::try_from(1 + client + 8 * count).unwrap());
                let writer = [&first, &second][(client + count) % 2];
                let position = written(&shard(writer), id, "mine").await;
                let token = Consistency::after([position]).at_epoch(writer.map().epoch());
                assert_eq!(bodies(&shard(&reader), &token, id).await, ["mine"], "{id} {position:?}");
                count += 1;
            }
            count
        });
    }
    for (epoch, owner) in (2..).zip([2, 1, 2, 1, 2]) {
        let before = processes[0].data.statements().iter().map(|statement| statement.calls).sum::<u64>();
        two.move_to(owner, epoch);
        let calls = || processes[0].data.statements().iter().map(|statement| statement.calls).sum::<u64>();
        until("clients go on after the move", async || calls() > before + 50).await;
    }
    stop.store(true, Ordering::Relaxed);
    let count: usize = clients.join_all().await.iter().sum();
    assert_eq!(two.target.query_one_text("SELECT count(*) FROM notes"), count.to_string());
    for process in processes {
        process.close().await;
    }
}
