//! Sessions and fields through their public interface: the same behaviour over Redis and over a file, then what only Redis does.

#![expect(clippy::unwrap_used, reason = "this crate is a test, its helpers included")]

mod damage;
mod fields;
mod model;
mod outages;
mod sessions;
mod stores;
mod watches;
