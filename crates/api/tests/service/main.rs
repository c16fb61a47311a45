//! The service as its clients meet it: `serve` on real sockets, over real files and servers, spoken to byte by byte.

#![expect(clippy::unwrap_used, reason = "this crate is a test, its helpers included")]

mod accounts;
mod bad_requests;
mod carts;
mod client;
mod databases;
mod fleet;
mod http2;
mod idempotency;
mod lifecycle;
mod overload;
mod replica;
mod routes;
mod sessions;
mod shards;
mod shared_state;
mod sockets;
