//! The reference API behind the gateway, with the topology that is built in: three replicas over one storage.

use std::{
    collections::BTreeSet,
    sync::{Arc, Barrier},
    thread,
};

use serde_json::{Value, json};

use crate::support::{
    http::{Answer, Connection, getting, getting_with, posting},
    phalanx::{Phalanx, file, reference_api},
};

pub(crate) const PASSWORD: &str = "correct horse battery";

pub(crate) fn registering(email: &str) -> Vec<u8> {
    posting("/api/auth/register", json!({ "email": email, "password": PASSWORD, "name": "Ada" }).to_string())
}

pub(crate) fn logging_in(email: &str) -> Vec<u8> {
    posting("/api/auth/login", json!({ "email": email, "password": PASSWORD }).to_string())
}

#[test]
fn register_login_and_profile_are_answered_by_different_replicas() {
    let phalanx = Phalanx::up(&file(&reference_api()));
    // One connection is one worker, whose turns reach every replica.
    let mut client = phalanx.connection();
    let registered = client.exchange(&registering("ada@example.com")).unwrap();
    assert_eq!(registered.status, 201, "{registered:?}");
    let user = &registered.json()["user"];
    assert_eq!((&user["email"], &user["name"]), (&json!("ada@example.com"), &json!("Ada")));

    let login = client.exchange(&logging_in("ada@example.com")).unwrap();
    assert_eq!((login.status, &login.json()["user"]), (200, user));

    let profile = profile_with(&mut client, &login.json()["token"]);
    assert_eq!((profile.status, &profile.json()), (200, user));

    let answered_by = BTreeSet::from([&registered, &login, &profile].map(Answer::instance));
    assert_eq!(answered_by, all_instances());
    phalanx.stop();
}

#[test]
fn a_token_is_good_at_every_replica() {
    let phalanx = Phalanx::up(&file(&reference_api()));
    let mut client = phalanx.connection();
    let registered = client.exchange(&registering("ada@example.com")).unwrap();
    let token = &registered.json()["token"];
    let mut answered_by = BTreeSet::new();
    for _ in 0..3 {
        let profile = profile_with(&mut client, token);
        assert_eq!(profile.status, 200, "{profile:?}");
        answered_by.insert(profile.instance());
    }
    assert_eq!(answered_by, all_instances());
    for (authorization, error) in
        [("", "No token provided"), ("Authorization: Bearer x.y.z\r\n", "Invalid token")]
    {
        let refused = client.exchange(&getting_with("/api/profile", authorization)).unwrap();
        assert_eq!((refused.status, refused.problem()), (401, error.to_owned()));
    }
    phalanx.stop();
}

#[test]
fn what_needs_no_token_is_the_same_from_every_replica() {
    let phalanx = Phalanx::up(&file(&reference_api()));
    let mut client = phalanx.connection();
    let registered = client.exchange(&registering("ada@example.com")).unwrap().json();
    let id = registered["user"]["id"].as_str().unwrap().to_owned();
    for target in ["/api/catalog", &format!("/api/users/{id}"), "/livez", "/ready", "/readyz"] {
        let answers: Vec<_> = (0..3).map(|_| client.exchange(&getting(target)).unwrap()).collect();
        assert_eq!(
            answers.iter().map(Answer::instance).collect::<BTreeSet<_>>(),
            all_instances(),
            "{target}"
        );
        for answer in &answers {
            assert_eq!((answer.status, answer.json()), (200, answers[0].json()), "{target}");
        }
    }
    let catalog = client.exchange(&getting("/api/catalog")).unwrap().json();
    assert!(catalog["products"].as_array().is_some_and(|products| !products.is_empty()), "{catalog}");
    let public = client.exchange(&getting(&format!("/api/users/{id}"))).unwrap().json();
    assert_eq!(public, json!({ "id": id, "name": "Ada" }), "nobody else sees an address or a role");
    let health = client.exchange(&getting("/health")).unwrap();
    assert_eq!(health.json()["instance"], health.instance());
    phalanx.stop();
}

#[test]
fn of_duplicate_registrations_at_once_one_succeeds() {
    const CLIENTS: usize = 6;
    let phalanx = Phalanx::up(&file(&reference_api()));
    for round in 0..3 {
        let request = registering(&format!("ada{round}@example.com"));
        let together = Arc::new(Barrier::new(CLIENTS));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let (together, request) = (Arc::clone(&together), request.clone());
                let mut client = phalanx.connection();
                thread::spawn(move || {
                    together.wait();
                    client.exchange(&request).unwrap()
                })
            })
            .collect();
        let answers: Vec<_> = clients.into_iter().map(|client| client.join().unwrap()).collect();
        let (created, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
        assert_eq!(created.len(), 1, "{answers:?}");
        for answer in refused {
            assert_eq!((answer.status, answer.problem()), (409, "Email already registered".to_owned()));
        }
        let answered_by: BTreeSet<_> = answers.iter().map(Answer::instance).collect();
        assert!(answered_by.len() > 1, "{answers:?}");
    }
    phalanx.stop();
}

fn profile_with(client: &mut Connection, token: &Value) -> Answer {
    let field = format!("Authorization: Bearer {}\r\n", token.as_str().unwrap());
    client.exchange(&getting_with("/api/profile", &field)).unwrap()
}

pub(crate) fn all_instances() -> BTreeSet<String> {
    ["api-1", "api-2", "api-3"].map(str::to_owned).into()
}
