//! Logins begin at one replica and are seen at all; they end at one and are refused everywhere.

use std::{
    collections::BTreeSet,
    sync::{Arc, Barrier},
    thread,
};

use serde_json::{Value, json};

use super::{place::Place, visitor::Visitor};

/// The logins that an account is shown, and whether each is the one that asks.
fn logins(visitor: &Visitor, place: &Place) -> BTreeSet<(String, bool)> {
    let answer = visitor.gets(place.replicas[1], "/api/auth/sessions");
    assert_eq!(answer.status, 200, "{answer:?}");
    let login =
        |login: &Value| (login["id"].as_str().unwrap().to_owned(), login["current"].as_bool().unwrap());
    answer.json()["sessions"].as_array().unwrap().iter().map(login).collect()
}

#[test]
fn a_login_is_seen_everywhere_and_its_logout_too() {
    for opens in [Place::embedded, Place::with_servers] {
        let place = opens();
        let phone = place.registers("ada");
        place.is_welcome_everywhere(&phone.token);
        let laptop = phone.logs_in(place.replicas[1]);
        let expected = [(phone.login().to_owned(), true), (laptop.login().to_owned(), false)];
        assert_eq!(logins(&phone, &place), expected.into());

        phone.logs_out(place.replicas[2]);
        let at_once = phone.gets(place.replicas[2], "/api/profile");
        assert_eq!((at_once.status, at_once.problem()), (401, "Invalid token".to_owned()));
        place.is_refused_everywhere(&phone.token);
        for replica in place.replicas {
            assert_eq!(phone.refreshes(replica).status, 401);
            assert_eq!(phone.gets_by_cookie(replica, "/api/cart").status, 401);
        }
        // The other device is none of its business.
        place.is_welcome_everywhere(&laptop.token);
        assert_eq!(laptop.gets_by_cookie(place.replicas[0], "/api/cart").status, 200);
        assert_eq!(logins(&laptop, &place), [(laptop.login().to_owned(), true)].into());
        place.closes();
    }
}

#[test]
fn a_device_is_ended_from_another_one() {
    for opens in [Place::embedded, Place::with_servers] {
        let place = opens();
        let lost = place.registers("ada");
        let (kept, stranger) = (lost.logs_in(place.replicas[1]), place.registers("bob"));
        let ends = |visitor: &Visitor, login: &str| {
            let target = format!("/api/auth/sessions/{login}");
            visitor.sends(place.replicas[0], "DELETE", &target, &json!({})).status
        };
        assert_eq!(ends(&stranger, lost.login()), 404, "it is nobody else's to end");
        place.is_welcome_everywhere(&lost.token);
        assert_eq!(ends(&kept, lost.login()), 204);
        place.is_refused_everywhere(&lost.token);
        assert_eq!(lost.refreshes(place.replicas[2]).status, 401);
        place.is_welcome_everywhere(&kept.token);
        place.closes();
    }
}

#[test]
fn a_logout_everywhere_and_another_password_end_every_device() {
    for opens in [Place::embedded, Place::with_servers] {
        let place = opens();
        let phone = place.registers("ada");
        let laptop = phone.logs_in(place.replicas[1]);
        let answer = phone.sends(place.replicas[0], "POST", "/api/auth/logout-all", &json!({}));
        assert_eq!(answer.status, 204, "{answer:?}");
        for device in [&phone, &laptop] {
            place.is_refused_everywhere(&device.token);
            assert_eq!(device.refreshes(place.replicas[2]).status, 401);
        }

        let (phone, laptop) = (phone.logs_in(place.replicas[2]), phone.logs_in(place.replicas[0]));
        let changed = phone.changes_password(place.replicas[1], "staple battery horse");
        for device in [&phone, &laptop] {
            place.is_refused_everywhere(&device.token);
            assert_eq!(device.refreshes(place.replicas[0]).status, 401);
            assert_eq!(device.gets_by_cookie(place.replicas[2], "/api/cart").status, 401);
        }
        place.is_welcome_everywhere(&changed.token);
        assert_eq!(changed.gets_by_cookie(place.replicas[0], "/api/cart").status, 200);
        assert_eq!(phone.tries_to_log_in(place.replicas[0]).status, 401);
        place.is_welcome_everywhere(&changed.logs_in(place.replicas[2]).token);
        place.closes();
    }
}

#[test]
fn an_admin_changes_what_others_may() {
    let place = Place::with_servers();
    let (admin, user) = (place.registers_admin("root"), place.registers("ada"));
    let changes = |body: Value| {
        let answer = admin.sends(place.replicas[1], "PATCH", &format!("/api/users/{}", user.id), &body);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    };
    let for_admins = |visitor: &Visitor| visitor.gets(place.replicas[2], "/api/users").status;
    assert_eq!((for_admins(&admin), for_admins(&user)), (200, 403));
    let answer = user.sends(
        place.replicas[0],
        "PATCH",
        &format!("/api/users/{}", admin.id),
        &json!({ "role": "user" }),
    );
    assert_eq!((answer.status, answer.problem()), (403, "Insufficient permissions".to_owned()));
    assert_eq!((place.status_for_admins(&admin.token), place.status_for_admins(&user.token)), (200, 403));

    assert_eq!(changes(json!({ "role": "admin" }))["role"], "admin");
    place.is_refused_everywhere(&user.token);
    let promoted = user.refreshed(&user.refreshes(place.replicas[0]));
    place.is_welcome_everywhere(&promoted.token);
    assert_eq!((for_admins(&promoted), place.status_for_admins(&promoted.token)), (200, 200));

    assert_eq!(changes(json!({ "disabled": true }))["disabled"], true);
    place.is_refused_everywhere(&promoted.token);
    assert_eq!(promoted.refreshes(place.replicas[1]).status, 401);
    let refused = user.tries_to_log_in(place.replicas[2]);
    assert_eq!((refused.status, refused.problem()), (401, "Invalid credentials".to_owned()));

    assert_eq!(changes(json!({ "disabled": false }))["disabled"], false);
    place.is_refused_everywhere(&promoted.token);
    place.is_welcome_everywhere(&user.logs_in(place.replicas[0]).token);
    place.closes();
}

#[test]
fn refreshes_at_once_lead_to_one_successor_and_log_nobody_out() {
    const CLIENTS: usize = 12;
    const ROUNDS: usize = 5;
    for opens in [Place::embedded, Place::with_servers] {
        let place = opens();
        let mut visitor = place.registers("ada");
        for _ in 0..ROUNDS {
            let together = Arc::new(Barrier::new(CLIENTS));
            let refresh = |client: usize| {
                let (together, visitor) = (Arc::clone(&together), visitor.clone());
                let replica = place.replicas[client % place.replicas.len()];
                thread::spawn(move || {
                    together.wait();
                    visitor.refreshed(&visitor.refreshes(replica))
                })
            };
            let clients: Vec<_> = (0..CLIENTS).map(refresh).collect();
            let refreshed: Vec<_> = clients.into_iter().map(|client| client.join().unwrap()).collect();
            let successors: BTreeSet<_> = refreshed.iter().map(|visitor| &visitor.refresh_token).collect();
            assert_eq!(successors.len(), 1);
            assert_ne!(refreshed[0].refresh_token, visitor.refresh_token);
            visitor = refreshed.into_iter().next().unwrap();
        }
        place.is_welcome_everywhere(&visitor.token);
        place.closes();
    }
}
