//! Revocations between processes: over a real Redis with its failures, and over the embedded state.

#![expect(clippy::unwrap_used, reason = "this crate is a test, its helpers included")]

mod embedded;
mod outages;
mod redis;
mod refusals;
mod support;
