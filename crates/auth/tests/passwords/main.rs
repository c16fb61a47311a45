//! What guards passwords, through the public interface and with a real Redis.

#![expect(clippy::unwrap_used, reason = "this crate is a test, its helpers included")]

mod attempts;
mod support;
