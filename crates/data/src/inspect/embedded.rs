//! Looks at the files of an embedded topology.

use std::{num::NonZeroU16, panic, path::Path, time::Duration};

use phalanx_shard::{BucketMap, BucketSet};
use rusqlite::{Connection, OpenFlags};

use super::{InspectFault, Inspection, Questions, ServerInspection, ShardInspection, Tables};
use crate::{OpenError, PendingMigration, ShardId, migrations::sqlite as migrations, sqlite};

const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Looks at the files of `shards` shards in `directory`; where one is missing, it lacks everything.
pub async fn inspect_embedded(directory: &Path, shards: NonZeroU16, questions: Questions) -> Inspection {
    let directory = directory.to_owned();
    let looking = tokio::task::spawn_blocking(move || {
        let shard = |number| look(&directory, number, shards, questions);
        (1..=shards.get()).map(shard).collect()
    });
    let shards = looking.await.unwrap_or_else(|ended| panic::resume_unwind(ended.into_panic()));
    Inspection { shards, fault: None }
}

fn look(directory: &Path, shard: u16, shards: NonZeroU16, questions: Questions) -> ShardInspection {
    let path = directory.join(sqlite::file_name(ShardId(shard)));
    let server = path.display().to_string();
    let outcome = if path.exists() { ask(&path, questions).map(Some) } else { Ok(None) };
    let (fitness, fault, answers) = match outcome {
        Ok(Some(answers)) => ("primary", None, Some(answers)),
        Ok(None) => {
            let lacking = migrations::all(questions.migrations);
            ("missing", None, Some(Answers { lacking, dangling: None }))
        }
        Err(error) => ("unreachable", Some(InspectFault::Open(error)), None),
    };
    let tables = answers.map(|answers| {
        Ok(Tables {
            server: server.clone(),
            lacking: Ok(answers.lacking),
            shard: Some(shard),
            // Nothing moves between files, so nothing of this is stored.
            map: BucketMap::evenly(0, shards.get()).ok(),
            paused: BucketSet::default(),
            resharding: None,
            dangling: answers.dangling,
        })
    });
    let server = ServerInspection {
        server,
        fitness,
        lag_bytes: None,
        lag_age: None,
        connections: None,
        version: None,
        fault,
    };
    ShardInspection { shard, servers: vec![server], tables }
}

struct Answers {
    lacking: Vec<PendingMigration>,
    dangling: Option<u64>,
}

fn ask(path: &Path, questions: Questions) -> Result<Answers, OpenError> {
    let failed = |source| OpenError::of(path, source);
    // For writing, because a process that was killed may have left a log to be recovered; nothing is written all the same.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    connection.pragma_update(None, "query_only", true).map_err(failed)?;
    let lacking = migrations::lacking(&connection, questions.migrations)
        .map_err(|error| sqlite::migration_failed(path, error))?;
    let dangling = match questions.dangling {
        Some(rows) if lacking.is_empty() => {
            let count: i64 =
                connection.query_row(rows.statement.sql(), [rows.until], |row| row.get(0)).map_err(failed)?;
            Some(count.unsigned_abs())
        }
        _ => None,
    };
    Ok(Answers { lacking, dangling })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{DanglingRows, DataDirectory, Database, EmbeddedSettings, Migration, Statement};

    const MIGRATIONS: &[Migration] = &[
        Migration::new("one", "CREATE TABLE one (a BIGINT)"),
        Migration::new("two", "INSERT INTO one VALUES (2)"),
    ];
    const QUESTIONS: Questions = Questions {
        migrations: MIGRATIONS,
        dangling: Some(DanglingRows {
            statement: Statement::new("count", "SELECT count(*) FROM one WHERE a <= $1"),
            until: 2,
        }),
    };

    async fn told(directory: &Path) -> (&'static str, Option<Vec<&'static str>>, Option<u64>) {
        let inspection = inspect_embedded(directory, NonZeroU16::MIN, QUESTIONS).await;
        let [shard] = &inspection.shards[..] else { panic!("{inspection:?}") };
        let tables = shard.tables.as_ref().map(|tables| tables.as_ref().unwrap());
        let names =
            tables.map(|tables| tables.lacking.as_ref().unwrap().iter().map(|one| one.name).collect());
        (shard.servers[0].fitness, names, tables.and_then(|tables| tables.dangling))
    }

    #[tokio::test]
    async fn a_file_tells_what_it_lacks_and_is_left_as_it_is() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("data");
        assert_eq!(told(&path).await, ("missing", Some(vec!["phalanx", "one", "two"]), None));
        assert!(!path.exists(), "looking makes nothing");

        let directory = DataDirectory::create(&path).unwrap();
        let older = Database::open(&directory, &MIGRATIONS[..1], EmbeddedSettings::default()).await.unwrap();
        assert_eq!(told(&path).await, ("primary", Some(vec!["two"]), None));
        older.close().await;
        Database::open(&directory, MIGRATIONS, EmbeddedSettings::default()).await.unwrap().close().await;
        assert_eq!(told(&path).await, ("primary", Some(vec![]), Some(1)));

        fs::write(path.join("phalanx.db"), "something else that is long enough to be read as a header")
            .unwrap();
        assert_eq!(told(&path).await, ("unreachable", None, None));
    }
}
