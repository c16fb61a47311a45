//! Logins over real files and real PostgreSQL servers, through their public interface.

#![expect(clippy::unwrap_used, reason = "this crate is a test, its helpers included")]

mod faults;
mod lifecycle;
mod moving;
mod processes;
mod races;
mod removal;
mod support;
