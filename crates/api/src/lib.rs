//! The reference API: accounts, login and profile, built on the crates that Phalanx offers to any service.
//!
//! A replica is stateless: what must outlive it is in the database, and who a caller is stands in his token. So any number
//! of replicas serve any request, and a killed one loses nothing that was acknowledged.
//!
//! Invariants: every response that a handler makes names its replica in `X-Phalanx-Instance`; every error is
//! `application/problem+json`; the event loop neither hashes nor waits for the disk.
//! Elsewhere: argv, signals, binding and exit codes (the `phalanx` binary); hashing and tokens (`phalanx-auth`); threads and
//! transactions (`phalanx-data`).
//! How it fails: [`SettingsError`] before anything is touched, [`ServeError`] at start; afterwards only single requests do.

mod access;
mod accounts;
mod address;
mod bearer;
mod body;
mod client;
mod connections;
mod document;
mod endings;
mod grant;
mod idempotency;
mod metrics;
mod observe;
mod positions;
mod problem;
mod router;
mod routes;
mod secret;
mod serve;
mod service;
mod settings;
mod sockets;
#[cfg(test)]
mod stores;
mod table;

pub use address::TrustedProxies;
pub use connections::Drained;
pub use secret::SecretError;
pub use serve::{Blame, ServeError, serve};
pub use settings::{
    InstanceName, MigrateAtStart, RedisUrl, SessionLifetimes, Settings, SettingsError, VariableFault,
};
pub use sockets::SocketSettings;

/// What an operator may ask of the service's databases: the migrations that they should have, and their dangling rows.
#[must_use]
pub fn questions() -> phalanx_data::Questions {
    accounts::Accounts::questions()
}
