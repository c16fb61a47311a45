//! One server through the seam, against real PostgreSQL and, for what that never sends, against a puppet.

mod breaking;
mod connecting;
mod pools;
mod positions;
mod statements;

use std::time::Duration;

use phalanx_telemetry::clock;
use phalanx_test_servers::{Postgres, Settings};
use tokio::task::JoinSet;

use super::{Server, ServerSettings};
use crate::{AccessError, Row, ShardId, Statement, Value, Written, backend::Query};

const ONE: Statement = Statement::new("one", "SELECT 1 AS one");
const SLEEP: Statement = Statement::new("sleep", "SELECT pg_sleep($1)");
const ADD: Statement =
    Statement::new("add_note", "INSERT INTO notes (id, text) VALUES ($1, $2) RETURNING id");
const NOTE: Statement = Statement::new("note", "SELECT text FROM notes WHERE id = $1");
const COUNT: Statement = Statement::new("count", "SELECT count(*) AS notes FROM notes");
const SCHEMA: &str = "CREATE TABLE notes (id bigint PRIMARY KEY, text text NOT NULL, small int2)";

/// A server under test, with the task that keeps its connections.
struct Client {
    server: Server,
    _upkeep: JoinSet<()>,
}

impl Client {
    fn of(settings: ServerSettings) -> Self {
        let (server, upkeep) = Server::new(ShardId(3), settings).unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(upkeep.run());
        Self { server, _upkeep: tasks }
    }

    async fn read(&self, statement: &Statement, values: &[Value]) -> Result<Vec<Row>, AccessError> {
        self.server.read(Query { statement, values }).await
    }

    async fn write(&self, statement: &Statement, values: &[Value]) -> Result<Written, AccessError> {
        self.server.write(Query { statement, values }).await
    }

    async fn add(&self, id: i64) -> Result<Written, AccessError> {
        self.write(&ADD, &[id.into(), "text".into()]).await
    }
}

fn database() -> Postgres {
    let postgres = Postgres::start(Settings::default());
    postgres.execute(SCHEMA);
    postgres
}

/// Waits until the condition holds; a bound, because what never comes has to fail.
async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let started = clock::now();
    while !condition().await {
        assert!(started.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
