//! What a topology is at the moment, for a person: each server is asked once, and nothing is kept going.
//!
//! Servers that do not answer are part of the answer, with the reason, and so is what would keep a program from starting.
//! Invariant: nothing is created or changed, in servers or in files, and a server that hangs delays the answer by a bounded time.
//! Elsewhere: what a topology in use knows of its servers (`Data::status`).
//! Cannot fail: what cannot be found out is told where it would stand.

mod embedded;
mod servers;
mod tables;

use std::time::Duration;

use phalanx_shard::{BucketMap, BucketSet};

use crate::{
    ConnectError, MigrateError, Migration, OpenError, PendingMigration, ServerConnections, StartError,
    Statement,
};

pub use self::{embedded::inspect_embedded, servers::inspect};

/// What a service wants to know beside what every topology has.
#[derive(Clone, Copy, Debug)]
pub struct Questions {
    /// The migrations that its databases should have.
    pub migrations: &'static [Migration],
    /// How its dangling rows are counted, in every shard.
    pub dangling: Option<DanglingRows>,
}

/// Counts rows whose other half, on another shard, is missing or was never confirmed.
#[derive(Clone, Copy, Debug)]
pub struct DanglingRows {
    /// Answers one whole number.
    pub statement: Statement,
    /// Its only parameter: up to when a row may be on its way.
    pub until: i64,
}

/// What was found.
#[derive(Debug)]
pub struct Inspection {
    /// In the order of their numbers.
    pub shards: Vec<ShardInspection>,
    /// Why a program that needs these servers would not start.
    pub fault: Option<StartError>,
}

/// One shard.
#[derive(Debug)]
pub struct ShardInspection {
    /// Its number.
    pub shard: u16,
    /// In the order of the topology, the one that is expected to take writes first.
    pub servers: Vec<ServerInspection>,
    /// What its tables say; `None` where no server could be asked.
    pub tables: Option<Result<Tables, MigrateError>>,
}

/// One server, or one file.
#[derive(Debug)]
pub struct ServerInspection {
    /// `host:port/database`, or the path of the file.
    pub server: String,
    /// What it is good for, in the words of [`ServerStatus::fitness`](crate::ServerStatus::fitness); a file that is not there is
    /// `missing`.
    pub fitness: &'static str,
    /// What it has yet to replay.
    pub lag_bytes: Option<u64>,
    /// The age of what it replayed last.
    pub lag_age: Option<Duration>,
    /// Those of all its clients.
    pub connections: Option<ServerConnections>,
    /// As the server counts them: 150014 for 15.14.
    pub version: Option<u32>,
    /// Why it could not be asked.
    pub fault: Option<InspectFault>,
}

/// Why a server or a file could not be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectFault {
    /// It is a server.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It is a file.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// What the tables of a shard say.
#[derive(Debug)]
pub struct Tables {
    /// Which of its servers was asked: the one that takes writes, if there is one.
    pub server: String,
    /// The migrations that it lacks, or why it cannot be brought forward.
    pub lacking: Result<Vec<PendingMigration>, MigrateError>,
    /// The number that it was given.
    pub shard: Option<u16>,
    /// Its map of buckets.
    pub map: Option<BucketMap>,
    /// Buckets of it that take no writes at present.
    pub paused: BucketSet,
    /// The resharding that is under way; told by the first shard alone.
    pub resharding: Option<Resharding>,
    /// Dangling rows; `None` while it lacks migrations, or where nobody asked for them.
    pub dangling: Option<u64>,
}

/// A resharding that has begun and not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resharding {
    /// What it is at.
    pub stage: String,
    /// Whether it goes on or back.
    pub direction: String,
}
