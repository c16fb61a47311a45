//! The data topology. Embedded form: one SQLite file that every replica on this machine shares.
//!
//! Whoever asks states what he intends, [`Database::read`] or [`Database::write`]; the SQL text is never looked at. So
//! reads can go to copies and writes to one primary without touching a caller.
//!
//! Invariants: a write that was answered `Ok` is on the disk; a write that was answered `Err` left nothing behind; the
//! event loop never waits for the disk, since every statement runs on a thread of this crate behind a bounded queue.
//! Elsewhere: what the tables mean, and the migrations that make them (the service that owns them).
//! How it fails: [`AccessError`] for one statement, [`OpenError`] and [`DirectoryError`] at start, each naming the path.

mod access;
mod connection;
mod database;
mod directory;
mod migrations;
mod readers;
mod writer;

pub use access::AccessError;
pub use database::{Database, EmbeddedSettings, OpenError};
pub use directory::{DataDirectory, DirectoryError};
pub use migrations::Migration;
