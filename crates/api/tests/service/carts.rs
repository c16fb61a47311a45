//! The cart: one for all devices of an account, whichever replica they hang on.

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::timeout};
use tokio_tungstenite::tungstenite::{Message, http::header};

use crate::{
    client::{PATIENCE, exchange, request},
    fleet::Fleet,
    sockets::{Socket, ended, open},
};

#[tokio::test]
async fn a_cart_is_put_changed_and_emptied() {
    for fleet in Fleet::both().await {
        let user = fleet.registered().await;
        let other = fleet.logged_in().await;
        let empty = user.get(&fleet.first, "/api/cart").await;
        assert_eq!((empty.status, &empty.json()["items"]), (200, &json!({})), "{empty:?}");
        let mut version = empty.json()["version"].as_u64().unwrap();
        for (method, body, items) in [
            ("PUT", Some(json!({ "items": { "3": 1, "9": 2 } })), json!({ "3": 1, "9": 2 })),
            ("PATCH", Some(json!({ "items": { "9": null, "20": 999 } })), json!({ "20": 999, "3": 1 })),
            ("PATCH", Some(json!({ "items": {} })), json!({ "20": 999, "3": 1 })),
            ("PUT", Some(json!({ "items": { "1": 4 } })), json!({ "1": 4 })),
            ("DELETE", None, json!({})),
        ] {
            let changed = user.ask(&fleet.first, method, "/api/cart", body.as_ref()).await;
            assert_eq!((changed.status, &changed.json()["items"]), (200, &items), "{method} {body:?}");
            let next = changed.json()["version"].as_u64().unwrap();
            assert!(next > version, "{next} after {version}");
            version = next;
            let seen = other.get(&fleet.second, "/api/cart").await.json();
            assert_eq!(seen["items"], items, "another device, at another replica");
        }
    }
}

#[tokio::test]
async fn what_is_no_cart_is_refused_and_named() {
    let fleet = Fleet::over_files(&[]).await;
    let user = fleet.registered().await;
    let many: serde_json::Map<String, Value> = (0..101).map(|id| (id.to_string(), json!(1))).collect();
    for (method, body, pointer) in [
        ("PUT", json!({}), "/items"),
        ("PUT", json!({ "items": [] }), "/items"),
        ("PUT", json!({ "items": {}, "version": 1 }), "/version"),
        ("PUT", json!({ "items": { "3": null } }), "/items/3"),
        ("PUT", json!({ "items": { "3": 0 } }), "/items/3"),
        ("PUT", json!({ "items": { "3": 1000 } }), "/items/3"),
        ("PUT", json!({ "items": { "3": 1.5 } }), "/items/3"),
        ("PUT", json!({ "items": { "3": "1" } }), "/items/3"),
        ("PATCH", json!({ "items": { "0": 1 } }), "/items/0"),
        ("PATCH", json!({ "items": { "21": 1 } }), "/items/21"),
        ("PATCH", json!({ "items": { "03": 1 } }), "/items/03"),
        ("PATCH", json!({ "items": { "a/b~c": 1 } }), "/items/a~1b~0c"),
        ("PATCH", json!({ "items": many }), "/items"),
    ] {
        let answer = user.ask(&fleet.first, method, "/api/cart", Some(&body)).await;
        assert_eq!(
            (answer.problem().0, &answer.json()["pointer"]),
            (422, &json!(pointer)),
            "{method} {body}"
        );
    }
    assert_eq!(user.get(&fleet.first, "/api/cart").await.json()["items"], json!({}));
}

#[tokio::test]
async fn replicas_that_write_different_products_lose_neither() {
    for fleet in Fleet::both().await {
        let user = fleet.registered().await;
        let mut writes = JoinSet::new();
        for product in 1..=20_u32 {
            let address = [fleet.first.address, fleet.second.address][product as usize % 2];
            let body = json!({ "items": { product.to_string(): product } });
            let fields = [("authorization", user.authorization.as_str())];
            let request = request("PATCH", "/api/cart", &fields, Some(&body));
            writes.spawn(async move { exchange(address, &request).await.status });
        }
        assert!(writes.join_all().await.iter().all(|status| *status == 200));
        let cart = user.get(&fleet.second, "/api/cart").await.json();
        let items = cart["items"].as_object().unwrap();
        assert_eq!(items.len(), 20, "{cart}");
        assert!(items.iter().all(|(product, quantity)| quantity.as_u64() == product.parse().ok()), "{cart}");
    }
}

#[tokio::test]
async fn every_device_hears_of_a_change_and_of_its_end() {
    for fleet in Fleet::both().await {
        let user = fleet.registered().await;
        let fields = [(header::AUTHORIZATION, user.authorization.as_str())];
        let (mut near, _) = open(&fleet.first, &fields).await.unwrap();
        let cookie =
            [(header::COOKIE, user.cookie.as_deref().unwrap()), (header::ORIGIN, "http://elsewhere.example")];
        assert_eq!(open(&fleet.second, &cookie).await.unwrap_err().status(), 403);
        let (mut far, _) = open(&fleet.second, &cookie[..1]).await.unwrap();
        for socket in [&mut near, &mut far] {
            hears(socket, &json!({})).await;
        }
        for items in [json!({ "3": 1 }), json!({ "3": 2 })] {
            let body = json!({ "items": items });
            assert_eq!(user.ask(&fleet.second, "PUT", "/api/cart", Some(&body)).await.status, 200);
            for socket in [&mut near, &mut far] {
                hears(socket, &items).await;
            }
        }
        assert_eq!(user.post(&fleet.first, "/api/auth/logout").await.status, 204);
        assert_eq!((ended(&mut near).await, ended(&mut far).await), (Some(4401), Some(4401)));
    }
}

/// Waits for a cart with these items.
async fn hears(socket: &mut Socket, items: &Value) {
    let hearing = async {
        loop {
            let message = socket.next().await.expect("the socket has ended").unwrap();
            let Message::Text(text) = message else { continue };
            let cart: Value = serde_json::from_str(&text).unwrap();
            assert!(cart["version"].is_u64(), "{cart}");
            if cart["items"] == *items {
                return;
            }
        }
    };
    timeout(PATIENCE, hearing).await.expect("nothing is heard of the cart");
}
