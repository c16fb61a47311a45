//! A gateway over its life: endpoints come and go, connections are kept, requests are counted, and it ends.

mod counting;
mod holding;
mod load;
mod pooling;
mod rolling;
mod stopping;
mod unready;
mod withdrawing;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
