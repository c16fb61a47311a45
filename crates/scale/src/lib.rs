//! How many replicas there should be: the decisions of a Kubernetes `HorizontalPodAutoscaler` (v2), and faster ones as Knative
//! makes them ([`fast`]), without I/O and without a clock.
//!
//! Invariant: the same policy, state, observation and time give the same decision, and no input makes it panic: numbers that
//! do not fit saturate.
//! Elsewhere: what is observed and how replicas are started and stopped (`phalanx-fleet`).
//!
//! Time is the time since an epoch of the owner's, as a [`Duration`](std::time::Duration).

pub mod behavior;
pub mod decide;
pub mod events;
pub mod fast;
pub mod group;
pub mod host;
mod line;
pub mod metric;
mod mode;
mod number;
pub mod pod;
pub mod policy;
pub mod proposal;
pub mod rate;
pub mod reasons;
pub mod request;
pub mod rollout;
pub mod scenario;
mod signal;
pub mod simulation;
pub mod stabilize;
mod state;
mod tolerance;

pub use decide::{Decision, Observed, decide};
pub use mode::{Mode, Seen, Why};
pub use number::{REPLICAS_MAX, Thousandths};
pub use policy::{Policy, Wanted};
pub use reasons::Reasons;
pub use signal::Signal;
pub use state::State;
pub use tolerance::Tolerance;
