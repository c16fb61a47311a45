//! Fleets of real processes with real sockets, before a balancer that records what it is asked.

#![expect(clippy::unwrap_used, reason = "a test that meets what it does not expect has failed")]

mod autoscaling;
mod depending;
mod failing;
mod harness;
mod limits;
mod lost;
mod orders;
mod orphans;
mod printing;
mod probing;
mod recorder;
mod rollouts;
mod scaling;
mod simulation;
mod starting;
mod stopping;
mod usage;
