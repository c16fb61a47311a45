//! What the admin API can be told to do: the orders, and how they come out.
//!
//! Invariant: an order that was accepted goes on whether or not anybody waits for it; waiting only tells how it came out.
//! Elsewhere: who carries them out (the binary, by [`Control`]); their routes (`crate::routes`); who sends them
//! (`crate::client`).

use std::{future::Future, net::SocketAddr, pin::Pin};

use futures_util::Stream;

use crate::state::Event;

/// Something that comes later, on whichever thread.
pub type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Whoever carries out what the admin API is told.
///
/// Its methods are called on the thread that [`crate::serve`] runs on, and should not block.
pub trait Control: Send + Sync + 'static {
    /// Gives an order to a service; ready when it is accepted or refused, which is soon.
    fn order(&self, service: &str, order: Order) -> Pending<Result<Placed, Refusal>>;

    /// Takes an endpoint out of the balance, or back into it; ready when no worker begins a request there, or all may.
    fn drain(&self, endpoint: SocketAddr, order: DrainOrder) -> Pending<Result<Placed, Refusal>>;

    /// Reads the configuration again; ready when it is refused, or its changes are accepted.
    fn reload(&self) -> Pending<Result<Placed, Refusal>>;

    /// The last lines that a replica printed.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] when there is no such replica.
    fn output(&self, instance: &str) -> Result<Vec<String>, Refusal>;

    /// What happens from here on, after those of what has happened that are younger than the event `after`.
    fn events(&self, after: Option<u64>) -> Events;
}

/// What a service is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Run this many replicas.
    Scale {
        /// How many.
        replicas: u32,
    },
    /// Replace every replica by one of the same template.
    Restart,
    /// Go back to an earlier template.
    Undo {
        /// Which; `None`: the one before.
        revision: Option<u64>,
    },
    /// Hold the rollout where it is.
    Pause,
    /// Go on with a rollout that is held.
    Resume,
}

/// What an endpoint is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrainOrder {
    /// Get no more requests.
    Drain,
    /// Get them again.
    Resume,
}

/// An order that was accepted.
pub struct Placed {
    /// What was accepted: "api scales from 2 to 8 replicas".
    pub told: String,
    /// How it comes out.
    pub ending: Pending<Ending>,
}

/// How an order came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It is done.
    Complete {
        /// What is the case: "8 of 8 replicas are available".
        told: String,
    },
    /// It is not, and will not be without another order.
    Failed {
        /// Why.
        reason: String,
    },
}

/// Why an order was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// What it names does not exist.
    #[error("there is no {what} `{name}`")]
    Unknown {
        /// What it is: "service".
        what: &'static str,
        /// As it was given.
        name: String,
        /// Those there are.
        known: Vec<String>,
    },
    /// It cannot be done as things are.
    #[error("{reason}")]
    Refused {
        /// Why, and what to do.
        reason: String,
    },
    /// Phalanx stops.
    #[error("Phalanx is stopping")]
    Stopping,
}

/// Events, the oldest first.
pub struct Events {
    /// Those of the past that were asked for.
    pub past: Vec<Event>,
    /// Those to come.
    pub live: Pin<Box<dyn Stream<Item = Told> + Send>>,
}

/// One item of a stream of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It happened.
    Event(Event),
    /// The reader was too slow for this many.
    Missed(u64),
}
