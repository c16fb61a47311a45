//! The gateway as its peers meet it: real workers on real sockets, spoken to byte by byte from both sides.

#![expect(clippy::unwrap_used, reason = "this crate is a test, its helpers included")]

mod balancing;
mod discovery;
mod failing;
mod guarded;
mod lifecycle;
mod multiplexed;
mod overload;
mod slow;
mod support;
mod upgrades;
mod wire_requests;
mod wire_responses;
