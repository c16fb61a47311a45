//! One endpoint of four that is a hundred times slower than the others.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use super::Edge;
use crate::support::{edge::Endpoint, home::Home, http::getting};

const CLIENTS: usize = 8;
const REQUESTS: u32 = 800;

#[test]
fn a_slow_endpoint_gets_less_than_a_twentieth() {
    for balance in ["least_response_time", "power_of_two"] {
        let home = Arc::new(Home::new());
        let paces = [("slow", "1000"), ("one", "10"), ("two", "10"), ("three", "10")];
        let endpoints = paces.map(|(name, pace)| Endpoint::start_with(&home, name, &[("PACE", pace)])).into();
        let edge = Edge::before(&home, endpoints, "", &format!("balance = '{balance}'"));
        let sent = AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    let mut client = edge.phalanx.connection();
                    while sent.fetch_add(1, Ordering::Relaxed) < REQUESTS {
                        assert_eq!(client.exchange(&getting("/work")).unwrap().status, 200);
                    }
                });
            }
        });
        let slow = edge.endpoints[0].address.to_string();
        let states = edge.phalanx.endpoints();
        let by_slow = states.iter().find(|endpoint| endpoint.address == slow).unwrap().requests;
        assert!(by_slow * 20 < u64::from(REQUESTS), "{balance}: {by_slow} of {REQUESTS}: {states:?}");
        assert!(by_slow > 0, "{balance}: it is not forgotten either");
        edge.stop();
    }
}
