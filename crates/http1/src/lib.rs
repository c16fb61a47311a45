//! The HTTP/1.1 message layer of the gateway (RFC 9112), without I/O: bytes in, events and bytes out.
//!
//! Heads are parsed by `httparse` and then judged more strictly: whatever two parsers could read differently is refused,
//! because that difference is what request smuggling is made of. A head is never turned into a map: [`rewrite`] copies the
//! lines that stay from the bytes received and adds the gateway's own.
//!
//! Invariant: a head that parses has exactly one reading of where its message ends, and so has the head that
//! [`rewrite`] makes of it.
//! Elsewhere: sockets, buffers and timeouts (`phalanx-gateway`), routes (`phalanx-gateway::table`).

pub mod chunked;
mod fault;
mod field;
mod head;
mod identity;
mod provenance;
pub mod request;
pub mod response;
pub mod rewrite;
mod target;
pub mod translate;
mod upgrade;

pub use fault::{RequestFault, ResponseFault};
pub use head::{FieldSlots, HeadLimits, HeadScan, Version};
pub use identity::Identity;
pub use provenance::{HOPS_MAX, Hops, Provenance};
pub use target::{EncodedSet, Path, Target, host_of};
pub use upgrade::Upgrade;
