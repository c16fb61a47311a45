//! Fleets of real processes with real sockets, before a balancer that records what it is asked.

#![expect(clippy::unwrap_used, reason = "a test that meets what it does not expect has failed")]

mod autoscaling;
mod failing;
mod harness;
mod orphans;
mod recorder;
mod starting;
mod stopping;
mod usage;
