//! Servers behind PgBouncer in transaction mode, where the next statement may be in another session.

use phalanx_data::{
    AccessError, Consistency, Isolation, MigrateMode, Migration, Pooler, ServerSettings, ServerUrl, Servers,
    Settings, Shard, ShardServers, Statement, Transaction, migrate,
};
use phalanx_test_servers::{PgBouncer, Postgres, Settings as Server};

use crate::support::{BY_ID, INSERT, Running, bodies, settings};

const NOTES: &[Migration] = &[Migration::new(
    "notes",
    "CREATE TABLE notes (id bigint PRIMARY KEY, body text NOT NULL); SELECT phalanx.fence_table('notes', 'id')",
)];
const APPEND: Statement = Statement::new("note_append", "UPDATE notes SET body = body || $2 WHERE id = $1");

async fn insert_and_append(shard: &Shard, id: i64) {
    let written = shard.write(&INSERT, &[id.into(), "a".into()]).await.unwrap();
    assert!(written.position.is_some());
    let append = async |transaction: &mut Transaction| {
        let rows = transaction.query(&BY_ID, &[id.into()]).await?;
        assert_eq!(rows[0].get::<String>("body")?, "a");
        transaction.execute(&APPEND, &[id.into(), "b".into()]).await
    };
    let done = shard.transaction::<_, AccessError>(Isolation::Serializable, append).await;
    let (changed, position) = done.unwrap();
    assert_eq!(changed, 1);
    assert_eq!(bodies(shard, &Consistency::after(position), id).await, ["ab"]);
}

/// The fence is told the epoch, though a session keeps nothing from one transaction to the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_transactions_and_the_fence_do_without_a_session() {
    let primary = Postgres::start(Server::default());
    let pooler = PgBouncer::start(&primary, 2);
    let of = |url: &str| {
        let primary = ServerUrl::parse(url).unwrap();
        Servers::new(vec![ShardServers { primary, replicas: Vec::new() }]).unwrap()
    };
    migrate(&of(&primary.url()), &settings(), NOTES, MigrateMode::Apply).await.unwrap();
    let connections = ServerSettings { pooler: Pooler::Transaction, ..settings().connections };
    let running = Running::open(&of(&pooler.url()), Settings { connections, ..settings() }).await.unwrap();
    let shard = running.data.shard_for(phalanx_shard::Bucket::of_low_bits(0));

    // Not in tasks: the compiler cannot prove that such a transaction's future may go to another thread.
    futures_util::future::join_all((1..=20).map(|client| insert_and_append(&shard, client * 4096))).await;
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' \
                    AND pid <> pg_backend_pid()";
    let sessions: u32 = primary.query_one_text(sessions).parse().unwrap();
    assert!((1..=2).contains(&sessions), "{sessions}");

    // Another has given the bucket away under an epoch that this process does not know.
    primary.execute("UPDATE phalanx.buckets SET owner = 2, epoch = 9 WHERE bucket = 7");
    let strange = running.data.shards()[0].write(&INSERT, &[7.into(), "x".into()]).await;
    assert!(matches!(strange, Err(AccessError::Moved { .. })), "{strange:?}");
    running.close().await;
}
