//! Servers that go away and come back.

use phalanx_test_servers::{Postgres, Settings as Server};

use super::{assert_unavailable, eventually, over, over_with, registered};
use crate::client::{get, login, register};

/// D01: the database is down.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_database_a_replica_refuses_in_time_and_heals_by_itself() {
    let server = Postgres::start(Server::default());
    let replica = over(&server).await;
    let id = registered(&replica, "ada@example.com").await;
    let user = get(&format!("/api/users/{id}"));
    assert_eq!(replica.get("/ready").await.status, 200);

    server.kill();
    for request in [user.clone(), register("eve@example.com"), login("ada@example.com", "correct horse")] {
        assert_unavailable(&eventually(&replica, request, |answer| answer.status == 503).await);
    }
    let ready = eventually(&replica, get("/ready"), |answer| answer.status == 503).await;
    assert_eq!(ready.problem().1, "Not ready");
    for path in ["/livez", "/health", "/api/catalog"] {
        assert_eq!(replica.get(path).await.status, 200, "{path}: a restart would heal nothing");
    }

    server.restart();
    eventually(&replica, get("/ready"), |answer| answer.status == 200).await;
    eventually(&replica, user, |answer| answer.status == 200).await;
    registered(&replica, "grace@example.com").await;
    replica.stop().await;
}

/// D01: a failover.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promoted_replica_takes_the_writes() {
    let primary = Postgres::start(Server::default());
    let standby = primary.replica();
    let urls = (primary.url(), standby.url());
    let variables = [
        ("DATABASE_SHARD_1_PRIMARY", &*urls.0),
        ("DATABASE_SHARD_1_REPLICAS", &*urls.1),
        // A write waits for the new primary instead of failing.
        ("DATABASE_PRIMARY_WAIT", "20s"),
    ];
    let replica = crate::replica::Replica::start(super::settings("api-1", &variables)).await;
    registered(&replica, "ada@example.com").await;
    standby.wait_until_caught_up(&primary);
    primary.kill();
    let promoting = tokio::task::spawn_blocking(move || {
        standby.promote();
        standby
    });
    registered(&replica, "grace@example.com").await;
    let standby = promoting.await.unwrap();
    assert_eq!(replica.exchange(login("ada@example.com", "correct horse")).await.status, 200);
    assert_eq!(standby.query_one_text("SELECT count(*) FROM accounts"), "2");
    replica.stop().await;
}

/// D01: `too many clients`. The limit is that of the role, which PostgreSQL refuses with the same code as its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_a_connection_left_is_waited_for() {
    let server = Postgres::start(Server::default());
    // A role as services have it: what the data layer asks of a server needs no superuser.
    server.execute("CREATE ROLE web LOGIN PASSWORD 'secret'");
    server.execute("GRANT CREATE ON DATABASE postgres TO web");
    server.execute("GRANT CREATE ON SCHEMA public TO web");
    let url = server.url().replacen("phalanx:", "web:", 1);
    let replica = over_with(&server, &[("DATABASE_URL", &url)]).await;
    registered(&replica, "ada@example.com").await;

    server.execute("ALTER ROLE web CONNECTION LIMIT 0");
    server.terminate_connections();
    let refused = eventually(&replica, get("/api/users/1"), |answer| answer.status == 503).await;
    assert_unavailable(&refused);
    assert_eq!(replica.get("/livez").await.status, 200);
    eventually(&replica, get("/ready"), |answer| answer.status == 503).await;

    server.execute("ALTER ROLE web CONNECTION LIMIT -1");
    eventually(&replica, get("/ready"), |answer| answer.status == 200).await;
    registered(&replica, "grace@example.com").await;
    replica.stop().await;
}
