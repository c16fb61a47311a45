//! Refreshes that end between their steps, and servers that fail under them.

use std::{
    future::Future,
    num::NonZeroU16,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use phalanx_auth::{Device, LoginError, LoginSettings, RefreshError};
use phalanx_data::{Consistency, Kind};

use crate::support::{BEGUN, DAY, Replica, SECOND, Store, account, at, eventually};

/// Lets a future go on so many times, then drops it: a replica that dies in between.
async fn cut_after<F: Future>(steps: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..steps {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Some(output);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    None
}

/// Whoever lost the answer presents the token again, and is given what the first request would have given. If none had been rotated, the
/// token is as good as before.
async fn a_refresh_that_died_is_made_up_for(store: Store) {
    let (first, second) = (store.open().await, store.open().await);
    for steps in 0..12 {
        let begun = first.begin(account(1)).await;
        let token = begun.refresh_token.as_str();
        let died = cut_after(steps, first.refresh(token, 0)).await;
        let given = second.refreshed(token, SECOND).await;
        if let Some(answered) = died {
            assert_eq!(answered.unwrap().refresh_token.as_str(), given);
        }
        assert_eq!(first.refreshed(token, SECOND).await, given);
        // An attack on the same token is noticed, and the noticing survives a death as well.
        let noticed = cut_after(steps, first.refresh(token, 100 * SECOND)).await;
        let again = second.outcome(token, 100 * SECOND).await;
        assert!(["reused", "ended"].contains(&again), "{noticed:?} {again}");
        assert_eq!(second.outcome(&given, 100 * SECOND).await, "ended");
    }
    first.close().await;
    second.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_that_died_is_made_up_for_on_files() {
    a_refresh_that_died_is_made_up_for(Store::files()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_that_died_is_made_up_for_on_a_server() {
    a_refresh_that_died_is_made_up_for(Store::server().await).await;
}

/// Connections that break under refreshes leave it open whether a rotation was done; the row says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_connections_log_nobody_out() {
    let store = Store::server().await;
    let replica = store.open().await;
    let mut newest = replica.begin(account(1)).await.refresh_token.as_str().to_owned();
    for round in 0..10 {
        let cutting = async { tokio::task::block_in_place(|| store.primary().terminate_connections()) };
        let presenting = async {
            let mut given = Vec::new();
            for _ in 0..5 {
                match replica.refresh(&newest, round).await {
                    Ok(refreshed) => given.push(refreshed.refresh_token.as_str().to_owned()),
                    Err(RefreshError::Access(error)) => {
                        let kind = error.verdict().kind;
                        assert!(matches!(kind, Kind::Unavailable | Kind::Unknown), "{error:?}");
                    }
                    Err(error) => panic!("{error:?}"),
                }
            }
            given
        };
        let (given, ()) = tokio::join!(presenting, cutting);
        let successor = settled(&replica, &newest, round).await;
        assert!(given.iter().all(|token| *token == successor), "{given:?} {successor}");
        newest = successor;
    }
    assert_eq!(replica.outcome(&newest, 100 * SECOND).await, "rotated");
    replica.close().await;
}

/// The server dies between the statement and its answer, and nobody can say whether it was done: it is looked up, and done once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_whose_outcome_is_unknown_is_looked_up() {
    let store = Store::server().await;
    let replica = store.open().await;
    let begun = replica.begin(account(1)).await;
    // The first rotation takes its connection along; a sequence counts what is undone, too.
    store.primary().execute(
        "CREATE SEQUENCE rotations;
         CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             IF nextval('rotations') = 1 THEN
                 PERFORM pg_terminate_backend(pg_backend_pid());
                 PERFORM pg_sleep(60);
             END IF;
             RETURN NEW;
         END $$;
         CREATE TRIGGER cut AFTER UPDATE ON logins FOR EACH ROW EXECUTE FUNCTION cut()",
    );
    assert_eq!(replica.outcome(begun.refresh_token.as_str(), 0).await, "rotated");
    assert_eq!(store.primary().query_one_text("SELECT last_value FROM rotations"), "2");
    replica.close().await;
}

/// A logout between the two statements of a refresh: the second finds the row changed, and nobody is given a token any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_in_the_middle_of_a_refresh_wins() {
    let store = Arc::new(Store::server().await);
    let replica = store.open().await;
    let begun = replica.begin(account(1)).await;
    // Holds the row until the rotation waits for it; the advisory lock tells that it does.
    let ending = "DO $$ BEGIN
        PERFORM FROM logins FOR UPDATE;
        PERFORM pg_advisory_lock(1, 2);
        WHILE NOT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock') LOOP
            PERFORM pg_sleep(0.01);
            PERFORM pg_stat_clear_snapshot();
        END LOOP;
        UPDATE logins SET ended_at = 1;
        PERFORM pg_advisory_unlock(1, 2);
    END $$";
    let server = Arc::clone(&store);
    let ending = tokio::task::spawn_blocking(move || server.primary().execute(ending));
    let holds =
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 1 AND objid = 2 AND granted";
    eventually("the lock", async || store.primary().query_one_text(holds) == "1").await;
    assert_eq!(replica.outcome(begun.refresh_token.as_str(), 0).await, "ended");
    ending.await.unwrap();
    assert_eq!(store.primary().query_one_text("SELECT generation FROM logins"), "1");
    replica.close().await;
}

/// Whoever is displaced has to be told of, and who did not begin tells nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_cannot_be_stored_displaces_nobody() {
    let store = Store::server().await;
    let settings = LoginSettings { live_max: NonZeroU16::MIN, ..LoginSettings::default() };
    let replica = store.open_with(settings).await;
    let begun = replica.begin(account(1)).await;
    store.primary().execute("ALTER TABLE logins ADD CONSTRAINT room CHECK (label <> 'one too many')");
    let refused = replica.logins.begin(account(1), Device::new("one too many", None), at(1)).await;
    assert!(matches!(refused, Err(LoginError::Access(_))), "{refused:?}");
    assert_eq!(replica.outcome(begun.refresh_token.as_str(), 2).await, "rotated");
    replica.close().await;
}

/// The successor, as soon as the server can be asked.
async fn settled(replica: &Replica, token: &str, now: u64) -> String {
    let mut successor = String::new();
    eventually("the successor", async || match replica.refresh(token, now).await {
        Ok(refreshed) => {
            refreshed.refresh_token.as_str().clone_into(&mut successor);
            true
        }
        Err(RefreshError::Access(_)) => false,
        Err(error) => panic!("{error:?}"),
    })
    .await;
    successor
}

/// A replica of the database that is behind knows nothing yet of the login, and nobody is judged by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_replica_that_lags_misleads_nobody() {
    let store = Store::server_with_replica().await;
    let replica = store.open().await;
    let standby = store.replica();
    standby.pause_replay();
    let begun = replica.begin(account(1)).await;
    let mut token = begun.refresh_token.as_str().to_owned();
    for round in 0..20 {
        let successor = replica.refreshed(&token, round).await;
        assert_eq!(replica.refreshed(&token, round).await, successor);
        token = successor;
    }
    let mine = Consistency::after(begun.position);
    assert_eq!(replica.logins.list(account(1), &mine, BEGUN).await.unwrap().len(), 1);
    replica.logins.end(account(1), begun.login, at(30)).await.unwrap();
    assert_eq!(replica.outcome(&token, 30).await, "ended");
    assert_eq!(standby.query_one_text("SELECT count(*) FROM logins"), "0", "the replica is no further");
    standby.resume_replay();
    replica.close().await;
}

/// What a server that is started anew from an older state makes of a token: refused, and nothing ended by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_a_database_has_forgotten_ends_nothing() {
    let store = Store::server().await;
    let replica = store.open().await;
    let begun = replica.begin(account(1)).await;
    let token = begun.refresh_token.as_str();
    store.primary().execute("CREATE TABLE backup AS SELECT generation, token_hash, rotations FROM logins");
    let lost = replica.refreshed(token, 0).await;
    store.primary().execute(
        "UPDATE logins SET generation = backup.generation, token_hash = backup.token_hash, \
         rotations = backup.rotations FROM backup",
    );
    assert_eq!(replica.outcome(&lost, DAY).await, "invalid");
    // The same successor once more: so the lost one is good again.
    assert_eq!(replica.refreshed(token, DAY).await, lost);
    assert_eq!(replica.outcome(&lost, DAY).await, "rotated");
    replica.close().await;
}
