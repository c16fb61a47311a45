//! Brings the databases of a topology of servers to the schema that this binary needs, or says what they lack.
//!
//! Any number of processes may do so at once. A shard that has no map of buckets yet gets the one that the others have, or the even
//! one.
//! Elsewhere: one database's migrations (`crate::migrations`).

use std::sync::Arc;

use phalanx_shard::{Placement, map::ShardId};
use tokio_postgres::Client;

use crate::{
    ConnectError, MigrateError, Migration, PendingMigration, ServerSettings, Servers, Settings, ShardServers,
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
    settings: &Settings,
    migrations: &'static [Migration],
    mode: MigrateMode,
) -> Result<Vec<ShardMigrations>, TopologyMigrateError> {
    migrate_told(servers, settings, migrations, mode, &mut |_| {}).await
}

/// The same, and `told` hears of each step.
///
/// # Errors
/// As [`migrate`]; shards that have ended before were migrated.
pub async fn migrate_told(
    servers: &Servers,
    settings: &Settings,
    migrations: &'static [Migration],
    mode: MigrateMode,
    told: Told<'_>,
) -> Result<Vec<ShardMigrations>, TopologyMigrateError> {
    let mut shards = Vec::new();
    let mut reports = Vec::new();
    for (number, urls) in (1_u16..).zip(servers.shards()) {
        let mut primary = Primary::find(number, urls, &settings.connections).await?;
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
        give_maps(&mut shards, settings.placement).await?;
    }
    Ok(reports)
}

/// Writes numbers and maps where they are missing, when all shards have the tables for them.
async fn give_maps(shards: &mut [Primary], placement: Placement) -> Result<(), TopologyMigrateError> {
    let mut stated = Vec::new();
    for shard in shards.iter_mut() {
        stated.push(shard.run(async |client| map::read(client).await).await?);
    }
    let spread = map::to_spread(&stated, placement);
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

const TIMELINE: &str = "SELECT NOT pg_is_in_recovery(),
    CASE WHEN NOT pg_is_in_recovery()
         THEN ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int8 END";

impl Primary {
    /// Of the servers that take writes the one that was promoted last: what is written to another nobody sees.
    async fn find(
        number: u16,
        urls: &ShardServers,
        connections: &ServerSettings,
    ) -> Result<Self, TopologyMigrateError> {
        let (mut newest, mut refused) = (None::<(i64, Self)>, None);
        for url in urls.all() {
            let settings = ServerSettings { url: url.secret().to_owned(), ..connections.clone() };
            match postgres::dedicated(&settings).await {
                Ok((server, client, driver)) => {
                    let mut found = Self { number, server, client, driver };
                    let timeline = found.run(async |client| Ok(timeline(client).await?)).await?;
                    newest = match (timeline, newest) {
                        (Some(timeline), known) if known.as_ref().is_none_or(|known| known.0 < timeline) => {
                            Some((timeline, found))
                        }
                        (_, known) => known,
                    };
                }
                Err(error) => refused = Some(error),
            }
        }
        let found = newest.map(|(_, found)| found);
        found.ok_or(TopologyMigrateError::Connect { shard: number, source: refused })
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

/// That of the writes that the server takes; `None` if it takes none.
async fn timeline(client: &Client) -> Result<Option<i64>, tokio_postgres::Error> {
    let row = client.query_one(TIMELINE, &[]).await?;
    Ok(if row.get(0) { row.get(1) } else { None })
}
