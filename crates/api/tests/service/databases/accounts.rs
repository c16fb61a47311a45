//! Accounts that several replicas make and show at once.

use phalanx_test_servers::{Postgres, Settings as Server};
use serde_json::json;
use tokio::task::JoinSet;

use super::{over, registered};
use crate::client::{Answer, exchange, get_as, login, register};

/// A12.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_register_one_address_at_once_one_wins() {
    let server = Postgres::start(Server::default());
    let replicas = [over(&server).await, over(&server).await];
    let mut requests = JoinSet::new();
    for index in 0..12 {
        let address = replicas[index % 2].address;
        requests.spawn(async move { exchange(address, &register("ada@example.com")).await });
    }
    let answers = requests.join_all().await;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    let told: Vec<_> = answers.iter().filter(|answer| answer.status != 201).map(Answer::problem).collect();
    assert_eq!((created, told), (1, vec![(409, "Email already registered".to_owned()); 11]), "{answers:?}");
    assert_eq!(server.query_one_text("SELECT count(*) FROM accounts"), "1");
    for replica in replicas {
        assert_eq!(replica.exchange(login("ada@example.com", "correct horse")).await.status, 200);
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_says_who_is_disabled() {
    let server = Postgres::start(Server::default());
    let replica = over(&server).await;
    let (admin, eve) =
        (registered(&replica, "ada@example.com").await, registered(&replica, "eve@example.com").await);
    server.execute(&format!("UPDATE accounts SET role = 'admin' WHERE id = {admin}"));
    server.execute(&format!("UPDATE accounts SET disabled = 1 WHERE id = {eve}"));
    let session = replica.exchange(login("ada@example.com", "correct horse")).await.json();
    let bearer = format!("Bearer {}", session["token"].as_str().unwrap());
    let listed = replica.exchange(get_as("/api/users", &bearer)).await.json();
    let user = |id: &str| {
        let users = listed["users"].as_array().unwrap();
        users.iter().find(|user| user["id"] == id).unwrap_or_else(|| panic!("{id} in {listed}")).clone()
    };
    let expected = |id: &str, email: &str, role: &str, disabled: bool| json!({ "id": id, "email": email, "name": "Ada", "role": role, "disabled": disabled });
    assert_eq!(user(&admin), expected(&admin, "ada@example.com", "admin", false));
    assert_eq!(user(&eve), expected(&eve, "eve@example.com", "user", true));
    replica.stop().await;
}
