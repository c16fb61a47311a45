//! The embedded database through its public interface: real files, real threads.

#![expect(clippy::unwrap_used, reason = "this file is a test, its helpers included")]

use std::{
    fs,
    num::NonZeroUsize,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    sync::mpsc::{SyncSender, sync_channel},
    time::Duration,
};

use phalanx_data::{AccessError, DataDirectory, Database, EmbeddedSettings, Migration, OpenError};
use rusqlite::{Connection, ffi, params};
use tempfile::TempDir;
use tokio::task::JoinSet;

const MIGRATIONS: &[Migration] = &[
    Migration::new("notes", "CREATE TABLE notes (text TEXT NOT NULL UNIQUE) STRICT"),
    Migration::new("blobs", "CREATE TABLE blobs (bytes BLOB NOT NULL) STRICT"),
];

struct Store {
    directory: TempDir,
    database: Database,
}

impl Store {
    async fn open(settings: EmbeddedSettings) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database = reopen(&directory, MIGRATIONS, settings).await.unwrap();
        Self { directory, database }
    }

    async fn add(&self, text: &'static str) -> Result<(), AccessError> {
        self.database.write(move |connection| insert(connection, text)).await
    }

    async fn notes(&self) -> Vec<String> {
        self.database.read(all).await.unwrap()
    }

    /// Holds the writer thread inside a write until the returned sender is used or dropped.
    async fn hold_writer(&self, tasks: &mut JoinSet<Result<(), AccessError>>) -> SyncSender<()> {
        let (release, held) = sync_channel::<()>(0);
        let (running, started) = tokio::sync::oneshot::channel();
        let database = self.database.clone();
        tasks.spawn(async move {
            let hold = move |_: &Connection| {
                let _ = running.send(());
                let _ = held.recv();
                Ok(())
            };
            database.write(hold).await
        });
        started.await.unwrap();
        release
    }
}

async fn reopen(
    directory: &TempDir,
    migrations: &'static [Migration],
    settings: EmbeddedSettings,
) -> Result<Database, OpenError> {
    let directory = DataDirectory::create(directory.path()).unwrap();
    Database::open(&directory, migrations, settings).await
}

fn insert(connection: &Connection, text: &str) -> rusqlite::Result<()> {
    connection.execute("INSERT INTO notes (text) VALUES (?1)", [text]).map(|_| ())
}

fn all(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection.prepare("SELECT text FROM notes ORDER BY rowid")?.query_map([], |row| row.get(0))?.collect()
}

fn short_waits() -> EmbeddedSettings {
    EmbeddedSettings { busy_timeout: Duration::from_millis(20), ..EmbeddedSettings::default() }
}

#[tokio::test]
async fn an_acknowledged_write_is_seen_by_every_other_opener_and_after_a_restart() {
    let store = Store::open(EmbeddedSettings::default()).await;
    let neighbour = reopen(&store.directory, MIGRATIONS, EmbeddedSettings::default()).await.unwrap();
    store.add("first").await.unwrap();
    assert_eq!(neighbour.read(all).await.unwrap(), ["first"]);
    neighbour.close().await;
    store.database.close().await;

    let restarted = reopen(&store.directory, MIGRATIONS, EmbeddedSettings::default()).await.unwrap();
    assert_eq!(restarted.read(all).await.unwrap(), ["first"]);
}

#[tokio::test]
async fn writes_that_share_a_commit_fail_alone() {
    let store = Store::open(EmbeddedSettings::default()).await;
    let mut tasks = JoinSet::new();
    let release = store.hold_writer(&mut tasks).await;
    let database = &store.database;
    let half_done = database.write(|connection| {
        insert(connection, "half")?;
        insert(connection, "a")
    });
    let panicking = database.write(|connection| -> rusqlite::Result<()> {
        insert(connection, "unwound")?;
        panic!("a defect in a caller's closure")
    });
    let (a, half_done, panicking, b, ()) =
        tokio::join!(store.add("a"), half_done, panicking, store.add("b"), async { drop(release) });
    a.unwrap();
    b.unwrap();
    assert!(
        matches!(&half_done, Err(AccessError::UniqueViolation { constraint }) if constraint == "notes.text"),
        "{half_done:?}"
    );
    assert!(matches!(panicking, Err(AccessError::Panicked)), "{panicking:?}");
    assert_eq!(store.notes().await, ["a", "b"]);
}

