//! What Phalanx tells about itself: metrics, logs, and the one place where the clock is read.
//!
//! Invariant: every label value comes from a closed set or from configuration, never from a peer, so the number of
//! series is bounded.
//! Elsewhere: which metrics a component has (the component); where they are served (`phalanx-admin`, `phalanx-api`).

pub mod autoscale;
mod chain;
pub mod clock;
pub mod connections;
pub mod discovery;
mod durations;
pub mod escape;
#[cfg(test)]
mod exposition;
pub mod guard;
pub mod host;
pub mod logs;
pub mod overload;
pub mod registry;
pub mod replica_use;
pub mod replicas;
pub mod requests;
pub mod scraped;
pub mod upstream;
mod writers;

pub use chain::chain;
pub use durations::DurationTotals;
