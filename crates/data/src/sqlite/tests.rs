//! A file behind the seam: the same statements as a server takes.

use std::time::Duration;

use super::*;
use crate::{Again, ColumnError, ParameterFault, Statement, Value, backend::Endpoint};

const MIGRATIONS: &[Migration] = &[Migration::new(
    "notes",
    "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE, stars REAL, raw BLOB, CHECK (id > 0))",
)];
const ADD: Statement = Statement::new("add", "INSERT INTO notes (id, text) VALUES ($1, $2)");
const ALL: Statement = Statement::new("all", "SELECT id, text FROM notes ORDER BY id");

async fn open(directory: &tempfile::TempDir, shard: u16, settings: EmbeddedSettings) -> Endpoint {
    let directory = DataDirectory::create(directory.path()).unwrap();
    Endpoint::Sqlite(File::open(&directory, ShardId(shard), MIGRATIONS, settings).await.unwrap().0)
}

async fn add(endpoint: &Endpoint, id: i64, text: &str) -> Result<Written, AccessError> {
    endpoint.write(Query { statement: &ADD, values: &[id.into(), text.into()] }).await
}

async fn ids(endpoint: &Endpoint) -> Vec<i64> {
    let rows = endpoint.read(Query { statement: &ALL, values: &[] }).await.unwrap();
    rows.iter().map(|row| row.get("id").unwrap()).collect()
}

#[tokio::test]
async fn every_value_comes_back_and_parameters_go_by_their_number() {
    const SAVE: Statement = Statement::new(
        "save",
        "INSERT INTO notes (text, id, stars, raw) VALUES ($2, $1, $4, $3) RETURNING id, stars, raw, $5 AS flag, NULL AS none",
    );
    let directory = tempfile::tempdir().unwrap();
    let endpoint = open(&directory, 1, EmbeddedSettings::default()).await;
    let values = [7.into(), "ä'".into(), Value::Bytes(vec![0, 255]), 2.5.into(), true.into()];
    let written = endpoint.write(Query { statement: &SAVE, values: &values }).await.unwrap();
    assert_eq!((written.count, written.rows.len()), (1, 1));
    let row = &written.rows[0];
    assert_eq!(row.get::<i64>("id"), Ok(7));
    assert_eq!(row.get::<f64>("stars"), Ok(2.5));
    assert_eq!(row.get::<Vec<u8>>("raw"), Ok(vec![0, 255]));
    assert_eq!(row.get::<bool>("flag"), Ok(true));
    assert_eq!(row.get::<Option<String>>("none"), Ok(None));
    assert!(matches!(row.get::<i64>("absent"), Err(ColumnError::Missing { .. })));
    assert_eq!(written.position.unwrap().shard, ShardId(1));
}

#[tokio::test]
async fn faults_have_the_form_that_servers_faults_have() {
    let directory = tempfile::tempdir().unwrap();
    let endpoint = open(&directory, 1, EmbeddedSettings::default()).await;
    add(&endpoint, 1, "a").await.unwrap();
    let taken = add(&endpoint, 2, "a").await.unwrap_err();
    assert!(
        matches!(&taken, AccessError::UniqueViolation { constraint } if constraint == "notes.text"),
        "{taken:?}"
    );
    let broken = add(&endpoint, -1, "b").await.unwrap_err();
    assert!(
        matches!(&broken, AccessError::ConstraintViolation { constraint } if constraint == "id > 0"),
        "{broken:?}"
    );
    let nul = add(&endpoint, 3, "c\0d").await.unwrap_err();
    let fault = |error: AccessError| match error {
        AccessError::Parameter { number, fault, .. } => (number, fault),
        other => panic!("{other:?}"),
    };
    assert_eq!(fault(nul), (2, ParameterFault::Nul));
    let few = endpoint.write(Query { statement: &ADD, values: &[1.into()] }).await.unwrap_err();
    assert_eq!(fault(few), (2, ParameterFault::Count { wanted: 2, given: 1 }));
    let smuggled = endpoint.read(Query { statement: &ADD, values: &[4.into(), "d".into()] }).await;
    assert_eq!(smuggled.unwrap_err().verdict().again, Again::Never);
    assert_eq!(ids(&endpoint).await, [1]);
}

