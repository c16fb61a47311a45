//! A cart belongs to an account: every replica has it, and none of them, nor the restart of all, loses any of it.

use std::{
    net::SocketAddr,
    sync::{Arc, Barrier},
    thread,
};

use rustix::process::Signal;
use serde_json::{Map, Value, json};

use super::{place::Place, visitor::Visitor};
use crate::support::{
    http::{exchange, sending},
    websocket::WebSocket,
};

const GOING_AWAY: u16 = 1001;
/// From 4000 on codes are an application's own; this one is for 401.
const SESSION_ENDED: u16 = 4401;

fn puts(visitor: &Visitor, replica: SocketAddr, items: &Value) {
    let answer = visitor.sends(replica, "PATCH", "/api/cart", &json!({ "items": items }));
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn items(visitor: &Visitor, replica: SocketAddr) -> Value {
    let answer = visitor.gets_by_cookie(replica, "/api/cart");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["items"].take()
}

#[test]
fn devices_that_change_different_products_at_once_lose_neither() {
    const ROUNDS: usize = 10;
    for opens in [Place::embedded, Place::with_servers] {
        let place = opens();
        let phone = place.registers("ada");
        let laptop = phone.logs_in(place.replicas[1]);
        let mut expected = Map::new();
        for round in 1..=ROUNDS {
            let together = Arc::new(Barrier::new(2));
            let devices =
                [(&phone, 0, 2 * round - 1), (&laptop, 1, 2 * round)].map(|(device, replica, product)| {
                    let (together, device, replica) =
                        (Arc::clone(&together), device.clone(), place.replicas[replica]);
                    expected.insert(product.to_string(), json!(round));
                    let items = json!({ product.to_string(): round });
                    thread::spawn(move || {
                        together.wait();
                        puts(&device, replica, &items);
                    })
                });
            devices.into_iter().for_each(|device| device.join().unwrap());
        }
        for replica in place.replicas {
            assert_eq!(items(&laptop, replica), Value::Object(expected.clone()));
        }
        puts(&laptop, place.replicas[2], &json!({ "1": null, "2": 7 }));
        expected.remove("1");
        expected.insert("2".to_owned(), json!(7));
        assert_eq!(items(&phone, place.replicas[0]), Value::Object(expected));
        place.closes();
    }
}

#[test]
fn carts_and_sessions_outlive_every_replica() {
    for opens in [Place::embedded, Place::with_servers] {
        let mut place = opens();
        let visitor = place.registers("ada");
        let cart = json!({ "3": 1, "7": 2 });
        let put = visitor.sends_by_cookie(place.replicas[0], "PUT", "/api/cart", &json!({ "items": cart }));
        assert_eq!(put.status, 200, "{put:?}");
        for replica in 0..place.replicas.len() {
            place.replaces(replica, Signal::KILL);
            for address in place.replicas {
                assert_eq!(items(&visitor, address), cart);
            }
        }
        let place = place.restarts();
        place.is_welcome_everywhere(&visitor.token);
        for address in place.replicas {
            assert_eq!(items(&visitor, address), cart);
        }
        visitor.logs_out(place.replicas[1]);
        let place = place.restarts();
        place.is_refused_everywhere(&visitor.token);
        assert_eq!(visitor.gets_by_cookie(place.replicas[0], "/api/cart").status, 401);
        assert_eq!(items(&visitor.logs_in(place.replicas[0]), place.replicas[1]), cart);
        place.closes();
    }
}

#[test]
fn changes_reach_every_device_and_a_logout_closes_its_socket() {
    for opens in [Place::embedded, Place::with_servers] {
        let place = opens();
        let phone = place.registers("ada");
        let laptop = phone.logs_in(place.replicas[1]);
        let subprotocol = format!("Sec-WebSocket-Protocol: bearer, {}\r\n", laptop.token);
        let own_page = format!("{}Sec-Fetch-Site: same-origin\r\n", phone.cookie_field());
        let mut sockets = [
            (place.replicas[0], phone.bearer()),
            (place.gateway(), own_page),
            (place.replicas[1], subprotocol),
        ]
        .map(|(address, fields)| WebSocket::open(address, "/ws", &fields).expect("a socket"));
        puts(&phone, place.replicas[2], &json!({ "3": 4 }));
        for socket in &mut sockets {
            socket.hears(|cart| cart["items"] == json!({ "3": 4 }));
        }

        phone.logs_out(place.replicas[2]);
        let [by_token, by_cookie, mut of_laptop] = sockets;
        assert_eq!((by_token.ends(), by_cookie.ends()), (SESSION_ENDED, SESSION_ENDED));
        puts(&laptop, place.replicas[1], &json!({ "3": 5 }));
        of_laptop.hears(|cart| cart["items"] == json!({ "3": 5 }));
        let hearing = thread::spawn(move || of_laptop.ends());
        place.closes();
        assert_eq!(hearing.join().unwrap(), GOING_AWAY);
    }
}

#[test]
fn a_page_of_another_site_opens_no_socket_and_changes_no_cart() {
    let place = Place::embedded();
    let visitor = place.registers("ada");
    let change = json!({ "items": { "3": 1 } }).to_string();
    for site in [
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        "Origin: https://evil.example\r\n",
    ] {
        let fields = format!("{}{site}", visitor.cookie_field());
        for address in [place.replicas[0], place.gateway()] {
            let refused = WebSocket::open(address, "/ws", &fields).expect_err("no socket");
            assert_eq!(refused.status, 403, "{site}");
            let refused = exchange(address, &sending("PATCH", "/api/cart", &fields, &change));
            let expected = (403, "Cross-origin request".to_owned());
            assert_eq!((refused.status, refused.problem()), expected, "{site}");
        }
    }
    assert_eq!(items(&visitor, place.replicas[1]), json!({}));
    place.closes();
}
