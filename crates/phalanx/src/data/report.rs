//! What `--json` prints: names that scripts may rely on.

use phalanx_data::{
    Inspection, MigrateMode, PendingMigration, ServerInspection, ShardInspection, ShardMigrations, Tables,
    Topology,
};
use phalanx_shard::{BucketMap, map::ShardId};
use serde::Serialize;

/// `phalanx data status --json`.
#[derive(Serialize)]
pub(super) struct Report {
    /// `servers` or `embedded`.
    topology: &'static str,
    /// Why a replica would not start over these servers.
    fault: Option<String>,
    map: Option<Map>,
    shards: Vec<Shard>,
}

#[derive(Serialize)]
struct Map {
    epoch: u64,
    /// As `1:0-2047 2:2048-4095`.
    text: String,
}

#[derive(Serialize)]
struct Shard {
    shard: u16,
    servers: Vec<Server>,
    /// How many the map gives it.
    buckets: Option<usize>,
    /// Which of its servers the rest is from; the rest is null where none could be asked.
    asked: Option<String>,
    /// Why it did not answer that.
    fault: Option<String>,
    /// As `7,12-15`; empty for none.
    paused: Option<String>,
    resharding: Option<Resharding>,
    dangling: Option<u64>,
    lacking: Option<Vec<Lacking>>,
}

#[derive(Serialize)]
struct Server {
    server: String,
    fitness: &'static str,
    lag_bytes: Option<u64>,
    lag_seconds: Option<f64>,
    connections: Option<Connections>,
    version: Option<u32>,
    fault: Option<String>,
}

#[derive(Serialize)]
struct Connections {
    used: u32,
    to_database: u32,
    max: u32,
    reserved: u32,
}

#[derive(Serialize)]
struct Resharding {
    stage: String,
    direction: String,
}

#[derive(Serialize)]
struct Lacking {
    list: &'static str,
    number: u16,
    name: &'static str,
}

impl Report {
    pub(super) fn of(topology: &Topology, inspection: &Inspection) -> Self {
        let map = newest_map(inspection);
        let topology = match topology {
            Topology::Embedded => "embedded",
            Topology::Servers(_) => "servers",
        };
        Self {
            topology,
            fault: inspection.fault.as_ref().map(|fault| told(fault)),
            shards: inspection.shards.iter().map(|shard| Shard::of(shard, map)).collect(),
            map: map.map(|map| Map { epoch: map.epoch(), text: map.to_string() }),
        }
    }
}

impl Shard {
    fn of(shard: &ShardInspection, map: Option<&BucketMap>) -> Self {
        let (tables, fault) = match &shard.tables {
            Some(Ok(tables)) => (Some(tables), tables.lacking.as_ref().err()),
            Some(Err(error)) => (None, Some(error)),
            None => (None, None),
        };
        let resharding = tables.and_then(|tables| tables.resharding.clone());
        Self {
            shard: shard.shard,
            servers: shard.servers.iter().map(Server::of).collect(),
            buckets: map.and_then(|map| buckets_of(map, shard.shard)),
            asked: tables.map(|tables| tables.server.clone()),
            fault: fault.map(|fault| told(fault)),
            paused: tables.map(|tables| tables.paused.to_string()),
            resharding: resharding.map(|it| Resharding { stage: it.stage, direction: it.direction }),
            dangling: tables.and_then(|tables| tables.dangling),
            lacking: tables.and_then(lacking),
        }
    }
}

fn lacking(tables: &Tables) -> Option<Vec<Lacking>> {
    let lacking = tables.lacking.as_ref().ok()?;
    let one = |migration: &PendingMigration| Lacking {
        list: migration.list,
        number: migration.number,
        name: migration.name,
    };
    Some(lacking.iter().map(one).collect())
}

impl Server {
    fn of(server: &ServerInspection) -> Self {
        Self {
            server: server.server.clone(),
            fitness: server.fitness,
            lag_bytes: server.lag_bytes,
            lag_seconds: server.lag_age.map(|age| age.as_secs_f64()),
            connections: server.connections.map(|connections| Connections {
                used: connections.used,
                to_database: connections.to_database,
                max: connections.max,
                reserved: connections.reserved,
            }),
            version: server.version,
            fault: server.fault.as_ref().map(|fault| told(fault)),
        }
    }
}

/// `phalanx data migrate --json`.
#[derive(Serialize)]
pub(super) struct MigrationReport {
    /// False for `--dry-run`: the migrations are those that are missing.
    applied: bool,
    shards: Vec<Migrated>,
}

#[derive(Serialize)]
struct Migrated {
    shard: u16,
    server: String,
    migrations: Vec<Migration>,
}

#[derive(Serialize)]
struct Migration {
    list: &'static str,
    number: u16,
    name: &'static str,
    sql: &'static str,
}

impl MigrationReport {
    pub(super) fn of(mode: MigrateMode, shards: &[ShardMigrations]) -> Self {
        let migration = |it: &PendingMigration| Migration {
            list: it.list,
            number: it.number,
            name: it.name,
            sql: it.sql,
        };
        let shard = |it: &ShardMigrations| Migrated {
            shard: it.shard,
            server: it.server.clone(),
            migrations: it.migrations.iter().map(migration).collect(),
        };
        Self { applied: mode == MigrateMode::Apply, shards: shards.iter().map(shard).collect() }
    }
}

/// The map that holds: the one with the greatest epoch of all shards.
pub(super) fn newest_map(inspection: &Inspection) -> Option<&BucketMap> {
    let tables = inspection.shards.iter().filter_map(|shard| shard.tables.as_ref()?.as_ref().ok());
    tables.filter_map(|tables| tables.map.as_ref()).max_by_key(|map| map.epoch())
}

/// How many buckets a shard has.
pub(super) fn buckets_of(map: &BucketMap, shard: u16) -> Option<usize> {
    ShardId::try_from(shard).ok().map(|shard| map.buckets(shard).len())
}

/// An error with its causes.
pub(super) fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
