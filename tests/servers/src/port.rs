//! Free ports that stay free while a server is down.

use std::net::TcpListener;

/// Below the ports that the kernel hands out by itself (32768 and up): no outgoing connection takes one between a stop and a
/// start again. By chance, so that test processes that run at the same time do not meet.
const PORTS: std::ops::Range<u16> = 12_000..32_000;
const TRIES: usize = 100;

/// A port on which nothing listens.
pub(crate) fn free() -> u16 {
    (0..TRIES)
        .map(|_| fastrand::u16(PORTS))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("of so many ports one is free")
}
