//! The topology against real servers: starts, reads behind lagging replicas, failovers, faults, changes, buckets that move.

#![expect(clippy::unwrap_used, reason = "this crate is a test, its helpers included")]

mod change;
mod failover;
mod faults;
mod inspect;
mod lag;
mod moving;
mod pooler;
mod shards;
mod slow;
mod start;
mod support;
