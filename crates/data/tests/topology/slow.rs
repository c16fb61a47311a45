//! Statements that take long, as the log and the statistics show them.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use phalanx_data::{Consistency, Settings, Statement};
use phalanx_telemetry::clock;
use phalanx_test_servers::{Postgres, Settings as Server};

use crate::support::{BY_ID, INSERT, PATIENCE, Running, TABLE, servers, settings};

const SLOW: Statement =
    Statement::new("note_slow", "SELECT body, pg_sleep(0.3)::text AS slept FROM notes WHERE id = $1")
        .exclusive();

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// On one thread, so that what the upkeep logs is heard here as well.
#[tokio::test]
async fn a_slow_statement_is_logged_with_its_plan_and_without_its_values() {
    let primary = Postgres::start(Server::default());
    primary.execute(TABLE);
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _logging = tracing::subscriber::set_default(subscriber);

    let hasty = Settings {
        slow_statement_min: Duration::from_millis(250),
        plan_period: Duration::from_millis(10),
        ..settings()
    };
    let running = Running::open(&servers(&[(&primary, &[])]), hasty).await.unwrap();
    let shard = running.shard();
    shard.write(&INSERT, &[4711.into(), "mine".into()]).await.unwrap();
    // Twice, since the texts that explain a statement are made once.
    for plans in 1..=2 {
        shard.read(&Consistency::primary(), &SLOW, &[4711.into()]).await.unwrap();
        let begun = clock::now();
        while log.text().matches("plan of a slow statement").count() < plans {
            assert!(begun.elapsed() < PATIENCE, "{}", log.text());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    shard.read(&Consistency::primary(), &BY_ID, &[1.into()]).await.unwrap();
    let text = log.text();
    let plan = text.lines().find(|line| line.contains("plan of a slow statement")).unwrap();
    assert!(plan.contains("note_slow") && plan.contains("Index Cond"), "{plan}");
    assert!(
        text.lines().any(|line| line.contains("slow statement") && line.contains("milliseconds=")),
        "{text}"
    );
    assert!(!text.contains("4711"), "{text}");

    let statements = running.data.statements();
    let named = |name| statements.iter().find(|statement| statement.name == name).unwrap();
    assert_eq!((named("note_slow").calls, named("note_slow").errors, named("note_slow").rows), (2, 0, 2));
    assert!(named("note_slow").time >= Duration::from_millis(600), "{statements:?}");
    assert_eq!((named("note_by_id").calls, named("note_by_id").rows), (1, 0));
    running.close().await;
}
