//! How statements share connections, who waits, and what a wait in vain is put down to.

use std::{num::NonZeroUsize, sync::Arc};

use super::*;
use crate::{Isolation, Kind};

const BACKENDS: &str = "SELECT count(*) FROM pg_stat_activity \
                        WHERE application_name = 'phalanx' AND backend_type = 'client backend'";

fn few(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_statements_share_few_connections() {
    let postgres = database();
    let settings = ServerSettings { shared_connections: few(2), ..ServerSettings::new(postgres.url()) };
    let client = Arc::new(Client::of(settings));
    client.read(&ONE, &[]).await.unwrap();
    let mut tasks = JoinSet::new();
    for _ in 0..100 {
        let client = Arc::clone(&client);
        tasks.spawn(async move { client.read(&ONE, &[]).await.map(|rows| rows.len()) });
    }
    while let Some(read) = tasks.join_next().await {
        assert_eq!(read.unwrap().unwrap(), 1);
    }
    eventually("both connect", async || client.server.pool_status().shared.connections == 2).await;
    assert_eq!(postgres.query_one_text(BACKENDS), "2");
    let status = client.server.pool_status();
    assert_eq!((status.shared.in_use, status.shared.waiting, status.exclusive.connections), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_are_sent_before_the_first_is_answered() {
    let postgres = database();
    let settings = ServerSettings { shared_connections: few(1), ..ServerSettings::new(postgres.url()) };
    let client = Arc::new(Client::of(settings));
    client.read(&ONE, &[]).await.unwrap();
    client.read(&SLEEP, &[0.0.into()]).await.unwrap();
    let mut tasks = JoinSet::new();
    let slow = Arc::clone(&client);
    tasks.spawn(async move { slow.read(&SLEEP, &[0.02.into()]).await.map(drop) });
    for _ in 0..20 {
        let client = Arc::clone(&client);
        tasks.spawn(async move { client.read(&ONE, &[]).await.map(drop) });
    }
    eventually("they fly together", async || {
        let shared = client.server.pool_status().shared;
        shared.in_use > 10 || tasks.is_empty() || shared.connects > 1
    })
    .await;
    assert_eq!(client.server.pool_status().shared.connects, 1);
    while let Some(read) = tasks.join_next().await {
        read.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_statement_holds_up_only_what_was_right_behind_it() {
    let postgres = database();
    let settings = ServerSettings { shared_connections: few(2), ..ServerSettings::new(postgres.url()) };
    let client = Arc::new(Client::of(settings));
    eventually("both connect", async || client.server.pool_status().shared.connections == 2).await;
    let mut slow = JoinSet::new();
    let sleeper = Arc::clone(&client);
    slow.spawn(async move { sleeper.read(&SLEEP, &[30.0.into()]).await });
    eventually("it is on its way", async || client.server.pool_status().shared.in_use == 1).await;
    let started = clock::now();
    eventually("it counts as slow", async || started.elapsed() > Duration::from_millis(100)).await;
    while slow.try_join_next().is_none() {
        let before = clock::now();
        let mut reads = JoinSet::new();
        for _ in 0..16 {
            let client = Arc::clone(&client);
            reads.spawn(async move { client.read(&ONE, &[]).await.map(drop) });
        }
        while let Some(read) = reads.join_next().await {
            read.unwrap().unwrap();
        }
        // All on the other connection, they wait for nothing: well below the second that the server gives the slow one.
        assert!(before.elapsed() < Duration::from_millis(500), "{:?}", before.elapsed());
    }
    assert!(started.elapsed() > Duration::from_millis(500), "the slow one was slow");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_pipeline_names_the_statement_that_holds_it_up() {
    let postgres = database();
    let settings = ServerSettings {
        shared_connections: few(1),
        acquire_timeout: Duration::from_millis(300),
        ..ServerSettings::new(postgres.url())
    };
    let client = Client::of(settings);
    client.read(&ONE, &[]).await.unwrap();
    // Its caller goes away, and the server works on: the place stays taken.
    let left = tokio::time::timeout(Duration::from_millis(100), client.read(&SLEEP, &[0.8.into()])).await;
    assert!(left.is_err());
    assert_eq!(client.server.pool_status().shared.in_use, 1);
    let waited = client.read(&ONE, &[]).await.unwrap_err();
    let AccessError::HeldBySlowQueries { statement: "sleep", running, .. } = &waited else {
        panic!("{waited:?}")
    };
    assert!(*running >= Duration::from_millis(300), "{running:?}");
    assert_eq!(waited.verdict().kind, Kind::Overloaded);
    eventually("it comes free", async || client.read(&ONE, &[]).await.is_ok()).await;
    eventually("nothing is left", async || client.server.pool_status().shared.in_use == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exhausted_pool_names_its_cause() {
    let postgres = database();
    let settings = ServerSettings {
        exclusive_max: few(1),
        // Connected before the first is asked for, however long that takes.
        exclusive_min: 1,
        waiting_max: 1,
        acquire_timeout: Duration::from_millis(300),
        ..ServerSettings::new(postgres.url())
    };
    let client = Arc::new(Client::of(settings));
    eventually("it connects", async || client.server.pool_status().exclusive.connections == 1).await;
    let mut transaction = client.server.begin(Isolation::ReadCommitted).await.unwrap();
    transaction.run(Query { statement: &ONE, values: &[] }).await.unwrap();
    let leaked = client.server.begin(Isolation::ReadCommitted).await.err().unwrap();
    let AccessError::Leaked { statement: "one", held, .. } = &leaked else { panic!("{leaked:?}") };
    assert!(*held >= Duration::from_millis(300), "{held:?}");

    let sleeping = async { transaction.run(Query { statement: &SLEEP, values: &[0.6.into()] }).await };
    let (slept, slow) = tokio::join!(sleeping, client.server.begin(Isolation::ReadCommitted));
    slept.unwrap();
    let slow = slow.err().unwrap();
    assert!(matches!(&slow, AccessError::HeldBySlowQueries { statement: "sleep", .. }), "{slow:?}");

    let waiting = async || client.server.begin(Isolation::ReadCommitted).await.err().unwrap();
    let (first, second) = tokio::join!(waiting(), waiting());
    assert!(matches!(first, AccessError::Leaked { .. }), "{first:?}");
    assert!(
        matches!(second, AccessError::Backlog { waiting: 1, in_use: 1, .. } | AccessError::Leaked { .. }),
        "{second:?}"
    );
    assert_eq!(client.server.pool_status().exclusive.timeouts, 3);
    transaction.rollback().await.unwrap();
    client.server.begin(Isolation::ReadCommitted).await.unwrap().rollback().await.unwrap();
    assert_eq!(client.server.pool_status().exclusive.connects, 1, "the connection was used again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_transaction_is_cancelled_and_undone() {
    let postgres = database();
    let client = Client::of(ServerSettings::new(postgres.url()));
    let mut transaction = client.server.begin(Isolation::ReadCommitted).await.unwrap();
    transaction.run(Query { statement: &ADD, values: &[1.into(), "x".into()] }).await.unwrap();
    let values = [20.0.into()];
    let sleeping = transaction.run(Query { statement: &SLEEP, values: &values });
    assert!(tokio::time::timeout(Duration::from_millis(100), sleeping).await.is_err());
    drop(transaction);
    let started = clock::now();
    let mut again = client.server.begin(Isolation::ReadCommitted).await.unwrap();
    let (rows, _) = again.run(Query { statement: &COUNT, values: &[] }).await.unwrap();
    assert_eq!(rows[0].get::<i64>("notes").unwrap(), 0);
    again.commit().await.unwrap();
    eventually("the sleeper is gone", async || {
        postgres
            .query_one_text("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep($1)%'")
            == "0"
    })
    .await;
    assert!(started.elapsed() < Duration::from_secs(10), "cancelled, it did not sleep out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_with_a_failed_statement_cannot_be_committed() {
    let postgres = database();
    let client = Client::of(ServerSettings::new(postgres.url()));
    client.add(1).await.unwrap();
    // The connection knows all that a commit sends, so nothing but the commit itself can fail.
    client.server.begin(Isolation::ReadCommitted).await.unwrap().commit().await.unwrap();
    let mut transaction = client.server.begin(Isolation::ReadCommitted).await.unwrap();
    let add = async |transaction: &mut crate::postgres::Transaction, id: i64| {
        transaction.run(Query { statement: &ADD, values: &[id.into(), "x".into()] }).await
    };
    add(&mut transaction, 2).await.unwrap();
    let failed = add(&mut transaction, 1).await.unwrap_err();
    assert!(matches!(failed, AccessError::UniqueViolation { .. }), "{failed:?}");
    let refused = transaction.commit().await.unwrap_err();
    assert!(matches!(refused, AccessError::TransactionLost), "{refused:?}");
    assert_eq!(postgres.query_one_text("SELECT count(*) FROM notes"), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_change_the_same_are_contended() {
    let postgres = database();
    let settings = ServerSettings { exclusive_max: few(2), ..ServerSettings::new(postgres.url()) };
    let client = Client::of(settings);
    client.add(1).await.unwrap();
    let touch = Statement::new("touch", "UPDATE notes SET text = 'touched' WHERE id = 1");
    let mut first = client.server.begin(Isolation::Serializable).await.unwrap();
    let mut second = client.server.begin(Isolation::Serializable).await.unwrap();
    first.run(Query { statement: &COUNT, values: &[] }).await.unwrap();
    second.run(Query { statement: &COUNT, values: &[] }).await.unwrap();
    first.run(Query { statement: &touch, values: &[] }).await.unwrap();
    first.commit().await.unwrap();
    let contended = second.run(Query { statement: &touch, values: &[] }).await.unwrap_err();
    assert!(matches!(contended, AccessError::Contended { statement: "touch" }), "{contended:?}");
    assert_eq!(contended.verdict().again, crate::Again::Transaction);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_and_idle_connections_are_replaced_and_closed() {
    let postgres = database();
    let settings = ServerSettings {
        max_lifetime: Duration::from_millis(300),
        idle_timeout: Duration::from_millis(200),
        health_check_period: Duration::from_millis(100),
        ..ServerSettings::new(postgres.url())
    };
    let client = Client::of(settings);
    client.read(&ONE.exclusive(), &[]).await.unwrap();
    assert_eq!(client.server.pool_status().exclusive.connects, 1);
    eventually("the idle one is closed", async || client.server.pool_status().exclusive.connections == 0)
        .await;
    eventually("the old ones are replaced", async || {
        client.read(&ONE, &[]).await.unwrap();
        client.server.pool_status().shared.connects > 9
    })
    .await;
    eventually("the server sees them go", async || {
        postgres.query_one_text(BACKENDS).parse::<u32>().unwrap() <= 4
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_server_ends_its_tasks_after_what_is_in_flight() {
    let postgres = database();
    let (server, upkeep) = Server::new(ShardId(0), ServerSettings::new(postgres.url())).unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(upkeep.run());
    server.read(Query { statement: &ONE, values: &[] }).await.unwrap();
    let values = [0.3.into()];
    let closing = async {
        eventually("it runs", async || server.pool_status().shared.in_use == 1).await;
        server.close();
    };
    let (slept, ()) = tokio::join!(server.read(Query { statement: &SLEEP, values: &values }), closing);
    slept.unwrap();
    let refused = server.read(Query { statement: &ONE, values: &[] }).await.unwrap_err();
    assert!(matches!(refused, AccessError::Closed), "{refused:?}");
    tasks.join_next().await.unwrap().unwrap();
}
