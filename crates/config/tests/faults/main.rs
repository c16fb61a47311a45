//! Fault messages, as they are seen.

#![expect(clippy::unwrap_used, reason = "this crate is a test, its helpers included")]

mod amounts;
mod auth;
mod autoscale;
mod gateway;
mod report;
mod resilience;
mod resources;
mod rollouts;
mod routes;
mod sections;
mod services;
mod sources;
mod support;
mod texts;
mod variables;
