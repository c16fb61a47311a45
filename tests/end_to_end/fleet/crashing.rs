//! Replicas that are killed, or stand still, under load.

use phalanx_admin::state::EndpointState;
use rustix::process::Signal;

use super::place::Place;
use crate::support::home::send;

/// What comes in 5 s.
const BETWEEN_KILLS: u64 = 5 * super::load::REQUESTS_PER_SECOND as u64;

#[test]
fn a_replica_that_is_killed_costs_no_get_and_no_post_twice() {
    bears_kills("http1", 1);
}

#[test]
fn a_replica_that_is_killed_costs_no_get_and_no_post_twice_over_h2c() {
    bears_kills("h2c", 2);
}

fn bears_kills(protocol: &str, seed: u64) {
    let place = Place::with(4, &format!("protocol = '{protocol}'"));
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..3 {
        place.load.goes_on_for(BETWEEN_KILLS);
        let victim = random.choice(place.serving()).unwrap();
        send(victim.pid.unwrap(), Signal::KILL);
        let instance = victim.instance.as_deref().unwrap();
        place.phalanx.replica(instance, |replica| {
            replica.state == EndpointState::Serving && replica.pid != victim.pid
        });
    }
    place.load.goes_on_for(BETWEEN_KILLS);
    assert!(place.closes().is_honest() > 48_000);
}

#[test]
fn a_replica_that_stands_still_until_it_is_killed_for_it_costs_no_get_and_no_post_twice() {
    let liveness = "probes.liveness = { path = '/ready', period = '100ms', timeout = '3s', failure = 2 }";
    let place = Place::with(4, liveness);
    place.load.goes_on_for(BETWEEN_KILLS / 2);
    let held = place.phalanx.replica("api-2", |replica| replica.state == EndpointState::Serving);
    send(held.pid.unwrap(), Signal::STOP);
    place
        .phalanx
        .replica("api-2", |replica| replica.state == EndpointState::Serving && replica.pid != held.pid);
    place.load.goes_on_for(BETWEEN_KILLS / 2);
    assert!(place.closes().is_honest() as u64 >= BETWEEN_KILLS);
}

#[test]
fn a_replica_that_stands_still_costs_no_request() {
    let place = Place::with(4, "");
    place.load.goes_on_for(BETWEEN_KILLS);
    let held = place.phalanx.replica("api-2", |replica| replica.state == EndpointState::Serving);
    send(held.pid.unwrap(), Signal::STOP);
    place.phalanx.replica("api-2", |replica| replica.state == EndpointState::NotReady);
    place.load.goes_on_for(BETWEEN_KILLS);
    send(held.pid.unwrap(), Signal::CONT);
    place.phalanx.replica("api-2", |replica| replica.state == EndpointState::Serving);
    place.load.goes_on_for(BETWEEN_KILLS);
    assert!(place.closes().is_spotless() > 30_000);
}
