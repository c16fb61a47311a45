//! Who gets in, who waits, and who is turned away while a service has more requests than it can bear; without I/O and without a
//! clock.
//!
//! Invariant: time is an argument and randomness is a seed, so every decision here can be replayed; nothing here grows without
//! bound.
//! Elsewhere: counting what is in flight and waking who waited (`phalanx-gateway`); endpoints and retries (`phalanx-balance`).

pub mod gradient_limit;
pub mod pressure;
pub mod queue;

pub use gradient_limit::GradientLimit;
pub use pressure::Pressure;
pub use queue::Queue;
