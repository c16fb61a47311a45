//! The ways to ask for one row by its key. All read the same columns of it.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, ensure};
use phalanx_data::{Consistency, Data, ServerUrl, Servers, Settings, ShardServers, Statement, Upkeep};
use phalanx_shard::Id;
use sqlx::{PgPool, Row as _, postgres::PgPoolOptions};

use crate::http::Connection;

const SQL: &str = "SELECT id, name, body FROM items WHERE id = $1";
const BY_ID: Statement = Statement::new("item_by_id", SQL);
const POOL_CONNECTIONS: u32 = 16;
/// As that of `phalanx-data`, so that both give up after the same time.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// One of the tasks that ask.
pub(super) trait Ask: Clone + Send + 'static {
    /// Asks once, and looks at the answer.
    fn ask(&mut self, id: i64) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// Whether a connection is tried before it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    /// As by default.
    BeforeAcquire,
    Never,
}

#[derive(Clone)]
pub(super) struct Sqlx {
    pool: PgPool,
}

impl Sqlx {
    pub(super) async fn connect(url: &str, test: Test) -> anyhow::Result<Self> {
        let options = PgPoolOptions::new()
            .min_connections(POOL_CONNECTIONS)
            .max_connections(POOL_CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(test == Test::BeforeAcquire);
        Ok(Self { pool: options.connect(url).await.context("connect the pool")? })
    }
}

impl Ask for Sqlx {
    async fn ask(&mut self, id: i64) -> anyhow::Result<()> {
        let row = sqlx::query(SQL).bind(id).fetch_one(&self.pool).await?;
        let (found, _name): (i64, String) = (row.try_get("id")?, row.try_get("name")?);
        let _body: String = row.try_get("body")?;
        ensure!(found == id, "another row");
        Ok(())
    }
}

#[derive(Clone)]
pub(super) struct Phalanx {
    data: Data,
}

impl Phalanx {
    pub(super) async fn connect(url: &str) -> anyhow::Result<(Self, Upkeep)> {
        let servers =
            Servers::new(vec![ShardServers { primary: ServerUrl::parse(url)?, replicas: Vec::new() }])?;
        let (data, upkeep) = Data::open(&servers, Settings::new()).await?;
        Ok((Self { data }, upkeep))
    }
}

impl Ask for Phalanx {
    async fn ask(&mut self, id: i64) -> anyhow::Result<()> {
        let shard = self.data.shard_for(Id::try_from(id)?);
        let rows = shard.read(&Consistency::eventual(), &BY_ID, &[id.into()]).await?;
        let row = rows.first().context("no row")?;
        let (found, _name): (i64, String) = (row.get("id")?, row.get("name")?);
        let _body: String = row.get("body")?;
        ensure!(found == id, "another row");
        Ok(())
    }
}

pub(super) struct Http {
    address: SocketAddr,
    connection: Option<Connection>,
}

impl Http {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address, connection: None }
    }
}

impl Clone for Http {
    /// To the same service, with a connection of its own.
    fn clone(&self) -> Self {
        Self::new(self.address)
    }
}

impl Ask for Http {
    async fn ask(&mut self, id: i64) -> anyhow::Result<()> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(self.address).await?,
        };
        // One that failed is not used again.
        let response = connection.get(&format!("/api/users/{id}")).await?;
        self.connection = Some(connection);
        ensure!(response.status == 200, "status {}: {}", response.status, response.body.trim());
        Ok(())
    }
}
