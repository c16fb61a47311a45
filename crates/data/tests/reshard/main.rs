//! Reshardings on real servers, under writers: what is moved, what is left where it was, and what is refused.

#![expect(clippy::unwrap_used, reason = "this crate is a test, its helpers included")]

mod back;
mod moving;
mod refused;
mod resumed;
mod support;
mod writers;
