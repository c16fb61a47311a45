//! What becomes of a login from its beginning to its end, on every store.

use std::{num::NonZeroU16, time::Duration};

use phalanx_auth::{Device, Ended, Login, LoginId, LoginSettings, RefreshError};
use phalanx_data::Consistency;

use crate::support::{BEGUN, DAY, Replica, SECOND, Store, account, at};

async fn ids(replica: &Replica, number: i64, milliseconds: u64) -> Vec<LoginId> {
    let primary = &Consistency::primary();
    let logins = replica.logins.list(account(number), primary, at(milliseconds)).await.unwrap();
    logins.into_iter().map(|login| login.id).collect()
}

async fn a_login_lives_and_ends(store: &Store) {
    let (first, second) = (store.open().await, store.open().await);
    let phone = Device::new("Phone/1.0\r\nforged", Some("192.0.2.7".parse().unwrap()));
    let begun = first.logins.begin(account(1), phone.clone(), BEGUN).await.unwrap();
    assert!(begun.displaced.is_empty());
    let refreshed = second.refresh(begun.refresh_token.as_str(), 600 * SECOND).await.unwrap();
    assert_eq!((refreshed.login, refreshed.account, refreshed.replayed), (begun.login, account(1), false));
    assert_ne!(refreshed.refresh_token, begun.refresh_token);

    // The login of the same account that began later comes first; the other account's is not there.
    let later = second.logins.begin(account(1), Device::default(), at(700 * SECOND)).await.unwrap();
    let others = first.begin(account(2)).await;
    let consistency = Consistency::after(later.position);
    let listed = first.logins.list(account(1), &consistency, at(700 * SECOND)).await.unwrap();
    let of = |login: &Login| (login.id, login.created_at, login.used_at, login.valid_until);
    assert_eq!(
        listed.iter().map(of).collect::<Vec<_>>(),
        [
            (later.login, at(700 * SECOND), at(700 * SECOND), at(7 * DAY + 700 * SECOND)),
            (begun.login, BEGUN, at(600 * SECOND), at(7 * DAY + 600 * SECOND)),
        ]
    );
    assert_eq!(listed[1].device, phone);
    assert_eq!(listed[1].device.label(), r"Phone/1.0\r\nforged");
    assert_eq!(ids(&first, 1, 7 * DAY + 600 * SECOND).await, [later.login], "one was not used for 7 days");

    // Nobody ends another account's login.
    let now = at(800 * SECOND);
    assert_eq!(first.logins.end(account(1), others.login, now).await.unwrap(), Ended::Unknown);
    assert!(matches!(first.logins.end(account(1), begun.login, now).await.unwrap(), Ended::Now { .. }));
    assert_eq!(second.logins.end(account(1), begun.login, now).await.unwrap(), Ended::Before);
    assert_eq!(ids(&second, 1, 800 * SECOND).await, [later.login]);
    assert_eq!(second.outcome(refreshed.refresh_token.as_str(), 801 * SECOND).await, "ended");
    assert_eq!(second.outcome(later.refresh_token.as_str(), 801 * SECOND).await, "rotated");
    assert_eq!(second.outcome(others.refresh_token.as_str(), 801 * SECOND).await, "rotated");
    first.close().await;
    second.close().await;
}

async fn an_old_token_ends_its_family_and_no_other(store: &Store) {
    let (first, second) = (store.open().await, store.open().await);
    let (stolen, other) = (first.begin(account(1)).await, first.begin(account(1)).await);
    let old = stolen.refresh_token.as_str();
    let newest = first.refreshed(old, 0).await;
    // Who lost the race, or the answer, is given the same.
    assert_eq!(second.refreshed(old, 20 * SECOND - 1).await, newest);
    let reused = second.refresh(old, 20 * SECOND).await.unwrap_err();
    let RefreshError::Reused { login, account: owner } = reused else { panic!("{reused:?}") };
    assert_eq!((login, owner), (stolen.login, account(1)));
    for token in [old, &newest] {
        assert_eq!(first.outcome(token, 20 * SECOND).await, "ended");
    }
    assert_eq!(first.outcome(other.refresh_token.as_str(), 20 * SECOND).await, "rotated");
    assert_eq!(ids(&first, 1, 20 * SECOND).await, [other.login]);
    first.close().await;
    second.close().await;
}

