//! What holds of the HTTP/1.1 layer whatever the bytes are: one function for each fuzz target, which panics where it does not.
//!
//! The tests of `phalanx-http1` include this file, so that the corpus and random messages run through it on every
//! `cargo test`.

mod chunked;
mod naive;
mod request;
mod response;

pub use self::{
    chunked::{chunked, chunked_in_steps},
    request::{request_head, rewrite},
    response::response_head,
};
