//! The admin API: metrics, state and health of a running Phalanx, and the client that `phalanx status` is.
//!
//! Invariant: only a program of this machine is answered, and not a web page that its browser shows (module `guard`).
//! Elsewhere: what the answers say (the binary, by [`Source`]); which metrics there are (`phalanx-telemetry`).
//! Fails by closing: a connection beyond the limit waits, a slow one is cut, a panic costs its own connection.

pub mod client;
mod guard;
mod problem;
mod routes;
mod serve;
pub mod state;
pub mod table;

pub use serve::serve;

/// What the admin API tells.
///
/// Its methods are called on the thread that [`serve`] runs on, once a request, and should not block.
pub trait Source: Send + Sync + 'static {
    /// For `/v1/state` and `phalanx status`.
    fn state(&self) -> state::State;

    /// For `/metrics`: the text of [`phalanx_telemetry::registry::Registry::encode`].
    fn metrics(&self) -> String;

    /// For `/readyz`.
    fn readiness(&self) -> Readiness;
}

/// Whether traffic may come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It may.
    Ready,
    /// It may not yet, or no longer.
    NotReady {
        /// What is missing, one sentence each.
        reasons: Vec<String>,
    },
}
