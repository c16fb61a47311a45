//! What is refused when a topology is opened, and what is not.

use phalanx_data::{Consistency, ServerUrl, Servers, ShardServers};
use phalanx_test_servers::{PASSWORD, Postgres, Settings as Server};

use crate::support::{Running, TABLE, bodies, servers, settings, url};

async fn fault(servers: &Servers) -> String {
    let error = Running::open(servers, settings()).await.map(|_| ()).unwrap_err();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

fn alone(primary: ServerUrl, replicas: Vec<ServerUrl>) -> Servers {
    Servers::new(vec![ShardServers { primary, replicas }]).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_waiting_mends_is_named() {
    let (primary, other) = (Postgres::start(Server::default()), Postgres::start(Server::default()));
    let edited = |from: &str, to: &str| ServerUrl::parse(&primary.url().replacen(from, to, 1)).unwrap();

    let wrong = edited(PASSWORD, "hunter2");
    let text = fault(&alone(wrong, vec![])).await;
    assert!(text.contains("shard 1 cannot be opened") && text.contains("password"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");

    let database = url(&primary).name().rsplit('/').next().unwrap().to_owned();
    let text = fault(&alone(edited(&format!("/{database}"), "/nowhere"), vec![])).await;
    assert!(text.contains("has no such database"), "{text}");

    let text = fault(&servers(&[(&primary, &[&other])])).await;
    assert!(text.contains("is no replica of"), "{text}");
    assert!(text.contains(url(&other).name()), "{text}");

    let again = ServerUrl::parse(&primary.url().replacen("127.0.0.1", "localhost", 1)).unwrap();
    let shard = |primary| ShardServers { primary, replicas: vec![] };
    let text = fault(&Servers::new(vec![shard(url(&primary)), shard(again)]).unwrap()).await;
    assert!(text.contains("shards 1 and 2 are the same database"), "{text}");

    let gone = url(&other);
    drop(other);
    let text = fault(&alone(gone, vec![])).await;
    assert!(text.contains("shard 1 has no primary"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_are_down_serve_when_they_come() {
    let primary = Postgres::start(Server::default());
    primary.execute(TABLE);
    primary.execute("INSERT INTO notes VALUES (1, 'one')");
    let replica = primary.replica();
    replica.kill();
    let running = Running::open(&servers(&[(&primary, &[&replica])]), settings()).await.unwrap();
    running.until(&["primary", "unreachable"]).await;
    assert_eq!(bodies(&running.shard(), &Consistency::eventual(), 1).await, ["one"]);
    replica.restart();
    running.until(&["primary", "replica"]).await;
    running.close().await;
}
