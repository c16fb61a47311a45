//! The data topology. Embedded form: one SQLite file that every replica on this machine shares.
//!
//! Whoever asks states what he intends, [`Database::read`] or [`Database::write`]; the SQL text is never looked at. So
//! reads can go to copies and writes to one primary without touching a caller.
//!
//! Invariants: a write that was answered `Ok` is on the disk; a write that was answered `Err` left nothing behind; the
//! event loop never waits for the disk, since every statement runs on a thread of this crate behind a bounded queue.
//! Elsewhere: what the tables mean, and the migrations that make them (the service that owns them).
//! How it fails: [`AccessError`] for one statement, [`OpenError`] and [`DirectoryError`] at start, each naming the path.

mod access;
mod backend;
mod cache;
mod consistency;
mod data;
mod directory;
mod embedded;
mod lease;
mod migrate;
mod migrations;
mod postgres;
pub mod reshard;
mod row;
mod scatter;
mod settings;
mod shard;
mod sqlite;
mod statement;
mod topology;
mod value;

pub use access::{AccessError, Again, Kind, ParameterFault, Verdict};
pub use backend::{Isolation, Occupancy, PoolStatus, Position, ShardId, Transaction};
pub use cache::{
    Cache, CacheError, CachePolicy, CachePosition, CacheSettings, CacheTotals, CacheUpkeep, LoadError,
    Reading,
};
pub use consistency::Consistency;
pub use data::{ChangeError, Data, ServerStatus, ShardKey};
pub use directory::{DataDirectory, DirectoryError};
pub use embedded::EmbeddedError;
pub use lease::{Ids, IdsUpkeep, LeaseError};
pub use migrate::{MigrateMode, ShardMigrations, TopologyMigrateError, migrate};
pub use migrations::{HistoryError, Migration, PendingMigration, postgres::MigrateError};
pub use phalanx_shard::read::{Fallback, Reason, Target};
pub use postgres::{ConnectError, Pooler, ServerSettings};
pub use row::{ColumnError, ColumnIndex, Row, Written};
pub use scatter::{Gathered, Policy, Scatter, ScatterError, ShardFault};
pub use settings::{Detector, Settings};
pub use shard::Shard;
pub use sqlite::{Database, EmbeddedSettings, OpenError};
pub use statement::Statement;
pub use topology::{
    Fault, SHARDS_MAX, ServerUrl, ServerUrlError, Servers, ServersError, ShardServers, Topology,
    TopologyError, counters::ReadTotals, detector::Session, identity::StartError,
    statistics::StatementTotals, upkeep::Upkeep,
};
pub use value::{FromValue, Value};
