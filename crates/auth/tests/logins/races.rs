//! One refresh token presented by many at once, to two replicas.

use std::{collections::HashSet, num::NonZeroU16, sync::Arc};

use phalanx_auth::{LoginSettings, RefreshError, Refreshed};
use phalanx_data::Consistency;
use tokio::task::JoinSet;

use crate::support::{Replica, SECOND, Store, account, at};

const AT_ONCE: usize = 50;

async fn all_at_once(replicas: &[Arc<Replica>; 2], token: &str, now: u64) -> Vec<Refreshed> {
    let mut presenting = JoinSet::new();
    for number in 0..AT_ONCE {
        let (replica, token) = (Arc::clone(&replicas[number % 2]), token.to_owned());
        presenting.spawn(async move { replica.refresh(&token, now).await });
    }
    presenting.join_all().await.into_iter().map(Result::unwrap).collect()
}

async fn close(replicas: [Arc<Replica>; 2]) {
    for replica in replicas {
        Arc::into_inner(replica).expect("nobody uses it any more").close().await;
    }
}

/// Each round the newest token goes to the next one, so a token too many, or a family that ended, shows at once.
async fn nobody_is_logged_out(store: &Store, rounds: u64) {
    let replicas = [Arc::new(store.open().await), Arc::new(store.open().await)];
    let mut newest = replicas[0].begin(account(1)).await.refresh_token.as_str().to_owned();
    for round in 0..rounds {
        // Slowly enough for a login, which rotates so many times in a while and not more.
        let refreshed = all_at_once(&replicas, &newest, round * SECOND).await;
        assert_eq!(refreshed.iter().filter(|refreshed| !refreshed.replayed).count(), 1, "round {round}");
        let successor = refreshed[0].refresh_token.as_str();
        assert!(refreshed.iter().all(|refreshed| refreshed.refresh_token.as_str() == successor));
        newest = successor.to_owned();
    }
    assert_eq!(replicas[1].outcome(&newest, (rounds + 100) * SECOND).await, "rotated");
    close(replicas).await;
}

/// Clients that share a login and do not wait for each other: each goes on with what it was given.
async fn clients_out_of_step_end_up_with_one_token(store: &Store) {
    let replicas = [Arc::new(store.open().await), Arc::new(store.open().await)];
    let first = replicas[0].begin(account(1)).await.refresh_token.as_str().to_owned();
    let mut clients = JoinSet::new();
    // No more rotations than a login makes in a while, whoever is ahead.
    for client in 0..8 {
        let (replica, mut token) = (Arc::clone(&replicas[client % 2]), first.clone());
        clients.spawn(async move {
            for _ in 0..7 {
                token = replica.refreshed(&token, SECOND).await;
            }
            token
        });
    }
    let tokens = clients.join_all().await;
    // The newest among them rotates when its turn comes, and from then on all of them have one successor.
    for token in &tokens {
        replicas[0].refresh(token, 2 * SECOND).await.unwrap();
    }
    let newest = replicas[1].refreshed(&tokens[0], 2 * SECOND).await;
    for token in &tokens {
        let replayed = replicas[1].refresh(token, 2 * SECOND).await.unwrap();
        assert!(replayed.replayed && replayed.refresh_token.as_str() == newest);
    }
    assert_eq!(replicas[1].outcome(&newest, 100 * SECOND).await, "rotated");
    close(replicas).await;
}

/// A logout among refreshes: each of those came before it or is refused, and afterwards nothing is left.
async fn a_logout_wins_over_refreshes(store: &Store) {
    let replicas = [Arc::new(store.open().await), Arc::new(store.open().await)];
    for _ in 0..20 {
        let begun = replicas[0].begin(account(1)).await;
        let mut presenting = JoinSet::new();
        for number in 0..10 {
            let replica = Arc::clone(&replicas[number % 2]);
            let token = begun.refresh_token.as_str().to_owned();
            presenting.spawn(async move { replica.refresh(&token, SECOND).await });
        }
        replicas[1].logins.end(account(1), begun.login, at(SECOND)).await.unwrap();
        let mut given = vec![begun.refresh_token];
        for outcome in presenting.join_all().await {
            match outcome {
                Ok(refreshed) => given.push(refreshed.refresh_token),
                Err(RefreshError::Ended { login, .. }) => assert_eq!(login, begun.login),
                Err(error) => panic!("{error:?}"),
            }
        }
        for token in given {
            assert_eq!(replicas[0].outcome(token.as_str(), SECOND).await, "ended");
        }
    }
    close(replicas).await;
}

/// Logins that begin at once: no more live than may, whoever does not was displaced by one of them, and none is hidden from its owner.
async fn logins_that_begin_at_once_make_room_for_each_other(store: &Store) {
    let live_max = NonZeroU16::new(3).unwrap();
    let settings = LoginSettings { live_max, ..LoginSettings::default() };
    let replicas = [Arc::new(store.open_with(settings).await), Arc::new(store.open_with(settings).await)];
    let mut beginning = JoinSet::new();
    for number in 0..30 {
        let replica = Arc::clone(&replicas[number % 2]);
        beginning.spawn(async move { replica.begin(account(1)).await });
    }
    let begun = beginning.join_all().await;
    let listed = replicas[0].logins.list(account(1), &Consistency::primary(), at(1)).await.unwrap();
    assert!((1..=3).contains(&listed.len()), "{listed:?}");
    let live: HashSet<_> = listed.iter().map(|login| login.id).collect();
    let displaced: HashSet<_> = begun.iter().flat_map(|begun| begun.displaced.iter().copied()).collect();
    for login in &begun {
        let is_live = replicas[1].outcome(login.refresh_token.as_str(), 1).await == "rotated";
        let told = (live.contains(&login.login), displaced.contains(&login.login));
        assert_eq!(told, (is_live, !is_live), "{login:?}");
    }
    close(replicas).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_parallel_refreshes_log_nobody_out() {
    nobody_is_logged_out(&Store::files(), 50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_are_out_of_step_end_up_with_one_token() {
    clients_out_of_step_end_up_with_one_token(&Store::files()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_among_refreshes_wins() {
    a_logout_wins_over_refreshes(&Store::files()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_that_begin_at_once_make_room() {
    logins_that_begin_at_once_make_room_for_each_other(&Store::files()).await;
}

/// One server for all of them, for it takes longer to start than they do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_on_a_server() {
    let store = Store::server().await;
    nobody_is_logged_out(&store, 100).await;
    clients_out_of_step_end_up_with_one_token(&store).await;
    a_logout_wins_over_refreshes(&store).await;
    store.primary().execute("DELETE FROM logins");
    logins_that_begin_at_once_make_room_for_each_other(&store).await;
}