#[tokio::test]
async fn a_transaction_is_seen_when_it_is_committed_and_never_otherwise() {
    let directory = tempfile::tempdir().unwrap();
    let endpoint = open(&directory, 1, EmbeddedSettings::default()).await;
    let mut transaction = endpoint.begin(Isolation::ReadCommitted).await.unwrap();
    assert_eq!(transaction.execute(&ADD, &[1.into(), "a".into()]).await.unwrap(), 1);
    assert_eq!(transaction.query(&ALL, &[]).await.unwrap().len(), 1, "it sees itself");
    assert!(ids(&endpoint).await.is_empty());
    transaction.commit().await.unwrap().unwrap();
    assert_eq!(ids(&endpoint).await, [1]);

    let mut dropped = endpoint.begin(Isolation::Serializable).await.unwrap();
    dropped.execute(&ADD, &[2.into(), "b".into()]).await.unwrap();
    drop(dropped);
    let mut undone = endpoint.begin(Isolation::Serializable).await.unwrap();
    undone.execute(&ADD, &[3.into(), "c".into()]).await.unwrap();
    undone.rollback().await.unwrap();
    // The writer goes on, and writes that waited for it do.
    add(&endpoint, 4, "d").await.unwrap();
    assert_eq!(ids(&endpoint).await, [1, 4]);
}

#[tokio::test]
async fn a_transaction_that_idles_is_rolled_back_and_told_so() {
    let directory = tempfile::tempdir().unwrap();
    let idle =
        EmbeddedSettings { transaction_idle_max: Duration::from_millis(20), ..EmbeddedSettings::default() };
    let endpoint = open(&directory, 1, idle).await;
    let mut transaction = endpoint.begin(Isolation::ReadCommitted).await.unwrap();
    transaction.execute(&ADD, &[1.into(), "a".into()]).await.unwrap();
    // It waits in the queue until the writer is free again.
    add(&endpoint, 2, "b").await.unwrap();
    let late = transaction.execute(&ADD, &[3.into(), "c".into()]).await.unwrap_err();
    assert!(matches!(late, AccessError::TransactionLost), "{late:?}");
    assert!(matches!(transaction.commit().await, Err(AccessError::TransactionLost)));
    assert_eq!(ids(&endpoint).await, [2]);
}

#[tokio::test]
async fn a_transaction_that_goes_on_for_too_long_is_rolled_back() {
    let directory = tempfile::tempdir().unwrap();
    let short =
        EmbeddedSettings { transaction_length_max: Duration::from_millis(50), ..EmbeddedSettings::default() };
    let endpoint = open(&directory, 1, short).await;
    let mut transaction = endpoint.begin(Isolation::ReadCommitted).await.unwrap();
    let busy = async { while transaction.query(&ALL, &[]).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(30), busy).await.expect("it goes on for ever");
}

#[tokio::test]
async fn shards_are_files_and_the_first_keeps_its_name() {
    let directory = tempfile::tempdir().unwrap();
    for (shard, name) in [(1, "phalanx.db"), (2, "phalanx-2.db")] {
        let endpoint = open(&directory, shard, EmbeddedSettings::default()).await;
        add(&endpoint, i64::from(shard), "here").await.unwrap();
        assert_eq!(ids(&endpoint).await, [i64::from(shard)]);
        assert!(directory.path().join(name).is_file(), "{name}");
    }
}

#[tokio::test]
async fn a_file_of_a_version_without_checksums_is_taken_over_and_edits_are_told_from_then_on() {
    static EDITED: &[Migration] = &[Migration::new("notes", "CREATE TABLE notes (id INTEGER)")];
    let directory = tempfile::tempdir().unwrap();
    let before = rusqlite::Connection::open(directory.path().join("phalanx.db")).unwrap();
    before
        .execute_batch(
            "CREATE TABLE phalanx_migrations (
                 number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL
             ) STRICT;
             INSERT INTO phalanx_migrations VALUES (1, 'notes', 1);
             CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE, stars REAL, raw BLOB);
             INSERT INTO notes (id, text) VALUES (1, 'kept')",
        )
        .unwrap();
    drop(before);
    assert_eq!(ids(&open(&directory, 1, EmbeddedSettings::default()).await).await, [1]);
    let place = DataDirectory::create(directory.path()).unwrap();
    let edited = File::open(&place, ShardId(1), EDITED, EmbeddedSettings::default()).await.err().unwrap();
    assert!(matches!(edited, OpenError::Edited { number: 1, name: "notes", .. }), "{edited:?}");
}

#[tokio::test]
async fn closing_ends_the_threads_after_what_is_queued() {
    let directory = tempfile::tempdir().unwrap();
    let place = DataDirectory::create(directory.path()).unwrap();
    let (file, upkeep) =
        File::open(&place, ShardId(1), MIGRATIONS, EmbeddedSettings::default()).await.unwrap();
    let endpoint = Endpoint::Sqlite(file);
    add(&endpoint, 1, "a").await.unwrap();
    endpoint.close();
    upkeep.run().await;
    assert!(matches!(add(&endpoint, 2, "b").await, Err(AccessError::Closed)));
}
