//! The tasks of all replicas of a fleet, and what they share.
//!
//! Invariant: every task has a place, and no place has two tasks. Dropping the crew ends all of them.
//! Elsewhere: which places there are (`crate::service`).

use std::{collections::HashMap, sync::Arc, time::Duration};

use phalanx_config::ServiceName;
use tokio::{
    sync::watch,
    task::{Id, JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

use crate::{
    balancer::Balancer,
    events::EventLog,
    lost,
    replica::{Ending, Identity, Replica, Seat, Stops, Surroundings},
    state::{Board, ReplicaState, ServiceState},
    template::Template,
};

/// The place of a replica in the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The number of its service.
    pub(crate) service: usize,
    /// Its own.
    pub(crate) ordinal: u32,
}

/// How the task of a place has ended.
#[derive(Debug)]
pub(crate) enum Departure {
    /// The replica has ended for good.
    Ended(Ending),
    /// What a lost replica has left is cleared up.
    Recovered,
    /// To a fault.
    Lost(JoinError),
}

pub(crate) struct Crew<B> {
    tasks: JoinSet<Departure>,
    places: HashMap<Id, Place>,
    surroundings: Arc<Surroundings<B>>,
    board: watch::Receiver<Vec<ServiceState>>,
    stop_now: CancellationToken,
}

impl<B: Balancer> Crew<B> {
    pub(crate) fn new(surroundings: Arc<Surroundings<B>>, stop_now: CancellationToken) -> Self {
        let board = surroundings.board.subscribe();
        Self { tasks: JoinSet::new(), places: HashMap::new(), surroundings, board, stop_now }
    }

    pub(crate) fn events(&self) -> &EventLog {
        &self.surroundings.events
    }

    pub(crate) fn board(&self) -> &Board {
        &self.surroundings.board
    }

    /// What the replicas of a service have put on the board.
    pub(crate) fn with_board<T>(&self, service: usize, look: impl FnOnce(&[ReplicaState]) -> T) -> T {
        let board = self.board.borrow();
        look(board.get(service).map_or(&[], |state| &state.replicas))
    }

    /// Starts the life of a replica.
    pub(crate) fn start(
        &mut self,
        place: Place,
        service: &ServiceName,
        seat: Seat,
        template: Arc<Template>,
        stop: CancellationToken,
    ) {
        let stops = Stops { stop, stop_now: self.stop_now.clone() };
        let replica = Replica::new(service.clone(), seat, template, Arc::clone(&self.surroundings), stops);
        let task = self.tasks.spawn(async { Departure::Ended(replica.live().await) });
        self.places.insert(task.id(), place);
    }

    /// Clears up after a replica that was lost, of which `last` was seen, and waits for `pause`.
    pub(crate) fn recover(
        &mut self,
        place: Place,
        service: &ServiceName,
        last: Option<ReplicaState>,
        pause: Duration,
        stop: CancellationToken,
    ) {
        let stops = Stops { stop, stop_now: self.stop_now.clone() };
        let identity = Identity::new(service.clone(), place.ordinal);
        let surroundings = Arc::clone(&self.surroundings);
        let task = self.tasks.spawn(async move {
            lost::recover(&identity, last, pause, &surroundings, &stops).await;
            Departure::Recovered
        });
        self.places.insert(task.id(), place);
    }

    /// The next task that ends; `None` where there is none. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<(Place, Departure)> {
        let (id, departure) = match self.tasks.join_next_with_id().await? {
            Ok((id, departure)) => (id, departure),
            Err(error) => (error.id(), Departure::Lost(error)),
        };
        let place = self.places.remove(&id).expect("every task has a place");
        Some((place, departure))
    }
}
