//! How many replicas there should be: the decisions of a Kubernetes `HorizontalPodAutoscaler` (v2), without I/O and without a
//! clock.
//!
//! Invariant: the same policy, state, observation and time give the same decision, and no input makes it panic: numbers that
//! do not fit saturate.
//! Elsewhere: what is observed and how replicas are started and stopped (`phalanx-fleet`).
//!
//! Time is the time since an epoch of the owner's, as a [`Duration`](std::time::Duration).

pub mod rollout;
