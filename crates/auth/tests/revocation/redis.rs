//! What followers of a Redis that works learn.

use std::time::Duration;

use phalanx_auth::{
    Freshness, RevocationSettings, Revocations, StalePolicy, Standing, StandingError, StateError,
};
use phalanx_telemetry::{clock, registry::Registry};
use phalanx_test_servers::Redis;

use crate::support::{
    HOUR, Replica, eventually, of_session, of_subject, patient, session, stranger, subject,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_reaches_every_follower_and_whoever_starts_later() {
    let redis = Redis::start();
    let replicas = Replica::several::<3>(&redis).await;
    for replica in &replicas {
        assert_eq!(replica.revocations.check(of_session("s1")), Standing::Live);
    }
    let both = [session("s1"), subject("u1", 3)];
    replicas[0].revocations.revoke(&both, HOUR).await.unwrap();
    let late = Replica::following(&redis).await;
    for replica in replicas.iter().chain([&late]) {
        replica.refuses(of_session("s1")).await;
        replica.refuses(of_subject("u1", 2)).await;
        for token in [of_session("s2"), of_subject("u1", 3), of_subject("u2", 2), of_session("u1")] {
            let standing = replica.revocations.permits(token, Freshness::Feed).await.unwrap();
            assert_eq!(standing, Standing::Live, "{token:?}");
        }
    }
    assert_eq!(late.revocations.totals().asked, 0, "a feed that is complete needs no question");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_of_many_pages_is_read_to_its_end() {
    const COUNT: usize = 2500;
    let redis = Redis::start();
    let replica = Replica::following(&redis).await;
    let many: Vec<_> = (0..COUNT).map(|number| session(&format!("s{number}"))).collect();
    replica.revocations.revoke(&many, HOUR).await.unwrap();
    let late = Replica::following(&redis).await;
    for number in 0..COUNT {
        assert_eq!(late.revocations.check(of_session(&format!("s{number}"))), Standing::Revoked, "{number}");
    }
    assert_eq!(late.revocations.entries(), COUNT);
}

#[tokio::test]
async fn the_store_answers_a_process_that_follows_nothing() {
    let redis = Redis::start();
    let settings = patient();
    let publisher = stranger(&redis, settings).await;
    for revocations in [&[subject("u1", 5)][..], &[subject("u1", 3), session("s1")]] {
        publisher.revoke(revocations, HOUR).await.unwrap();
    }
    let asking = stranger(&redis, settings).await;
    for (token, standing) in [
        (of_session("s1"), Standing::Revoked),
        (of_session("s2"), Standing::Live),
        (of_subject("u1", 4), Standing::Revoked),
        (of_subject("u1", 5), Standing::Live),
    ] {
        for freshness in [Freshness::Feed, Freshness::Store] {
            assert_eq!(asking.permits(token, freshness).await.unwrap(), standing, "{token:?} {freshness:?}");
        }
    }
    // An answer is learnt: the second question about what is revoked was spared.
    assert_eq!(asking.totals().asked, 6);
    let cautious = RevocationSettings { stale_policy: StalePolicy::Refuse, ..patient() };
    let refusing = stranger(&redis, cautious).await;
    let refused = refusing.permits(of_session("s2"), Freshness::Feed).await;
    assert!(matches!(refused, Err(StandingError::Stale)), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_found_no_room_is_asked_for() {
    let redis = Redis::start();
    let settings = RevocationSettings { entries_max: 1, ..patient() };
    let replica = Replica::on(&redis, settings).await;
    replica.reads_to_the_end().await;
    replica.revocations.revoke(&[session("s1"), session("s2")], HOUR).await.unwrap();
    assert_eq!(replica.revocations.check(of_session("s1")), Standing::Revoked);
    for (token, standing) in [("s2", Standing::Revoked), ("s3", Standing::Live)] {
        assert_eq!(replica.revocations.check(of_session(token)), Standing::Unsure, "{token}");
        let asked = replica.revocations.permits(of_session(token), Freshness::Feed).await.unwrap();
        assert_eq!(asked, standing, "{token}");
    }
    assert_eq!(replica.revocations.entries(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_leaves_the_stream_and_every_key_has_an_end() {
    let redis = Redis::start();
    let replica = Replica::following(&redis).await;
    let add =
        |at: &str, fields: &[&str]| redis.execute(&[&["XADD", "test:revocations", at], fields].concat());
    // Ids begin with the time of Redis: the first of these are of long ago.
    for number in ["1", "2", "3"] {
        add(number, &["kind", "session", "id", number, "epoch", "0", "until", number]);
    }
    add("*", &["kind", "session", "id", "s1", "epoch", "0", "until", "99999999999"]);
    replica.refuses(of_session("s1")).await;
    replica.revoke(session("s2")).await;
    assert_eq!(redis.execute(&["XLEN", "test:revocations"]), "2");
    replica.revoke(subject("u1", 1)).await;
    let late = Replica::following(&redis).await;
    for token in [of_session("s1"), of_session("s2"), of_subject("u1", 0)] {
        assert_eq!(late.revocations.check(token), Standing::Revoked, "{token:?}");
    }
    for key in ["test:revoked:session:s2", "test:revoked:subject:u1"] {
        let seconds: u64 = redis.execute(&["TTL", key]).parse().unwrap();
        assert!(seconds <= HOUR.as_secs() + 120, "{key} stays for {seconds} s");
    }
}

/// A logout each minute for five days, behind password changes that are remembered for longer.
#[tokio::test(flavor = "multi_thread")]
async fn what_lives_long_does_not_hold_up_what_is_over() {
    let redis = Redis::start();
    let history = "for minute = 1, 7200 do
          local kind, life = 'session', 1
          if minute <= 10 or minute % 1000 == 0 then kind, life = 'subject', 99999999999 end
          redis.call('XADD', 'test:revocations', minute * 60000,
            'kind', kind, 'id', 'u' .. minute, 'epoch', 7, 'until', life)
        end";
    redis.execute(&["EVAL", history, "0"]);
    let replica = Replica::following(&redis).await;
    for number in 0..100 {
        replica.revoke(session(&format!("s{number}"))).await;
    }
    replica.refuses(of_session("s99")).await;
    let entries: usize = redis.execute(&["XLEN", "test:revocations"]).parse().unwrap();
    assert!(entries < 200, "{entries} entries, of which 117 live");
    let late = Replica::following(&redis).await;
    let lasting = (1..=10).chain((1..=7).map(|thousand| thousand * 1000));
    for subject in lasting.map(|minute| format!("u{minute}")) {
        assert_eq!(late.revocations.check(of_subject(&subject, 6)), Standing::Revoked, "{subject}");
    }
    assert_eq!((replica.revocations.totals().restarts, late.revocations.entries()), (0, 117));
}

/// What lives as long as all that comes leaves the head by itself, and is left there.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_first_stays_where_it_is() {
    let redis = Redis::start();
    redis.execute(&[
        "XADD",
        "test:revocations",
        "1",
        "kind",
        "session",
        "id",
        "s1",
        "epoch",
        "0",
        "until",
        &soon(),
    ]);
    let replica = Replica::following(&redis).await;
    for number in ["s2", "s3"] {
        replica.revoke(session(number)).await;
    }
    assert_eq!(redis.execute(&["XLEN", "test:revocations"]), "3");
    assert!(redis.execute(&["XRANGE", "test:revocations", "-", "1"]).contains("s1"));
}

/// Before what is revoked for an hour.
fn soon() -> String {
    (clock::unix_seconds() + HOUR.as_secs() / 2).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_revoked_already_is_not_published_again() {
    let redis = Redis::start();
    for (revocation, lifetime, expected) in [
        (session("s1"), HOUR, "1"),
        (session("s1"), HOUR, "1"),
        (session("s1"), HOUR / 2, "1"),
        // Tokens of another service may live for longer.
        (session("s1"), 2 * HOUR, "2"),
        (subject("u1", 3), HOUR, "3"),
        (subject("u1", 2), HOUR, "3"),
        (subject("u1", 4), HOUR, "4"),
        (session("u1"), Duration::MAX, "5"),
        (session("u1"), Duration::MAX, "5"),
    ] {
        // One that has read in the feed what was published: what it has not, it publishes again.
        let replica = Replica::following(&redis).await;
        replica.revocations.revoke(std::slice::from_ref(&revocation), lifetime).await.unwrap();
        let published = redis.execute(&["XLEN", "test:revocations"]);
        assert_eq!(published, expected, "{revocation:?} {lifetime:?}");
        assert_eq!(replica.revocations.check(of_session("s1")), Standing::Revoked);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_here_wrote_is_counted_and_stops_nothing() {
    let redis = Redis::start();
    let replica = Replica::following(&redis).await;
    let entries: [&[&str]; 5] = [
        &["foo", "bar"],
        &["kind", "galaxy", "id", "1", "epoch", "0", "until", "99999999999"],
        &["kind", "session", "id", "s1", "epoch", "-1", "until", "99999999999"],
        &["kind", "session", "id", "s1", "epoch", "0", "until", "1e99"],
        &["kind", "session", "epoch", "0", "until", "99999999999"],
    ];
    for fields in entries {
        redis.execute(&[&["XADD", "test:revocations", "*"], fields].concat());
    }
    replica.revoke(session("s2")).await;
    let late = Replica::following(&redis).await;
    assert_eq!(late.revocations.check(of_session("s2")), Standing::Revoked);
    let readable = |replica: &Replica| replica.revocations.totals().unreadable == 5;
    eventually("all were met", || readable(&replica)).await;
    for value in ["", "x", "1", "1 2 3", "-1 5", "1  5", "\\255"] {
        let set = format!("return redis.call('SET', 'test:revoked:session:s3', '{value}')");
        redis.execute(&["EVAL", &set, "0"]);
        let standing = replica.revocations.permits(of_session("s3"), Freshness::Store).await;
        let unreadable = matches!(standing, Err(StandingError::Store(StateError::Unreadable { .. })));
        assert!(unreadable, "{value:?}: {standing:?}");
    }
    // Whoever revokes replaces it.
    replica.revoke(session("s3")).await;
    assert_eq!(
        stranger(&redis, patient()).await.permits(of_session("s3"), Freshness::Store).await.unwrap(),
        Standing::Revoked
    );
}

#[tokio::test]
async fn without_a_feed_only_what_it_was_told_is_revoked() {
    let revocations = Revocations::none();
    let mut changes = revocations.changes();
    revocations.revoke(&[session("s1")], HOUR).await.unwrap();
    assert!(changes.has_changed().unwrap());
    assert_eq!(*changes.borrow_and_update(), 1);
    for (token, standing) in [("s1", Standing::Revoked), ("s2", Standing::Live)] {
        for freshness in [Freshness::Feed, Freshness::Store] {
            assert_eq!(revocations.permits(of_session(token), freshness).await.unwrap(), standing);
        }
    }
    assert_eq!(revocations.age(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_tell_the_age_and_the_entries() {
    let redis = Redis::start();
    let replica = Replica::following(&redis).await;
    replica.revoke(session("s1")).await;
    replica.refuses(of_session("s1")).await;
    let text = |revocations: &Revocations| {
        let mut registry = Registry::new();
        revocations.register(&mut registry);
        registry.encode()
    };
    let (following, alone) = (text(&replica.revocations), text(&Revocations::none()));
    for (text, series) in [
        (&following, "phalanx_revocation_entries{} 1.0\n"),
        (&following, "phalanx_revocation_unpublished_entries{} 0.0\n"),
        (&following, "phalanx_revocation_checks_total{outcome=\"revoked\"} 1.0\n"),
        (&following, "phalanx_revocation_checks_total{outcome=\"unchecked\"} 0.0\n"),
        (&following, "phalanx_revocation_feed_events_total{event=\"restart\"} 0.0\n"),
        (&following, "phalanx_revocation_feed_age_seconds{} 0."),
        (&alone, "phalanx_revocation_feed_age_seconds{} inf\n"),
    ] {
        assert!(text.contains(series), "{series} is missing in\n{text}");
    }
}