#[tokio::test]
async fn a_panic_in_a_read_leaves_the_reader_alive() {
    let settings = EmbeddedSettings { readers: NonZeroUsize::MIN, ..EmbeddedSettings::default() };
    let store = Store::open(settings).await;
    let outcome =
        store.database.read(|_| -> rusqlite::Result<()> { panic!("a defect in a caller's closure") }).await;
    assert!(matches!(outcome, Err(AccessError::Panicked)), "{outcome:?}");
    assert!(store.notes().await.is_empty());
}

#[tokio::test]
async fn a_read_cannot_write() {
    let store = Store::open(EmbeddedSettings::default()).await;
    let outcome = store.database.read(|connection| insert(connection, "smuggled")).await;
    assert!(matches!(outcome, Err(AccessError::Sqlite { .. })), "{outcome:?}");
    assert!(store.notes().await.is_empty());
}

#[tokio::test]
async fn a_full_queue_refuses_and_a_caller_that_left_the_queue_wrote_nothing() {
    let settings = EmbeddedSettings { write_queue_max: NonZeroUsize::MIN, ..EmbeddedSettings::default() };
    let store = Store::open(settings).await;
    let mut tasks = JoinSet::new();
    let release = store.hold_writer(&mut tasks).await;
    {
        let queued = store.add("left the queue");
        tokio::pin!(queued);
        let waiting =
            std::future::poll_fn(|context| std::task::Poll::Ready(queued.as_mut().poll(context))).await;
        assert!(waiting.is_pending());
        let refused = store.add("refused").await;
        assert!(matches!(refused, Err(AccessError::QueueFull)), "{refused:?}");
    }
    drop(release);
    tasks.join_next().await.unwrap().unwrap().unwrap();
    store.database.close().await;
    let restarted = reopen(&store.directory, MIGRATIONS, settings).await.unwrap();
    assert!(restarted.read(all).await.unwrap().is_empty());
}

#[tokio::test]
async fn closing_commits_what_is_queued_and_refuses_what_comes_later() {
    let store = Store::open(EmbeddedSettings::default()).await;
    let mut tasks = JoinSet::new();
    let release = store.hold_writer(&mut tasks).await;
    let (queued, (), ()) = tokio::join!(store.add("queued"), store.database.close(), async { drop(release) });
    queued.unwrap();
    assert!(matches!(store.add("late").await, Err(AccessError::Closed)));
    assert!(matches!(store.database.read(all).await, Err(AccessError::Closed)));
    let restarted = reopen(&store.directory, MIGRATIONS, EmbeddedSettings::default()).await.unwrap();
    assert_eq!(restarted.read(all).await.unwrap(), ["queued"]);
}

#[tokio::test]
async fn a_lock_held_elsewhere_is_busy_and_heals() {
    let store = Store::open(short_waits()).await;
    let elsewhere = Connection::open(store.directory.path().join("phalanx.db")).unwrap();
    elsewhere.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = store.add("refused").await;
    assert!(matches!(refused, Err(AccessError::Busy)), "{refused:?}");
    elsewhere.execute_batch("ROLLBACK").unwrap();
    store.add("accepted").await.unwrap();
    assert_eq!(store.notes().await, ["accepted"]);
}

#[tokio::test]
async fn a_full_disk_fails_writes_only_and_heals() {
    let store = Store::open(EmbeddedSettings::default()).await;
    let limit =
        |pages: u32| move |connection: &Connection| connection.pragma_update(None, "max_page_count", pages);
    store.database.write(limit(1)).await.unwrap();
    let refused = store
        .database
        .write(|connection| {
            connection.execute("INSERT INTO blobs (bytes) VALUES (zeroblob(?1))", params![1 << 20])
        })
        .await;
    assert!(matches!(refused, Err(AccessError::DiskFull)), "{refused:?}");
    assert!(store.notes().await.is_empty());
    store.database.write(limit(1 << 20)).await.unwrap();
    store.add("accepted").await.unwrap();
    assert_eq!(store.notes().await, ["accepted"]);
}

