//! Where the data lives: shards, each a primary and its replicas, as the environment names them.
//!
//! Which server of a shard is called primary here is only where to look first: roles are found by asking
//! (`crate::topology::survey`), and change with a failover.
//!
//! Invariant: a [`Topology`] was checked: its shards are numbered without a gap, no server is in it twice, and every address can
//! be used. Neither errors nor `Debug` show a password.
//! How it fails: [`TopologyError`] with every fault of the environment, each naming the variable and what to do.

pub(crate) mod counters;
pub(crate) mod detector;
pub(crate) mod identity;
pub(crate) mod map;
pub(crate) mod member;
pub(crate) mod moved;
pub(crate) mod opening;
pub(crate) mod plans;
pub(crate) mod primary;
pub(crate) mod reading;
pub(crate) mod route;
pub(crate) mod shared;
pub(crate) mod state;
pub(crate) mod statistics;
pub(crate) mod survey;
pub(crate) mod upkeep;
pub(crate) mod view;

mod address;
mod environment;
#[cfg(test)]
mod tests;

pub use self::{
    address::{ServerUrl, ServerUrlError},
    environment::{Fault, TopologyError},
};

/// Where the data lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topology {
    /// SQLite on this machine: nothing else was named.
    Embedded,
    /// PostgreSQL servers.
    Servers(Servers),
}

/// The shards of a topology of servers; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Servers {
    shards: Vec<ShardServers>,
}

/// The servers of one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardServers {
    /// The one that is expected to take writes.
    pub primary: ServerUrl,
    /// The ones that are expected to follow it.
    pub replicas: Vec<ServerUrl>,
}

impl ShardServers {
    /// All of them, the expected primary first.
    pub fn all(&self) -> impl Iterator<Item = &ServerUrl> {
        std::iter::once(&self.primary).chain(&self.replicas)
    }
}

/// Why a list of shards is no topology.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServersError {
    /// There are none.
    #[error("a topology has at least one shard")]
    Empty,
    /// More than a bucket map can name.
    #[error("a topology has at most {SHARDS_MAX} shards, these are {0}")]
    TooMany(usize),
    /// A server stands in two places.
    #[error("`{0}` is named twice")]
    Twice(String),
}

/// Shards of a topology: with fewer buckets each than this makes, a shard is not worth its servers.
pub const SHARDS_MAX: usize = 256;

impl Servers {
    /// The shards in the order of their numbers.
    ///
    /// # Errors
    /// When there are none or too many, or a server is named twice.
    pub fn new(shards: Vec<ShardServers>) -> Result<Self, ServersError> {
        if shards.is_empty() {
            return Err(ServersError::Empty);
        }
        if shards.len() > SHARDS_MAX {
            return Err(ServersError::TooMany(shards.len()));
        }
        let mut names: Vec<&str> = shards.iter().flat_map(ShardServers::all).map(ServerUrl::name).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(ServersError::Twice(pair[0].to_owned())),
            None => Ok(Self { shards }),
        }
    }

    /// The shards in the order of their numbers.
    #[must_use]
    pub fn shards(&self) -> &[ShardServers] {
        &self.shards
    }
}
