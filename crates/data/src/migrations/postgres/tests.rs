//! Migrations on a real server.

use phalanx_shard::{BucketMap, Placement, map::ShardId};
use phalanx_test_servers::{Postgres, Settings};
use tokio::task::JoinSet;

use super::{super::map, *};

const ONE: Migration = Migration::new("one", "CREATE TABLE one (a BIGINT); CREATE INDEX one_by_a ON one (a)");
const MIGRATIONS: &[Migration] =
    &[ONE, Migration::per_store("two", "CREATE TABLE two (a INTEGER)", "CREATE TABLE two (a jsonb)")];

/// A client whose connection is driven by `tasks`.
pub(super) async fn client(server: &Postgres, tasks: &mut JoinSet<()>) -> Client {
    let (client, connection) = tokio_postgres::connect(&server.url(), tokio_postgres::NoTls).await.unwrap();
    tasks.spawn(async move { drop(connection.await) });
    client
}

async fn server() -> Postgres {
    tokio::task::spawn_blocking(|| Postgres::start(Settings::default())).await.unwrap()
}

fn names(migrations: &[PendingMigration]) -> Vec<&'static str> {
    migrations.iter().map(|migration| migration.name).collect()
}

#[tokio::test]
async fn processes_that_start_at_once_migrate_once_and_give_one_map() {
    let (server, mut tasks) = (server().await, JoinSet::new());
    let shard = ShardId::FIRST;
    let mut migrating = JoinSet::new();
    for _ in 0..50 {
        let mut client = client(&server, &mut tasks).await;
        migrating.spawn(async move {
            let applied = apply(&mut client, MIGRATIONS).await.unwrap();
            let map = map::to_spread(&[map::read(&client).await.unwrap()], Placement::Hashed);
            map::write(&mut client, shard, &map).await.unwrap();
            applied
        });
    }
    let applied = migrating.join_all().await;
    let mut counts: Vec<_> = applied.iter().map(Vec::len).collect();
    counts.sort_unstable();
    assert_eq!((counts[48], counts[49]), (0, 3), "one did all of it");
    let client = client(&server, &mut tasks).await;
    let stated = map::read(&client).await.unwrap();
    assert_eq!(stated, map::Stated { shard: Some(shard), map: Some(BucketMap::evenly(1, 1).unwrap()) });
    assert!(plan(&client, MIGRATIONS).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_plan_shows_the_statements_and_changes_nothing() {
    let (server, mut tasks) = (server().await, JoinSet::new());
    let mut client = client(&server, &mut tasks).await;
    let missing = plan(&client, MIGRATIONS).await.unwrap();
    assert_eq!(names(&missing), ["phalanx", "one", "two"]);
    assert_eq!(
        (missing[2].list, missing[2].number, missing[2].sql),
        ("service", 2, "CREATE TABLE two (a jsonb)")
    );
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'phalanx'";
    assert_eq!(client.query_one(schemas, &[]).await.unwrap().get::<_, i64>(0), 0);

    assert_eq!(names(&apply(&mut client, &MIGRATIONS[..1]).await.unwrap()), ["phalanx", "one"]);
    assert_eq!(names(&plan(&client, MIGRATIONS).await.unwrap()), ["two"]);
}

#[tokio::test]
async fn what_failed_left_nothing_and_what_came_before_stays() {
    static BROKEN: &[Migration] =
        &[ONE, Migration::new("half", "CREATE TABLE half (a BIGINT); CREATE TABEL other (a BIGINT)")];
    let (server, mut tasks) = (server().await, JoinSet::new());
    let mut client = client(&server, &mut tasks).await;
    let error = apply(&mut client, BROKEN).await.unwrap_err();
    assert!(matches!(error, MigrateError::Failed { number: 2, name: "half", .. }), "{error:?}");
    let half = client.query_one("SELECT to_regclass('half') IS NULL", &[]).await.unwrap();
    assert!(half.get::<_, bool>(0));
    // The lock was given back: the same connection and others go on.
    assert_eq!(names(&apply(&mut client, MIGRATIONS).await.unwrap()), ["two"]);
}

#[tokio::test]
async fn a_newer_schema_and_an_edited_migration_are_told() {
    static EDITED: &[Migration] = &[Migration::new("one", "CREATE TABLE one (a TEXT)"), MIGRATIONS[1]];
    let (server, mut tasks) = (server().await, JoinSet::new());
    let mut client = client(&server, &mut tasks).await;
    apply(&mut client, MIGRATIONS).await.unwrap();
    let error = apply(&mut client, &MIGRATIONS[..1]).await.unwrap_err();
    let newer = HistoryError::Newer { found: 2, known: 1 };
    assert!(matches!(&error, MigrateError::History(found) if *found == newer), "{error:?}");
    let error = apply(&mut client, EDITED).await.unwrap_err();
    let edited = HistoryError::Edited { number: 1, name: "one" };
    assert!(matches!(&error, MigrateError::History(found) if *found == edited), "{error:?}");
}
