//! Tokens and keys as strangers make them: what is accepted, and what is wrong with everything else.

#![expect(clippy::unwrap_used, reason = "this crate is a test, its helpers included")]

mod claims;
mod forge;
mod forms;
mod jwks;
mod memory;
mod remote;
mod rings;
