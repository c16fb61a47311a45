//! Where data lives and who may read it, decided without I/O and without a clock: buckets, ids that carry them, the map from
//! buckets to shards and the way from one map to another, pages merged over shards, positions in the write-ahead log, the
//! choice of who serves a read, and when a cached value is fetched again.
//!
//! Invariant: time and randomness are arguments, so every decision here can be replayed.
//! Frozen, because databases hold it: the hash of keys ([`bucket`]) and the layout of ids ([`id`]).
//! Elsewhere: connections, statements and the fence in the database (`phalanx-data`).

pub mod bucket;
pub mod id;
pub mod map;
pub mod pages;
pub mod plan;
pub mod position;
pub mod read;
pub mod refresh;
pub mod reshard;

pub use bucket::{Bucket, BucketSet};
pub use id::Id;
pub use map::{BucketMap, Placement, ShardId};
pub use position::{Lsn, Position, Positions};
