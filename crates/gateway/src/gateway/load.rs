//! What a service has to do, for whoever decides how many replicas it needs.
//!
//! It is read from what workers count anyway, so that to be asked costs a request nothing. The counts are read one after the
//! other: they agree with each other as well as a moment has a length.

use std::net::SocketAddr;

use phalanx_config::ServiceName;

use super::Gateway;

/// What a service has to do at one moment. `in_flight`, `waiting` and `held` have no request in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceLoad {
    /// Requests on its routes since the gateway began, however they were or will be answered. It never falls.
    pub requests: u64,
    /// Requests at endpoints, at those included that are leaving.
    pub in_flight: u64,
    /// Requests that wait for room at an endpoint.
    pub waiting: u64,
    /// Requests that wait for an endpoint.
    pub held: u64,
    /// Its endpoints, without those that are leaving.
    pub endpoints: Vec<EndpointLoad>,
}

/// What an endpoint has to do at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointLoad {
    /// Where it listens.
    pub address: SocketAddr,
    /// Attempts that were made at it. It begins again when an endpoint has left this address and another one comes.
    pub requests: u64,
    /// Requests that it has not answered yet.
    pub in_flight: u64,
}

impl Gateway {
    /// What a service has to do; nothing if there is no such service.
    #[must_use]
    pub fn load(&self, service: &ServiceName) -> ServiceLoad {
        let members = self.members();
        let Some(known) = members.service(service) else { return ServiceLoad::default() };
        let at = |address: SocketAddr| {
            let totals = self.shared.upstreams.totals(service.as_str(), &address.to_string());
            EndpointLoad { address, requests: totals.requests, in_flight: count(totals.in_flight) }
        };
        let endpoints: Vec<_> = known.members.iter().map(|member| at(member.endpoint.address)).collect();
        let leaving = members.leaving(service).map(|address| at(address).in_flight);
        ServiceLoad {
            requests: self.shared.requests.begun(service.as_str()),
            in_flight: endpoints.iter().map(|endpoint| endpoint.in_flight).chain(leaving).sum(),
            waiting: count(known.counters.queued()),
            held: count(known.counters.held()),
            endpoints,
        }
    }
}

/// Writers are read one after the other: an end may be seen whose beginning was not.
fn count(balance: i64) -> u64 {
    u64::try_from(balance).unwrap_or(0)
}
