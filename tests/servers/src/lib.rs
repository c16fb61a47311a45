//! Real servers for tests and comparisons: [`Postgres`] with streaming replicas, [`PgBouncer`] before one, and [`Redis`], each on a free port of
//! 127.0.0.1 in a directory of its own, with the faults that a test wants of them.
//!
//! Invariant: no process and no directory outlives its value, nor the process of the test, however that ends (`home`). Only a
//! freshly initialised database is kept in the temporary directory, for the next start to copy (`postgres::template`).
//!
//! Everything here blocks, waits for conditions, and panics with the end of the server's log when they do not come: what a
//! test cannot go on without. A task that must not block calls it in `spawn_blocking`.

mod account;
mod home;
mod pgbouncer;
mod port;
mod postgres;
mod processes;
mod redis;
mod server;
mod wait;

pub use crate::{
    pgbouncer::PgBouncer,
    postgres::{Access, Durability, PASSWORD, Postgres, ReplicaSettings, Settings, USER},
    redis::Redis,
};