async fn an_invented_token_ends_nothing(store: &Store) {
    let replica = store.open().await;
    let (begun, stranger) = (replica.begin(account(1)).await, replica.begin(account(1)).await);
    let newest = replica.refreshed(begun.refresh_token.as_str(), 0).await;
    // The id and generation of the one, the rest of the other.
    let mixed = [&begun.refresh_token.as_str()[..20], &stranger.refresh_token.as_str()[20..]].concat();
    let mut garbage = newest.clone();
    garbage.replace_range(40..60, "AAAAAAAAAAAAAAAAAAAA");
    for token in [&*mixed, &garbage, "", "phr_", "a.b.c", &"x".repeat(1 << 20)] {
        assert_eq!(replica.outcome(token, DAY).await, "invalid", "{token:.100}");
    }
    assert_eq!(replica.outcome(&newest, DAY).await, "rotated");
    replica.close().await;
}

async fn a_logout_voids_tokens_in_their_window_too(store: &Store) {
    let (first, second) = (store.open().await, store.open().await);
    let begun = first.begin(account(1)).await;
    let newest = first.refreshed(begun.refresh_token.as_str(), 0).await;
    first.logins.end(account(1), begun.login, at(1)).await.unwrap();
    for token in [begun.refresh_token.as_str(), &newest] {
        assert_eq!(second.outcome(token, 2).await, "ended");
    }
    first.close().await;
    second.close().await;
}

async fn all_logins_end_but_the_one_that_asks(store: &Store) {
    let replica = store.open().await;
    let (mine, lost, stranger) =
        (replica.begin(account(1)).await, replica.begin(account(1)).await, replica.begin(account(2)).await);
    let but_mine = replica.logins.end_all(account(1), Some(mine.login), at(1)).await.unwrap();
    assert_eq!(but_mine.logins, [lost.login]);
    assert_eq!(replica.outcome(lost.refresh_token.as_str(), 2).await, "ended");
    let newest = replica.refreshed(mine.refresh_token.as_str(), 2).await;
    assert_eq!(replica.logins.end_all(account(1), None, at(3)).await.unwrap().logins, [mine.login]);
    assert_eq!(replica.outcome(&newest, 4).await, "ended");
    assert_eq!(replica.outcome(stranger.refresh_token.as_str(), 4).await, "rotated");
    replica.close().await;
}

async fn the_login_that_was_not_used_for_the_longest_time_makes_room(store: &Store) {
    let live_max = NonZeroU16::new(3).unwrap();
    let replica = store.open_with(LoginSettings { live_max, ..LoginSettings::default() }).await;
    let mut begun = Vec::new();
    for number in 0..3 {
        begun.push(replica.logins.begin(account(1), Device::default(), at(number)).await.unwrap());
    }
    replica.begin(account(2)).await;
    replica.refresh(begun[0].refresh_token.as_str(), 10).await.unwrap();
    let one_more = replica.logins.begin(account(1), Device::default(), at(20)).await.unwrap();
    assert_eq!(one_more.displaced, [begun[1].login]);
    assert_eq!(ids(&replica, 1, 30).await, [one_more.login, begun[2].login, begun[0].login]);
    assert_eq!(replica.outcome(begun[1].refresh_token.as_str(), 30).await, "ended");
    // Those that are over take no room.
    let much_later = replica.logins.begin(account(1), Device::default(), at(40 * DAY)).await.unwrap();
    assert!(much_later.displaced.is_empty());
    assert_eq!(ids(&replica, 2, 30).await.len(), 1);
    replica.close().await;
}

async fn a_login_expires_when_it_is_idle_and_when_it_is_old(store: &Store) {
    let hours = |hours| Duration::from_hours(hours);
    let settings =
        LoginSettings { idle_timeout: hours(24), absolute_timeout: hours(36), ..LoginSettings::default() };
    let replica = store.open_with(settings).await;
    let (idle, used) = (replica.begin(account(1)).await, replica.begin(account(1)).await);
    let newest = replica.refreshed(used.refresh_token.as_str(), DAY - 1).await;
    assert_eq!(replica.outcome(idle.refresh_token.as_str(), DAY).await, "expired");
    assert_eq!(replica.outcome(&newest, DAY + DAY / 2 - 1).await, "rotated");
    assert_eq!(replica.outcome(&newest, DAY + DAY / 2).await, "expired");
    replica.close().await;
}

macro_rules! on_every_store {
    ($($name:ident),+ $(,)?) => {
        mod files {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(&super::Store::files()).await;
            })+
        }

        /// One after the other on one server, for it takes longer to start than all of them.
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn the_same_on_a_server() {
            let store = Store::server().await;
            $($name(&store).await;
            store.primary().execute("DELETE FROM logins");)+
        }
    };
}

on_every_store!(
    a_login_lives_and_ends,
    an_old_token_ends_its_family_and_no_other,
    an_invented_token_ends_nothing,
    a_logout_voids_tokens_in_their_window_too,
    all_logins_end_but_the_one_that_asks,
    the_login_that_was_not_used_for_the_longest_time_makes_room,
    a_login_expires_when_it_is_idle_and_when_it_is_old,
);
