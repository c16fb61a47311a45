//! Attempts at login, counted by replicas together and by each alone.

use std::time::Duration;

use phalanx_telemetry::registry::Registry;
use tokio::task::JoinSet;

use crate::support::{ADA, Replicas, address, eventually};

async fn everywhere() -> Vec<(&'static str, Replicas)> {
    vec![
        ("redis", Replicas::with_redis().await),
        ("file", Replicas::with_file().await),
        ("alone", Replicas::alone()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_guesses_at_one_time_no_more_are_let_in_than_one_after_the_other() {
    for (place, replicas) in everywhere().await {
        let mut guesses = JoinSet::new();
        for guess in 0..500 {
            let attempts = replicas.attempts[guess % replicas.attempts.len()].clone();
            guesses.spawn(async move { attempts.begin(ADA, address(1)).await.is_ok() });
        }
        let let_in = guesses.join_all().await.into_iter().filter(|let_in| *let_in).count();
        assert_eq!((let_in, replicas.unshared()), (5, 0), "{place}");
    }
}

#[tokio::test]
async fn an_account_is_guarded_over_addresses_and_an_address_over_accounts() {
    for (place, replicas) in everywhere().await {
        let addresses: Vec<u8> = (1..=30).collect();
        assert_eq!(replicas.guess(1, ADA, &addresses).await, 20, "{place}");
        let mut let_in = 0;
        for account in 0..30 {
            let_in += replicas.guess(3, &format!("{account}@example.com"), &[99]).await;
        }
        assert_eq!(let_in, 50, "{place}");
        let refused = replicas.attempts[0].begin("eve@example.com", address(99)).await.unwrap_err();
        assert!((1..=3600).contains(&refused.seconds()), "{refused}");
        assert!(replicas.attempts[0].begin("eve@example.com", address(98)).await.is_ok(), "{place}");
    }
}

#[tokio::test]
async fn the_owner_gets_in_where_he_was_before_whatever_others_do() {
    for (place, replicas) in everywhere().await {
        let (first, last) = (&replicas.attempts[0], replicas.attempts.last().unwrap());
        first.begin(ADA, address(1)).await.unwrap().succeeded().await;
        let addresses: Vec<u8> = (2..=60).collect();
        assert_eq!(replicas.guess(3, ADA, &addresses).await, 20, "{place}");
        // From his own address others were guessed at as well.
        for account in 0..20 {
            replicas.guess(3, &format!("{account}@example.com"), &[1]).await;
        }
        for _ in 0..20 {
            let attempt = last.begin(ADA, address(1)).await;
            attempt.unwrap_or_else(|refused| panic!("{place}: {refused}")).succeeded().await;
        }
        assert!(last.begin(ADA, address(61)).await.is_err(), "{place}: elsewhere he waits like all");
        assert_eq!(replicas.guess(7, ADA, &[1]).await, 5, "{place}: and there for his own mistakes");
    }
}

#[tokio::test]
async fn what_was_no_guess_is_taken_back() {
    for (place, replicas) in everywhere().await {
        let (withdrawn, succeeded) = ("withdrawn@example.com", "succeeded@example.com");
        for attempts in replicas.attempts.iter().cycle().take(100) {
            attempts.begin(withdrawn, address(1)).await.unwrap().withdrawn().await;
            attempts.begin(succeeded, address(1)).await.unwrap().succeeded().await;
        }
        for account in [withdrawn, succeeded] {
            assert_eq!(replicas.guess(9, account, &[1]).await, 5, "{place}: {account}");
        }
    }
}

#[tokio::test]
async fn of_what_was_no_guess_nothing_is_left() {
    let replicas = Replicas::with_redis().await;
    for number in 0..100 {
        let attempt = replicas.attempts[0].begin(&format!("{number}@made.up"), address(1)).await.unwrap();
        attempt.withdrawn().await;
    }
    let counters = || replicas.redis().execute(&["KEYS", "*:attempts:*"]).split_whitespace().count();
    assert_eq!(counters(), 0);
    // The one that stays counted is not lost with one that is taken back.
    let [failed, withdrawn] = [(); 2].map(|()| replicas.attempts[0].begin(ADA, address(1)));
    drop(failed.await.unwrap());
    withdrawn.await.unwrap().withdrawn().await;
    assert_eq!(counters(), 3);
}

#[tokio::test]
async fn while_redis_is_away_each_replica_counts_for_itself() {
    let replicas = Replicas::with_redis().await;
    assert_eq!(replicas.guess(6, ADA, &[1]).await, 5);
    replicas.redis().kill();
    // Each of three replicas has five free attempts.
    assert_eq!(replicas.guess(24, ADA, &[1]).await, 15);
    assert_eq!(replicas.unshared(), 24);
    replicas.redis().restart();
    shared_again(&replicas).await;
    assert_eq!(replicas.guess(9, ADA, &[1]).await, 5, "an empty Redis has none");
}

#[tokio::test]
async fn without_its_file_a_replica_counts_for_itself() {
    let mut replicas = Replicas::with_file().await;
    assert_eq!(replicas.guess(9, ADA, &[1]).await, 5);
    replicas.close().await;
    assert_eq!(replicas.guess(24, ADA, &[1]).await, 15);
    assert_eq!(replicas.unshared(), 24);
}

#[tokio::test]
async fn totals_are_metrics() {
    let replicas = Replicas::alone();
    assert_eq!(replicas.guess(9, ADA, &[1]).await, 5);
    let mut registry = Registry::new();
    replicas.attempts[0].register(&mut registry);
    let exposition = registry.encode();
    for line in [
        "phalanx_login_attempts_admitted_total 5",
        "phalanx_login_attempts_refused_total 4",
        "phalanx_login_attempts_unshared_total 0",
    ] {
        assert!(exposition.lines().any(|exposed| exposed == line), "{line} in {exposition}");
    }
}

#[tokio::test]
async fn a_redis_that_stalls_costs_each_replica_one_timeout() {
    let replicas = Replicas::with_redis_of(Duration::from_millis(300)).await;
    replicas.redis().pause();
    // The first attempt of each finds out; were they all to wait, this would take the harness' patience.
    assert_eq!(replicas.guess(3000, ADA, &[1]).await, 15);
    assert_eq!(replicas.unshared(), 3000);
    replicas.redis().resume();
    shared_again(&replicas).await;
}

#[tokio::test]
async fn a_redis_that_was_emptied_begins_anew_and_a_damaged_counter_is_done_without() {
    let replicas = Replicas::with_redis().await;
    assert_eq!(replicas.guess(9, ADA, &[1]).await, 5);
    replicas.redis().flush_all();
    assert_eq!(replicas.guess(9, ADA, &[1]).await, 5);
    for key in replicas.redis().execute(&["KEYS", "*"]).lines() {
        replicas.redis().execute(&["SET", key, "another program's"]);
    }
    assert_eq!(replicas.guess(24, ADA, &[1]).await, 15);
    assert_eq!(replicas.unshared(), 24);
    assert_eq!(replicas.guess(9, "bob@example.com", &[2]).await, 5, "others are still shared");
    assert_eq!(replicas.unshared(), 24);
}

#[tokio::test]
async fn a_login_that_begins_without_redis_and_ends_with_it_is_taken_back_where_it_was_counted() {
    let replicas = Replicas::with_redis().await;
    replicas.redis().kill();
    let attempt = replicas.attempts[0].begin(ADA, address(1)).await.unwrap();
    replicas.redis().restart();
    shared_again(&replicas).await;
    attempt.succeeded().await;
    assert_eq!(replicas.guess(9, ADA, &[1]).await, 5, "Redis has not heard of it");
    replicas.redis().kill();
    assert_eq!(replicas.guess(27, ADA, &[1]).await, 15);
}

/// Waits until every replica counts in Redis.
async fn shared_again(replicas: &Replicas) {
    eventually("the counters are shared again", async || {
        let before = replicas.unshared();
        replicas.guess(3, "carol@example.com", &[3]).await;
        replicas.unshared() == before
    })
    .await;
}
