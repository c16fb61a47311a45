//! Brings the databases of a topology of servers to the schema that this binary needs, or says what they lack.
//!
//! Any number of processes may do so at once. A shard that has no map of buckets yet gets the one that the others have, or the even
//! one.
//! Elsewhere: one database's migrations (`crate::migrations`).

use std::sync::Arc;

use phalanx_shard::map::ShardId;
use tokio_postgres::Client;

use crate::{
    ConnectError, MigrateError, Migration, PendingMigration, ServerSettings, ServerUrl, Servers,
    migrations::{map, postgres as migrations},
    postgres,
};

/// What is done about migrations that are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrateMode {
    /// They are applied.
    Apply,
    /// They are told, and nothing changes.
    DryRun,
}

/// One shard, and what was applied there or is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardMigrations {
    /// The shard's number.
    pub shard: u16,
    /// `host:port/database` of its primary.
    pub server: String,
    /// In order.
    pub migrations: Vec<PendingMigration>,
}

/// Why a topology was not migrated to the end; shards before this one were.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TopologyMigrateError {
    /// A shard has no server that takes writes.
    #[error("no server of shard {shard} can be migrated")]
    Connect {
        /// The shard's number.
        shard: u16,
        /// How the last of them failed; none where all are standbys.
        source: Option<ConnectError>,
    },
    /// A shard's migration failed.
    #[error("cannot migrate shard {shard} ({server})")]
    Migrate {
        /// The shard's number.
        shard: u16,
        /// Its server.
        server: String,
        /// Why.
        source: MigrateError,
    },
}

/// What a migration of a topology comes to, as it goes on: a shard may take long, or wait for another process.
#[derive(Clone, Copy, Debug)]
pub enum MigrateStep<'a> {
    /// A shard is looked at; nobody else may migrate it meanwhile, so this may take its time.
    Begun {
        /// Its number.
        shard: u16,
        /// `host:port/database` of its primary.
        server: &'a str,
    },
    /// A migration is being applied to it.
    Applying(&'a PendingMigration),
    /// It has all of them, or was told what it lacks.
    Ended(&'a ShardMigrations),
}

/// Whoever wants to know of each step.
type Told<'a> = &'a mut (dyn FnMut(MigrateStep<'_>) + Send);

/// Migrates all shards, one after the other.
///
/// # Errors
/// When a shard's primary cannot be reached, or its schema not be brought forward.
pub async fn migrate(
    servers: &Servers,
    connections: &ServerSettings,
    migrations: &'static [Migration],
    mode: MigrateMode,
) -> Result<Vec<ShardMigrations>, TopologyMigrateError> {
    migrate_told(servers, connections, migrations, mode, &mut |_| {}).await
}

/// The same, and `told` hears of each step.
///
/// # Errors
/// As [`migrate`]; shards that have ended before were migrated.
pub async fn migrate_told(
    servers: &Servers,
    connections: &ServerSettings,
    migrations: &'static [Migration],
    mode: MigrateMode,
    told: Told<'_>,
) -> Result<Vec<ShardMigrations>, TopologyMigrateError> {
    let mut shards = Vec::new();
    let mut reports = Vec::new();
    for (number, urls) in (1_u16..).zip(servers.shards()) {
        let mut primary = Primary::find(number, urls.all().map(ServerUrl::secret), connections).await?;
        told(MigrateStep::Begun { shard: number, server: &primary.server });
        let applied = match mode {
            MigrateMode::Apply => {
                let applying = &mut |migration: &_| told(MigrateStep::Applying(migration));
                primary.run(async |client| migrations::apply_told(client, migrations, applying).await).await?
            }
            MigrateMode::DryRun => {
                primary.run(async |client| migrations::plan(client, migrations).await).await?
            }
        };
        let report =
            ShardMigrations { shard: number, server: primary.server.to_string(), migrations: applied };
        told(MigrateStep::Ended(&report));
        reports.push(report);
        shards.push(primary);
    }
    if mode == MigrateMode::Apply {
        give_maps(&mut shards).await?;
    }
    Ok(reports)
}

/// Writes numbers and maps where they are missing, when all shards have the tables for them.
async fn give_maps(shards: &mut [Primary]) -> Result<(), TopologyMigrateError> {
    let mut stated = Vec::new();
    for shard in shards.iter_mut() {
        stated.push(shard.run(async |client| map::read(client).await).await?);
    }
    let spread = map::to_spread(&stated);
    for (shard, stated) in shards.iter_mut().zip(&stated) {
        if stated.shard.is_none() || stated.map.is_none() {
            let id = ShardId::try_from(shard.number).expect("a topology has at most 256 shards");
            shard.run(async |client| map::write(client, id, &spread).await).await?;
        }
    }
    Ok(())
}

/// A connection to the server of a shard that takes writes.
struct Primary {
    number: u16,
    server: Arc<str>,
    client: Client,
    driver: postgres::Driver,
}

impl Primary {
    async fn find<'a>(
        number: u16,
        urls: impl Iterator<Item = &'a str>,
        connections: &ServerSettings,
    ) -> Result<Self, TopologyMigrateError> {
        let mut refused = None;
        for url in urls {
            let settings = ServerSettings { url: url.to_owned(), ..connections.clone() };
            match postgres::dedicated(&settings).await {
                Ok((server, client, driver)) => {
                    let mut found = Self { number, server, client, driver };
                    let is_standby = async |client: &mut Client| {
                        Ok(client.query_one("SELECT pg_is_in_recovery()", &[]).await?.get::<_, bool>(0))
                    };
                    if !found.run(is_standby).await? {
                        return Ok(found);
                    }
                }
                Err(error) => refused = Some(error),
            }
        }
        Err(TopologyMigrateError::Connect { shard: number, source: refused })
    }

    /// Drives the connection for as long as `work` takes.
    async fn run<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Client) -> Result<T, MigrateError>,
    ) -> Result<T, TopologyMigrateError> {
        let Self { number, server, client, driver } = self;
        let outcome = postgres::driven(driver, work(client)).await;
        outcome.map_err(|source| TopologyMigrateError::Migrate {
            shard: *number,
            server: server.to_string(),
            source,
        })
    }
}
