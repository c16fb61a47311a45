//! Which endpoint gets a request, and which endpoints may get any: balancing and health, without I/O and without a clock.
//!
//! Invariant: time is an argument and randomness is a seed, so every decision here can be replayed.
//! Elsewhere: connections and in-flight counts (`phalanx-gateway`), probes (`phalanx-gateway::health`, `phalanx-fleet`).

pub mod algorithm;
pub mod breaker;
pub mod health;
pub mod outlier;
mod response_time;
mod retry_budget;
pub mod selection;
pub mod slow_start;
mod weight;
mod weighted;

pub use algorithm::Algorithm;
pub use response_time::ResponseTime;
pub use retry_budget::{RetryBudget, Withdrawal};
pub use weight::{Share, Weight, ZeroWeight};
