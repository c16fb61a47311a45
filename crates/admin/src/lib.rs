//! The admin API: metrics, state, events and health of a running Phalanx, the orders it takes, and the client of its verbs.
//!
//! Invariant: only a program of this machine is answered, and not a web page that its browser shows (module `guard`).
//! Elsewhere: what the answers say (the binary, by [`Source`]); who obeys (the
//! binary, by [`control::Control`]); which metrics there are (`phalanx-telemetry`).
//! Fails by closing: a connection beyond the limit waits, a slow one is cut, a panic costs its own connection.

mod body;
pub mod client;
pub mod control;
mod events;
mod guard;
mod orders;
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
