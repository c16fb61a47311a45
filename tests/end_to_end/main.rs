//! Phalanx as its users meet it: the built binary, its replicas as processes, real sockets and signals.
//!
//! Each test has a folder of its own, in which everything it starts runs and by which whatever is left is found. Ports are
//! chosen by the kernel. What has to come about is waited for, up to a deadline far beyond what it takes; no test measures
//! time.

#![expect(clippy::unwrap_used, reason = "this crate is a test, its helpers included")]

mod accounts;
mod auth;
mod autoscale;
mod bad_requests;
mod binding;
mod command_line;
mod crashes;
mod databases;
mod durability;
mod every_option;
mod failing_replicas;
mod faults;
mod fleet;
mod full_disk;
mod guarded;
mod languages;
mod large_files;
mod live_view;
mod metrics;
mod operating;
mod output;
mod readme;
mod reloading;
mod several_services;
mod slow_clients;
mod stopping;
mod support;
mod token;
mod topology;
