//! Redis is killed, emptied, held: what was revoked stays revoked, and becomes so where it was not heard of.

use std::time::Duration;

use phalanx_auth::{Freshness, RevocationSettings, StalePolicy, Standing, StandingError};
use phalanx_test_servers::Redis;

use crate::support::{
    HOUR, Replica, eventually, of_session, of_subject, patient, session, stranger, subject,
};

const IMPATIENT: RevocationSettings = RevocationSettings {
    feed_age_max: Duration::from_millis(800),
    stale_policy: StalePolicy::Ask,
    entries_max: 1000,
};

const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Another that knows nothing yet learns it from the feed and from the store.
async fn is_known_to_newcomers(redis: &Redis) {
    let asking = stranger(redis, patient()).await;
    let newcomer = Replica::following(redis).await;
    for token in [of_session("s1"), of_subject("u1", 2)] {
        newcomer.refuses(token).await;
        let asked = || async { asking.permits(token, Freshness::Store).await.unwrap() };
        assert_eq!(asked().await, Standing::Revoked, "{token:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_starts_again_empty_is_told_again() {
    let redis = Redis::start();
    let replicas = Replica::several::<3>(&redis).await;
    replicas[0].revocations.revoke(&[session("s1"), subject("u1", 3)], HOUR).await.unwrap();
    for replica in &replicas {
        replica.refuses(of_session("s1")).await;
        replica.refuses(of_subject("u1", 2)).await;
    }
    redis.kill();
    redis.restart();
    let restarts = || replicas.iter().all(|replica| replica.revocations.totals().restarts > 0);
    eventually("every replica has noticed", restarts).await;
    eventually("nobody lacks anything", || {
        replicas.iter().all(|replica| replica.revocations.unpublished() == 0)
    })
    .await;
    is_known_to_newcomers(&redis).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_redis_revives_no_token() {
    let redis = Redis::start();
    let replica = Replica::following(&redis).await;
    replica.revocations.revoke(&[session("s1"), subject("u1", 3)], HOUR).await.unwrap();
    for (round, loss) in [&["FLUSHALL"][..], &["DEL", "test:revocations"]].into_iter().enumerate() {
        let before = replica.revocations.totals().republished;
        redis.execute(loss);
        // The stream grows again before anybody looks, so that neither its length nor its last id shows the loss.
        let growth = format!("growth {round}");
        stranger(&redis, patient()).await.revoke(&[session(&growth)], HOUR).await.unwrap();
        replica.refuses(of_session(&growth)).await;
        eventually("it was told again", || replica.revocations.totals().republished >= before + 2).await;
        is_known_to_newcomers(&redis).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lost_only_the_newest_entries_is_told_those() {
    let redis = Redis::start();
    let replica = Replica::following(&redis).await;
    replica.revoke(session("s0")).await;
    for revocation in [session("s1"), subject("u1", 3)] {
        replica.revoke(revocation).await;
    }
    // What a replica that was behind has when it is promoted.
    let newest = redis.execute(&["XREVRANGE", "test:revocations", "+", "-", "COUNT", "2"]);
    let ids: Vec<_> = newest.lines().filter(|line| line.contains('-')).collect();
    assert_eq!(ids.len(), 2, "{newest}");
    redis.execute(&["DEL", "test:revoked:session:s1", "test:revoked:subject:u1"]);
    redis.execute(&[&["XDEL", "test:revocations"], &*ids].concat());
    eventually("they were told again", || replica.revocations.totals().republished >= 2).await;
    is_known_to_newcomers(&redis).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_while_connections_break() {
    const COUNT: usize = 60;
    let redis = Redis::start();
    let replicas = Replica::several::<3>(&redis).await;
    for number in 0..COUNT {
        if number % 6 == 0 {
            redis.execute(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        }
        // One that fails is published later.
        let _ = replicas[number % 3].revocations.revoke(&[session(&number.to_string())], HOUR).await;
    }
    for replica in &replicas {
        for number in 0..COUNT {
            replica.refuses(of_session(&number.to_string())).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_hangs_tokens_pass_on_what_is_known_or_not_at_all() {
    let redis = Redis::start();
    let strict = RevocationSettings { stale_policy: StalePolicy::Refuse, ..IMPATIENT };
    let asking = Replica::waiting(&redis, RESPONSE_TIMEOUT, IMPATIENT).await;
    let refusing = Replica::waiting(&redis, RESPONSE_TIMEOUT, strict).await;
    for replica in [&asking, &refusing] {
        replica.reads_to_the_end().await;
    }
    asking.revoke(session("s1")).await;
    refusing.refuses(of_session("s1")).await;
    redis.pause();
    for replica in [&asking, &refusing] {
        let behind = || replica.revocations.check(of_session("s2")) == Standing::Unsure;
        eventually("the feed is behind", behind).await;
        assert!(replica.revocations.age().unwrap() > IMPATIENT.feed_age_max);
        for freshness in [Freshness::Feed, Freshness::Store] {
            let known = replica.revocations.permits(of_session("s1"), freshness).await.unwrap();
            assert_eq!(known, Standing::Revoked, "what is known to be revoked is refused without a question");
        }
        let sensitive = replica.revocations.permits(of_session("s2"), Freshness::Store).await;
        assert!(matches!(sensitive, Err(StandingError::Store(_))), "{sensitive:?}");
    }
    let passed = asking.revocations.permits(of_session("s2"), Freshness::Feed).await.unwrap();
    assert_eq!((passed, asking.revocations.totals().unchecked), (Standing::Unsure, 1));
    let refused = refusing.revocations.permits(of_session("s2"), Freshness::Feed).await;
    assert!(matches!(refused, Err(StandingError::Stale)), "{refused:?}");
    assert_eq!(refusing.revocations.totals().refused, 2);
    redis.resume();
    for replica in [&asking, &refusing] {
        let complete = || replica.revocations.check(of_session("s2")) == Standing::Live;
        eventually("the feed is complete again", complete).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_gives_up_has_revoked_all_the_same() {
    let redis = Redis::start();
    let replicas = Replica::several::<2>(&redis).await;
    redis.pause();
    let revoking = session("s1");
    let given_up = tokio::time::timeout(
        Duration::ZERO,
        replicas[0].revocations.revoke(std::slice::from_ref(&revoking), HOUR),
    );
    assert!(given_up.await.is_err());
    assert_eq!(replicas[0].revocations.check(of_session("s1")), Standing::Revoked);
    redis.resume();
    replicas[1].refuses(of_session("s1")).await;
}
