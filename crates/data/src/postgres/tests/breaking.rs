//! Servers and connections that break in the middle.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::*;
use crate::{Again, Isolation, Kind};

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_connection_broke_has_an_unknown_outcome_and_a_read_is_lost() {
    const SLOW_ADD: Statement =
        Statement::new("slow_add", "INSERT INTO notes (id, text) SELECT $1, pg_sleep(20)::text RETURNING id");
    let postgres = database();
    let settings = ServerSettings {
        shared_statement_timeout: Duration::from_secs(30),
        ..ServerSettings::new(postgres.url())
    };
    let client = Arc::new(Client::of(settings));
    client.add(1).await.unwrap();
    // On different connections both run at the same time.
    eventually("all connect", async || client.server.pool_status().shared.connections == 3).await;
    let mut tasks = JoinSet::new();
    for intent in ["write", "read"] {
        let client = Arc::clone(&client);
        tasks.spawn(async move {
            match intent {
                "write" => client.write(&SLOW_ADD, &[2.into()]).await.map(drop),
                _ => client.read(&SLEEP, &[20.0.into()]).await.map(drop),
            }
        });
    }
    let running = "SELECT coalesce(max(pid), 0) FROM pg_stat_activity WHERE query LIKE 'INSERT%pg_sleep%'";
    let both = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND state = 'active' \
                AND pid <> pg_backend_pid()";
    eventually("both run", async || postgres.query_one_text(both) == "2").await;
    postgres.kill_backend(postgres.query_one_text(running).parse().unwrap());
    let mut seen = Vec::new();
    while let Some(outcome) = tasks.join_next().await {
        seen.push(outcome.unwrap().unwrap_err());
    }
    seen.sort_by_key(|error| matches!(error, AccessError::ConnectionLost { .. }));
    assert!(matches!(&seen[0], AccessError::OutcomeUnknown { statement: "slow_add", .. }), "{seen:?}");
    assert_eq!((seen[0].verdict().again, seen[0].verdict().kind), (Again::Never, Kind::Unknown));
    assert!(matches!(&seen[1], AccessError::ConnectionLost { .. }), "{seen:?}");
    assert_eq!(seen[1].verdict().again, Again::Elsewhere);
    eventually("it heals", async || client.read(&COUNT, &[]).await.is_ok()).await;
    assert_eq!(client.read(&COUNT, &[]).await.unwrap()[0].get::<i64>("notes").unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_under_load_there_is_no_error_past_two_seconds() {
    let postgres = database();
    let client = Arc::new(Client::of(ServerSettings::new(postgres.url())));
    client.add(0).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    for number in 0..8_i64 {
        let (client, stop) = (Arc::clone(&client), Arc::clone(&stop));
        tasks.spawn(async move {
            let (mut acknowledged, mut last_error) = (Vec::new(), None);
            let mut id = number * 1_000_000;
            while !stop.load(Ordering::Relaxed) {
                id += 1;
                let failed = match client.add(id).await {
                    Ok(_) => {
                        acknowledged.push(id);
                        client.read(&ONE, &[]).await.is_err()
                    }
                    Err(_) => true,
                };
                if failed {
                    last_error = Some(clock::now());
                }
                tokio::task::yield_now().await;
            }
            (acknowledged, last_error)
        });
    }
    let count = async || client.server.pool_status().shared.in_use;
    eventually("the load runs", async || count().await > 0).await;
    postgres.kill();
    postgres.restart();
    let back = clock::now();
    // The load goes on for longer than an error may.
    eventually("three seconds pass", async || back.elapsed() > Duration::from_secs(3)).await;
    stop.store(true, Ordering::Relaxed);
    let mut acknowledged = 0;
    while let Some(ended) = tasks.join_next().await {
        let (ids, last_error) = ended.unwrap();
        acknowledged += ids.len();
        if let Some(at) = last_error {
            assert!(at < back + Duration::from_secs(2), "{:?}", at - back);
        }
    }
    assert!(acknowledged > 0);
    let stored: usize = postgres.query_one_text("SELECT count(*) FROM notes").parse().unwrap();
    assert!(stored > acknowledged, "every acknowledged write is there, and the first one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_whose_connection_broke_may_run_again_from_its_start() {
    let postgres = database();
    let client = Client::of(ServerSettings::new(postgres.url()));
    let mut transaction = client.server.begin(Isolation::ReadCommitted).await.unwrap();
    transaction.run(Query { statement: &ADD, values: &[1.into(), "x".into()] }).await.unwrap();
    postgres.terminate_connections();
    let lost = transaction.run(Query { statement: &ONE, values: &[] }).await.unwrap_err();
    assert!(matches!(lost, AccessError::TransactionLost), "{lost:?}");
    assert_eq!(lost.verdict().again, Again::Transaction);
    let lost = transaction.commit().await.unwrap_err();
    assert!(matches!(lost, AccessError::TransactionLost), "{lost:?}");
    assert_eq!(postgres.query_one_text("SELECT count(*) FROM notes"), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_were_cut_are_made_again() {
    let postgres = database();
    let client = Client::of(ServerSettings::new(postgres.url()));
    client.read(&ONE, &[]).await.unwrap();
    client.read(&ONE.exclusive(), &[]).await.unwrap();
    postgres.terminate_connections();
    eventually("they are gone", async || client.server.pool_status().exclusive.connections == 0).await;
    for statement in [ONE, ONE.exclusive()] {
        eventually("it heals", async || client.read(&statement, &[]).await.is_ok()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_loses_its_connections_and_comes_back() {
    let postgres = database();
    let settings = ServerSettings {
        shared_statement_timeout: Duration::from_millis(200),
        acquire_timeout: Duration::from_millis(200),
        connect_timeout: Duration::from_millis(300),
        ..ServerSettings::new(postgres.url())
    };
    let client = Client::of(settings);
    eventually("it connects", async || client.read(&ONE, &[]).await.is_ok()).await;
    postgres.pause();
    let started = clock::now();
    let lost = client.read(&ONE, &[]).await.unwrap_err();
    assert!(matches!(lost, AccessError::ConnectionLost { .. }), "{lost:?}");
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    eventually("the others are found out too", async || {
        matches!(client.read(&ONE, &[]).await, Err(AccessError::CannotConnect { .. }))
    })
    .await;
    postgres.resume();
    eventually("it heals", async || client.read(&ONE, &[]).await.is_ok()).await;
}
