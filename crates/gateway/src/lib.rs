//! The gateway: listeners, connections, upstream pools and the path of a request.
//!
//! One thread per core, each with its own listener (`SO_REUSEPORT`), its own upstream connections and its own counters. A
//! worker shares nothing with the others on the path of a request but an immutable table, which it swaps between two requests
//! when the control side publishes another, and a relaxed count of requests in flight for each endpoint; on routes that ask for a
//! token also what is remembered of tokens that were verified, which nobody locks to read.
//!
//! Invariants:
//! * when [`Gateway::withdraw`] returns, no worker sends another request to that endpoint;
//! * a request whose first byte may have reached an endpoint is sent again only if its method is idempotent, or if the endpoint
//!   says over HTTP/2 that it has not processed it;
//! * a response that did not end as announced never looks whole to the client;
//! * an endpoint is told whom a request is from only by a token that was verified, and never by the client itself.
//!
//! Elsewhere: the HTTP/1.1 message layer (`phalanx-http1`), tokens and revocations (`phalanx-auth`), decisions about endpoints
//! (`phalanx-balance`), replicas and their probes (`phalanx-fleet`).

mod answer;
mod client_places;
mod connection;
mod discovery;
mod exchange;
mod gateway;
mod guard;
mod health;
mod listen;
mod memory;
mod table;
mod worker;

pub use discovery::DiscoveryLoop;
pub use gateway::{
    EndpointLoad, EndpointState, Gateway, GatewayState, ServiceLoad, StartError, Started, UnknownEndpoint,
    Withdrawal, WorkerError, Workers,
};
pub use guard::{Verification, VerificationError, VerificationUpkeep};
pub use health::HealthLoop;
pub use listen::{BindError, Listeners};
pub use memory::{MemoryFiles, MemoryLoop};
