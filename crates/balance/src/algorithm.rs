//! The ways to choose an endpoint for a request. Weights count in all of them.
//!
//! An algorithm is told of the endpoints at each choice, through [`Candidates`], so counts, times and weights belong to the
//! endpoint, may change between two choices, and survive whatever happens to the list.
//!
//! Invariant: only an eligible candidate is picked, and one is picked if there is any.

mod hashing;
mod least;
mod random;
#[cfg(test)]
mod tests;

pub use hashing::hash;

use crate::{Share, Weight, weighted::SmoothWeighted};

/// What an algorithm asks about the endpoints of one service, which it knows by their index.
pub trait Candidates {
    /// How many there are.
    fn count(&self) -> usize;
    /// Whether this one may be picked.
    fn is_eligible(&self, index: usize) -> bool;
    /// Its configured weight: where keys belong must not change while an endpoint starts slowly, or they would move twice.
    fn base_weight(&self, index: usize) -> Weight;
    /// The share that it gets at the moment.
    fn weight(&self, index: usize) -> Share;
    /// Requests that it has not answered yet.
    fn in_flight(&self, index: usize) -> u32;
    /// How long it is expected to take for an answer, in nanoseconds; zero where nothing is known.
    fn response_nanos(&self, index: usize) -> u64;
    /// What stays the same as long as it is the same endpoint, whatever its index.
    fn identity(&self, index: usize) -> u64;

    /// The indices of those that may be picked.
    fn eligible(&self) -> impl Iterator<Item = usize> {
        (0..self.count()).filter(|index| self.is_eligible(*index))
    }
}

/// An algorithm with its state over one list of candidates.
#[derive(Clone, Debug)]
pub enum Algorithm {
    /// Everyone in turn.
    RoundRobin(SmoothWeighted),
    /// The fewest requests in flight for its weight; among equals everyone in turn.
    LeastConnections(SmoothWeighted),
    /// Shares in proportion to weight and speed, spread out: a slow endpoint gets little, and never nothing.
    LeastResponseTime(SmoothWeighted),
    /// Of two at random the one with fewer requests in flight.
    PowerOfTwo(fastrand::Rng),
    /// The same key to the same endpoint; when an endpoint goes, only its keys move.
    Hash,
    /// Like `Hash`, but an endpoint with more than its bounded share of requests passes the key on.
    BoundedHash,
    /// Anyone.
    Random(fastrand::Rng),
}

impl Algorithm {
    /// Everyone in turn, after `turns` choices.
    #[must_use]
    pub fn round_robin(weights: impl IntoIterator<Item = Weight>, turns: usize) -> Self {
        Self::RoundRobin(SmoothWeighted::new(weights, turns))
    }

    /// The fewest requests in flight.
    #[must_use]
    pub fn least_connections(weights: impl IntoIterator<Item = Weight>, turns: usize) -> Self {
        Self::LeastConnections(SmoothWeighted::new(weights, turns))
    }

    /// In proportion to speed.
    #[must_use]
    pub fn least_response_time(weights: impl IntoIterator<Item = Weight>, turns: usize) -> Self {
        Self::LeastResponseTime(SmoothWeighted::new(weights, turns))
    }

    /// The better of two; `seed` makes the choices repeatable.
    #[must_use]
    pub fn power_of_two(seed: u64) -> Self {
        Self::PowerOfTwo(fastrand::Rng::with_seed(seed))
    }

    /// Anyone; `seed` makes the choices repeatable.
    #[must_use]
    pub fn random(seed: u64) -> Self {
        Self::Random(fastrand::Rng::with_seed(seed))
    }

    /// The index of the endpoint for a request whose [`hash`]ed key is `key`; only the hashing algorithms look at it.
    pub fn pick(&mut self, candidates: &impl Candidates, key: u64) -> Option<usize> {
        match self {
            Self::RoundRobin(turns) => turns.pick(|index| weight_if_eligible(candidates, index)),
            Self::LeastConnections(turns) => least::connections(candidates, turns),
            Self::LeastResponseTime(turns) => least::response_time(candidates, turns),
            Self::PowerOfTwo(random) => random::better_of_two(candidates, random),
            Self::Hash => hashing::highest(candidates, key, |_| true),
            Self::BoundedHash => hashing::highest_with_room(candidates, key),
            Self::Random(random) => random::weighted(candidates, random, None),
        }
    }
}

/// What a candidate counts for in this choice: nothing unless it is eligible.
fn weight_if_eligible(candidates: &impl Candidates, index: usize) -> f64 {
    if candidates.is_eligible(index) { f64::from(candidates.weight(index).get()) } else { 0.0 }
}
