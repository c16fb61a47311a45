//! What replicas share is killed, emptied and held: whoever has a token goes on, sessions wait, and nothing that was revoked comes
//! back.

use rustix::process::Signal;
use serde_json::json;

use super::{place::Place, visitor::Visitor};
use crate::support::{edge, until};

/// Waits until everything that lives on a token goes on, and everything that needs the shared state is told to come again.
fn goes_on_without_sessions(place: &Place, visitor: &mut Visitor) {
    for replica in place.replicas {
        // Whoever comes first finds out, and has waited for an answer.
        until("a replica that has noticed", || visitor.gets_by_cookie(replica, "/api/cart").status == 503);
        for waiting in [visitor.gets_by_cookie(replica, "/api/cart"), visitor.gets(replica, "/api/cart")] {
            assert_eq!((waiting.status, waiting.problem()), (503, "State unavailable".to_owned()));
            assert_eq!(waiting.header("retry-after"), Some("1"));
        }
        assert_eq!(visitor.gets(replica, "/api/auth/sessions").status, 503, "it asks the store");
        assert_eq!(visitor.gets(replica, "/api/profile").status, 200);
        *visitor = visitor.refreshed(&visitor.refreshes(replica));
        let other = visitor.logs_in(replica);
        assert_eq!(other.cookie, None);
        assert_eq!(other.gets(replica, "/api/profile").status, 200);
    }
    place.is_welcome_everywhere(&visitor.token);
}

#[test]
fn without_redis_tokens_go_on_and_sessions_wait() {
    let place = Place::with_servers();
    let (mut visitor, leaver, left) =
        (place.registers("ada"), place.registers("bob"), place.registers("eve"));
    left.logs_out(place.replicas[0]);
    place.is_refused_everywhere(&left.token);
    place.redis().kill();
    goes_on_without_sessions(&place, &mut visitor);
    place.stays_refused(&left.token);
    // He may have to come again for everybody to know, and yet nobody at this replica takes his token any more.
    let answer = leaver.sends(place.replicas[1], "POST", "/api/auth/logout", &json!({}));
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(leaver.gets(place.replicas[1], "/api/profile").status, 401);
    assert_eq!(leaver.refreshes(place.replicas[1]).status, 401);

    place.redis().restart();
    place.is_refused_everywhere(&leaver.token);
    place.stays_refused(&left.token);
    for replica in place.replicas {
        until("sessions", || visitor.logs_in(replica).cookie.is_some());
    }
    let back = visitor.logs_in(place.replicas[0]);
    for replica in place.replicas {
        until("the session", || back.gets_by_cookie(replica, "/api/cart").status == 200);
    }
    place.closes();
}

#[test]
fn an_emptied_redis_ends_sessions_and_revives_no_token() {
    let mut place = Place::with_servers();
    let (visitor, left) = (place.registers("ada"), place.registers("bob"));
    left.logs_out(place.replicas[0]);
    place.is_refused_everywhere(&left.token);
    place.redis().flush_all();
    place.stays_refused(&left.token);
    for replica in place.replicas {
        let answer = visitor.gets_by_cookie(replica, "/api/cart");
        assert_eq!((answer.status, answer.problem()), (401, "Invalid token".to_owned()));
    }
    place.is_welcome_everywhere(&visitor.token);
    place.stays_refused(&left.token);
    // Who was not there yet when it was revoked hears of it all the same.
    for replica in 0..place.replicas.len() {
        place.replaces(replica, Signal::KILL);
        place.is_refused_everywhere(&left.token);
    }
    let back = visitor.logs_in(place.replicas[1]);
    assert_eq!(back.gets_by_cookie(place.replicas[2], "/api/cart").json()["items"], json!({}));
    place.closes();
}

#[test]
fn a_redis_that_stands_still_holds_nobody_up_who_has_a_token() {
    let place = Place::with_servers();
    let (mut visitor, left) = (place.registers("ada"), place.registers("bob"));
    left.logs_out(place.replicas[0]);
    place.is_refused_everywhere(&left.token);
    place.redis().pause();
    goes_on_without_sessions(&place, &mut visitor);
    place.stays_refused(&left.token);
    place.redis().resume();
    for replica in place.replicas {
        until("the session, which was never lost", || {
            visitor.gets_by_cookie(replica, "/api/cart").status == 200
        });
    }
    place.stays_refused(&left.token);
    place.closes();
}

#[test]
fn a_gateway_that_may_not_guess_lets_nobody_in_until_it_knows() {
    let place = Place::with_servers();
    let (visitor, strict) = (place.registers("ada"), place.strict_gateway());
    let asks = || visitor.gets(strict.gateway, "/edge");
    until("a gateway that has heard of all", || asks().status == 200);
    place.redis().kill();
    until("a gateway that has heard nothing for a second", || asks().status == 503);
    assert_eq!(asks().header("retry-after"), Some("1"));
    // The others may guess.
    place.is_welcome_everywhere(&visitor.token);
    place.redis().restart();
    until("a gateway that hears again", || asks().status == 200);
    edge::stop(strict);
    place.closes();
}
