//! Replicas that are exchanged, added and taken away by order, under load.

use super::{
    load::REQUESTS_PER_SECOND,
    place::{Place, Verdict},
};
use crate::support::until;

/// Half a minute of load, for each protocol between gateway and replicas.
const REQUESTS: u64 = 15 * REQUESTS_PER_SECOND as u64;
/// Between two orders that change the number of replicas.
const BETWEEN_ORDERS: u64 = 2 * REQUESTS_PER_SECOND as u64;

#[test]
fn rolling_restarts_back_to_back_cost_no_request() {
    for protocol in ["http1", "h2c"] {
        let place = Place::with(3, &format!("protocol = '{protocol}'"));
        let before = pids(&place);
        let mut restarts = 0;
        while place.load.done() < REQUESTS {
            place.orders(&["rollout", "restart", "api"]);
            restarts += 1;
        }
        // An order is carried out when those that it replaces are told to stop, which they show a moment later.
        until("replicas that are all others", || pids(&place).iter().all(|pid| !before.contains(pid)));
        println!("{restarts} restarts over {protocol}");
        assert!(restarts > 1);
        enough(&place.closes(), REQUESTS);
    }
}

#[test]
fn from_two_replicas_to_eight_and_back_costs_no_request() {
    let place = Place::with(2, "");
    for replicas in [8, 2, 8, 2] {
        place.load.goes_on_for(BETWEEN_ORDERS);
        place.orders(&["scale", "api", &replicas.to_string()]);
        until("as many replicas as were ordered", || pids(&place).len() == replicas);
    }
    place.load.goes_on_for(BETWEEN_ORDERS);
    enough(&place.closes(), 5 * BETWEEN_ORDERS);
}

fn pids(place: &Place) -> Vec<u32> {
    place.serving().into_iter().map(|replica| replica.pid.unwrap()).collect()
}

fn enough(verdict: &Verdict, requests: u64) {
    let answered = verdict.is_spotless();
    assert!(answered as u64 >= requests, "{answered} requests");
}
