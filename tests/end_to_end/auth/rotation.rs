//! Keys that replicas read at their start change under a service that goes on.

use std::{fs, sync::Arc};

use rustix::process::Signal;
use serde_json::Value;

use super::place::Place;
use crate::support::{
    home::Home,
    phalanx::{Ended, run},
};

const KEYS: &str = "keys.json";

/// `phalanx token keys`
fn keys(home: &Arc<Home>, arguments: &[&str]) -> Ended {
    run(home, &[&["token", "keys"], arguments].concat()).with_code(0)
}

/// What a token says of itself, the name of its key above all.
fn header(token: &str) -> &str {
    token.split('.').next().unwrap()
}

#[test]
fn keys_rotate_while_replicas_are_replaced_one_by_one() {
    let home = Arc::new(Home::new());
    keys(&home, &["generate", "--alg", "EdDSA", "-o", KEYS]);
    keys(&home, &["rotate", KEYS]);
    let mut place = Place::with_keys(&home, KEYS);
    let early = place.registers("ada");
    place.is_welcome_everywhere(&early.token);

    keys(&home, &["rotate", KEYS]);
    for replica in 0..place.replicas.len() {
        place.replaces(replica, Signal::TERM);
        let late = early.logs_in(place.replicas[replica]);
        assert_ne!(header(&late.token), header(&early.token));
        // Who still has the old file knows the key as the next one, who has the other one knows the old key as retired.
        place.is_welcome_everywhere(&late.token);
        place.is_welcome_everywhere(&early.token);
    }

    let late = early.logs_in(place.replicas[0]);
    let file = home.path().join(KEYS);
    let mut ring: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    ring["keys"].as_array_mut().unwrap().retain(|key| key["state"] != "retired");
    fs::write(&file, ring.to_string()).unwrap();
    for replica in 0..place.replicas.len() {
        place.replaces(replica, Signal::TERM);
    }
    place.replaces_edge();
    place.is_refused_everywhere(&early.token);
    place.is_welcome_everywhere(&late.token);
    // Nobody has to log in again.
    let refreshed = early.refreshed(&early.refreshes(place.replicas[1]));
    place.is_welcome_everywhere(&refreshed.token);
    assert_eq!(early.gets_by_cookie(place.replicas[2], "/api/cart").status, 200);
    place.closes();
}
