//! The loop of the fleet: whatever happens, every service is looked at and brought further.
//!
//! One `select!`, which only receives; what follows from it are plain calls. What woke the loop says nothing about what is done:
//! that is planned from what is there.
//! Invariants: no replica outlives [`Manager::run`]. Once the fleet stops nothing is started, and orders are refused.
//! Elsewhere: one service (`crate::service`), the tasks (`crate::crew`), the life of a replica (`crate::life`).

use std::{future, time::Instant};

use phalanx_config::ServiceName;
use phalanx_telemetry::clock;
use tokio::{
    sync::{mpsc, watch},
    time::sleep_until,
};
use tokio_util::sync::CancellationToken;

use crate::{
    balancer::Balancer,
    crew::{Crew, Departure, Place},
    dependencies::Dependencies,
    fleet::Outcome,
    orders::{Order, OrderError},
    replica::Ending,
    service::Service,
    state::ServiceState,
};

/// What a fleet is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// It runs replicas.
    Running,
    /// It stops them in order.
    Stopping,
    /// It stops them at once.
    StoppingNow,
}

/// What has happened.
enum Event {
    Departed(Place, Departure),
    Ordered(Order),
    Stop,
    StopNow,
    /// Something on the board, or the time has come to look again.
    Hint,
}

pub(crate) struct Manager<B> {
    pub(crate) services: Vec<Service>,
    pub(crate) dependencies: Dependencies,
    pub(crate) crew: Crew<B>,
    pub(crate) board: watch::Receiver<Vec<ServiceState>>,
    pub(crate) orders: mpsc::Receiver<Order>,
    pub(crate) stop_now: CancellationToken,
}

impl<B: Balancer> Manager<B> {
    /// Returns when the last replica has ended.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Outcome {
        let (mut mode, mut outcome) = (Mode::Running, Outcome::default());
        loop {
            let wakes_at = match mode {
                Mode::Running => self.tend(),
                Mode::Stopping | Mode::StoppingNow => {
                    self.stop(mode);
                    None
                }
            };
            if mode != Mode::Running && self.services.iter().all(|service| service.members.is_empty()) {
                return outcome;
            }
            let event = tokio::select! {
                // In this order: replicas that end at once would otherwise be replaced, and not be counted among the last.
                biased;
                () = self.stop_now.cancelled(), if mode != Mode::StoppingNow => Event::StopNow,
                () = stop.cancelled(), if mode == Mode::Running => Event::Stop,
                Some((place, departure)) = self.crew.next() => Event::Departed(place, departure),
                Some(order) = self.orders.recv() => Event::Ordered(order),
                Ok(()) = self.board.changed() => Event::Hint,
                () = at(wakes_at) => Event::Hint,
            };
            match event {
                Event::Departed(place, departure) => self.depart(place, departure, mode, &mut outcome),
                Event::Ordered(order) => self.order(order, mode),
                Event::Stop => mode = Mode::Stopping,
                Event::StopNow => mode = Mode::StoppingNow,
                Event::Hint => {}
            }
        }
    }

    /// Brings every service further; when that has to be done again although nothing has happened.
    fn tend(&mut self) -> Option<Instant> {
        let now = clock::now();
        let mut wakes_at: Option<Instant> = None;
        // Behind those it depends on, a service that they let begin begins in the same pass.
        for &index in self.dependencies.order() {
            let missing = self.dependencies.missing(index, |other| self.services[other].has_arrived);
            if missing.is_empty() {
                let at = self.services[index].tend(&mut self.crew, now);
                wakes_at = wakes_at.into_iter().chain(at).min();
            } else {
                let names: Vec<ServiceName> =
                    missing.into_iter().map(|other| self.services[other].name.clone()).collect();
                self.services[index].wait_for(&names, &self.crew);
            }
        }
        wakes_at
    }

    /// Tells replicas to stop: all of them, or of each service once nobody is left who depends on it.
    fn stop(&self, mode: Mode) {
        for service in &self.services {
            let is_gone = |other: usize| self.services[other].members.is_empty();
            if mode == Mode::StoppingNow || self.dependencies.may_stop(service.index, is_gone) {
                service.members.tell_all_to_stop();
            }
        }
    }

    /// Answers once what follows from the order stands on the board.
    fn order(&mut self, order: Order, mode: Mode) {
        let Order { service, request, answer } = order;
        let answered = match self.services.iter_mut().find(|known| known.name == service) {
            _ if mode != Mode::Running => Err(OrderError::Stopping),
            Some(service) => service.take(request, self.crew.events(), clock::now()),
            None => {
                let known = self.services.iter().map(|service| service.name.clone()).collect();
                Err(OrderError::UnknownService { service: service.to_string(), known })
            }
        };
        if answered.is_ok() {
            self.tend();
        }
        // Whoever has asked may have gone away.
        let _ = answer.send(answered);
    }

    fn depart(&mut self, place: Place, departure: Departure, mode: Mode, outcome: &mut Outcome) {
        let is_last_end = mode != Mode::Running;
        match departure {
            Departure::Ended(ending) => {
                if is_last_end {
                    match ending {
                        Ending::Orderly => outcome.orderly += 1,
                        Ending::Forced => outcome.forced += 1,
                    }
                }
                self.dismiss(place, mode);
            }
            Departure::Recovered => {
                let service = &mut self.services[place.service];
                let is_leaving = service.members.is_leaving(place.ordinal);
                if is_leaving || is_last_end {
                    outcome.forced += u32::from(is_last_end);
                    self.crew.board().take_down(&service.name, place.ordinal);
                    self.dismiss(place, mode);
                } else {
                    service.start_again(place.ordinal, &mut self.crew, clock::now());
                }
            }
            // The other replicas are worth going on for.
            Departure::Lost(error) => {
                self.services[place.service].lose(place.ordinal, &error, &mut self.crew);
            }
        }
    }

    /// Frees a place. At the end the last states stay on the board, so that the end can be watched.
    fn dismiss(&mut self, place: Place, mode: Mode) {
        let service = &mut self.services[place.service];
        if mode == Mode::Running {
            self.crew.board().take_down(&service.name, place.ordinal);
        }
        service.members.dismiss(place.ordinal);
    }
}

/// That time; never, where there is none.
pub(crate) async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time.into()).await,
        None => future::pending().await,
    }
}