#[test]
fn what_finds_no_room_is_a_full_disk() {
    let error = |code| AccessError::from(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
    for code in [ffi::SQLITE_FULL, ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_IOERR_SHMSIZE] {
        assert!(matches!(error(code), AccessError::DiskFull), "{code}");
    }
    for code in [ffi::SQLITE_IOERR_READ, ffi::SQLITE_CORRUPT] {
        assert!(matches!(error(code), AccessError::Sqlite { .. }), "{code}");
    }
}

#[tokio::test]
async fn openers_that_start_at_once_migrate_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut opening = JoinSet::new();
    for _ in 0..8 {
        let directory = DataDirectory::create(directory.path()).unwrap();
        opening
            .spawn(async move { Database::open(&directory, MIGRATIONS, EmbeddedSettings::default()).await });
    }
    let opened = opening.join_all().await.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
    let applied = |connection: &Connection| {
        connection.query_one("SELECT count(*) FROM phalanx_migrations", [], |row| row.get::<_, i64>(0))
    };
    assert_eq!(opened[0].read(applied).await.unwrap(), 2);
}

#[tokio::test]
async fn a_later_migration_is_added_to_what_is_there() {
    let store = Store::open(EmbeddedSettings::default()).await;
    store.add("kept").await.unwrap();
    static LATER: &[Migration] = &[
        MIGRATIONS[0],
        MIGRATIONS[1],
        Migration::new("stars", "ALTER TABLE notes ADD COLUMN stars INTEGER NOT NULL DEFAULT 3"),
    ];
    let later = reopen(&store.directory, LATER, EmbeddedSettings::default()).await.unwrap();
    let stars = |connection: &Connection| {
        connection.query_one("SELECT stars FROM notes", [], |row| row.get::<_, i64>(0))
    };
    assert_eq!(later.read(stars).await.unwrap(), 3);

    let older = reopen(&store.directory, MIGRATIONS, EmbeddedSettings::default()).await;
    assert!(matches!(older, Err(OpenError::Newer { found: 3, known: 2, .. })), "{:?}", older.err());
}

#[tokio::test]
async fn a_failed_migration_leaves_the_old_schema() {
    let store = Store::open(EmbeddedSettings::default()).await;
    static BROKEN: &[Migration] = &[
        MIGRATIONS[0],
        MIGRATIONS[1],
        Migration::new("dropped", "DROP TABLE blobs"),
        Migration::new("misspelt", "CREATE TABEL x"),
    ];
    let error = reopen(&store.directory, BROKEN, EmbeddedSettings::default()).await.err().unwrap();
    assert!(matches!(error, OpenError::Migration { number: 4, name: "misspelt", .. }), "{error:?}");
    let blobs = |connection: &Connection| {
        connection.query_one("SELECT count(*) FROM blobs", [], |row| row.get::<_, i64>(0))
    };
    assert_eq!(store.database.read(blobs).await.unwrap(), 0);
}

#[tokio::test]
async fn a_file_that_cannot_be_the_database_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("phalanx.db");
    fs::write(&file, "plain text that is longer than the header of a database file. ".repeat(20)).unwrap();
    let error = reopen(&directory, MIGRATIONS, short_waits()).await.err().unwrap();
    assert!(matches!(error, OpenError::NotADatabase { .. }), "{error:?}");
    assert!(error.to_string().contains(&*file.to_string_lossy()), "{error}");

    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let error = reopen(&directory, MIGRATIONS, short_waits()).await.err().unwrap();
    assert!(error.to_string().contains(&*file.to_string_lossy()), "{error}");
}

#[tokio::test]
async fn its_files_are_the_owners_alone_in_a_directory_for_all() {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let database = reopen(&directory, MIGRATIONS, EmbeddedSettings::default()).await.unwrap();
    database.write(|connection| insert(connection, "secret")).await.unwrap();
    for entry in fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().mode() & 0o777, 0o600, "{:?}", entry.path());
    }
}
