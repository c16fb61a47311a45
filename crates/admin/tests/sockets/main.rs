//! The admin API over real sockets, and its client against it.

#![expect(clippy::unwrap_used, reason = "this crate is a test, its helpers included")]

mod events;
mod orders;
mod reading;
mod running;
