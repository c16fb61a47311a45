//! Reads on replicas and writes on primaries, over shards: PostgreSQL servers, or SQLite files behind the same interface.
//!
//! [`Data`] is the handle of a topology. Whoever asks says what he intends, [`Shard::read`], [`Shard::write`] or
//! [`Shard::transaction`]; the SQL text is never looked at. A read says besides what it has to see ([`Consistency`]): anything, all
//! that was written up to a [`Position`], or what the primary has.
//!
//! ```
//! use std::num::NonZeroU16;
//!
//! use phalanx_data::{Consistency, Data, DataDirectory, EmbeddedSettings, Ids, Migration, Settings, Statement};
//! use phalanx_shard::Bucket;
//! use tokio_util::sync::CancellationToken;
//!
//! const MIGRATIONS: &[Migration] =
//!     &[Migration::new("notes", "CREATE TABLE notes (id BIGINT PRIMARY KEY, text TEXT NOT NULL)")];
//! const INSERT: Statement = Statement::new("note_insert", "INSERT INTO notes (id, text) VALUES ($1, $2)");
//! const BY_ID: Statement = Statement::new("note_by_id", "SELECT text FROM notes WHERE id = $1");
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path().join("data");
//! // Two shards that are files. `Data::open` takes the servers of `Topology::from_environment` in their place, and nothing below
//! // changes.
//! let directory = DataDirectory::create(folder)?;
//! let two = NonZeroU16::new(2).expect("2 is not zero");
//! let (data, upkeep) =
//!     Data::open_embedded(&directory, two, MIGRATIONS, EmbeddedSettings::default(), Settings::new()).await?;
//! let mut tasks = tokio::task::JoinSet::new();
//! tasks.spawn(upkeep.run()); // Probes servers, keeps connections; it ends after `Data::close`.
//!
//! // Ids of 63 bits that carry their bucket; a bucket is on one shard, and may be on another tomorrow.
//! let (ids, lease) = Ids::lease(&data).await?;
//! let stop = CancellationToken::new();
//! tasks.spawn(lease.run(stop.clone()));
//! let id = ids.next(Bucket::of_key("tenant 7"))?;
//!
//! let written = data.shard_for(id).write(&INSERT, &[id.get().into(), "hello".into()]).await?;
//! // Whoever has the position sees the write, on whichever server he reads.
//! let mine = Consistency::after(written.position);
//! let rows = data.shard_for(id).read(&mine, &BY_ID, &[id.get().into()]).await?;
//! assert_eq!(rows[0].get::<String>("text")?, "hello");
//!
//! stop.cancel();
//! data.close();
//! while tasks.join_next().await.is_some() {}
//! # Ok(())
//! # }
//! ```
//!
//! Invariants: a write that was answered `Ok` is where its server promises it, and one that was answered `Err` left nothing
//! behind, but for [`AccessError::OutcomeUnknown`]; what may have reached a server is never sent again; every task belongs to an
//! upkeep that its owner runs; no error, log or `Debug` tells a password.
//! Elsewhere: what is decided without servers (`phalanx-shard`); what the tables mean, and the migrations that make them (the
//! service that owns them).
//! How it fails: [`AccessError`] for one statement, whose [`AccessError::verdict`] says what to do about it; [`StartError`],
//! [`EmbeddedError`] and [`TopologyMigrateError`] at start, each naming the server or file and the remedy.

mod access;
mod backend;
mod cache;
mod consistency;
mod data;
mod directory;
mod embedded;
mod inspect;
mod lease;
mod migrate;
mod migrations;
mod ownership;
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
pub use backend::{Isolation, Occupancy, PoolStatus, Position, ServerConnections, ShardId, Transaction};
pub use cache::{
    Cache, CacheError, CachePolicy, CachePosition, CacheSettings, CacheTotals, CacheUpkeep, LoadError,
    Reading,
};
pub use consistency::Consistency;
pub use data::{ChangeError, Data, ServerStatus, ShardKey};
pub use directory::{DataDirectory, DirectoryError};
pub use embedded::EmbeddedError;
pub use inspect::{
    DanglingRows, InspectFault, Inspection, Questions, Resharding, ServerInspection, ShardInspection, Tables,
    inspect, inspect_embedded,
};
pub use lease::{Ids, IdsUpkeep, LeaseError};
pub use migrate::{MigrateMode, MigrateStep, ShardMigrations, TopologyMigrateError, migrate, migrate_told};
pub use migrations::{HistoryError, Migration, PendingMigration, postgres::MigrateError};
pub use ownership::Ownership;
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

/// What the guide shows is compiled as it stands there.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/data.md")]
struct Guide;
