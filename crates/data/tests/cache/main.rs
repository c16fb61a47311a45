//! The cache through its public interface, alone and with a real Redis.

#![expect(clippy::unwrap_used, reason = "this crate is a test, its helpers included")]

mod outages;
mod process;
mod redis;
mod simulation;
mod support;
