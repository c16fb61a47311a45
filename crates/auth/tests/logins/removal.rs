//! Rows that are long over, and who removes them.

use phalanx_auth::{Begun, Device, LoginReaper, RefreshError, UnixMs};
use phalanx_data::Consistency;
use phalanx_telemetry::{clock, registry::Registry};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::{DAY, PATIENCE, Replica, Store, account, eventually};

/// More than are removed at a time.
const OLD: usize = 250;

async fn begin_at(replica: &Replica, now: UnixMs) -> Begun {
    replica.logins.begin(account(1), Device::default(), now).await.unwrap()
}

/// What a registry says was removed.
fn removed(registry: &Registry) -> usize {
    let text = registry.encode();
    let mut counts = text.lines().filter_map(|line| line.strip_prefix("phalanx_logins_removed_total "));
    counts.next().unwrap().parse().unwrap()
}

async fn rows_that_are_over_for_a_day_are_removed(store: Store) {
    let replica = store.open().await;
    let now = UnixMs::from(clock::wall());
    let ago = |milliseconds: u64| UnixMs::new(now.get() - milliseconds);
    // Too many for one account, so all but the last hundred were ended, and those are idle by now.
    for _ in 0..OLD {
        begin_at(&replica, ago(9 * DAY)).await;
    }
    let (idle, fresh) = (begin_at(&replica, ago(7 * DAY + DAY / 2)).await, begin_at(&replica, now).await);
    let ended = begin_at(&replica, now).await;
    replica.logins.end(account(1), ended.login, ago(DAY / 2)).await.unwrap();

    // Two of them, as over two replicas of a service: each row counts once.
    let mut registries = [Registry::new(), Registry::new()];
    let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
    for registry in &mut registries {
        tasks.spawn(LoginReaper::new(replica.logins.clone(), registry).run(stop.clone()));
    }
    let removed = || registries.iter().map(removed).sum::<usize>();
    eventually("the removal", async || removed() == OLD).await;
    stop.cancel();
    let ended_all = async { while tasks.join_next().await.is_some() {} };
    tokio::time::timeout(PATIENCE, ended_all).await.expect("the reapers end");
    assert_eq!(removed(), OLD);

    let primary = &Consistency::primary();
    let live = replica.logins.list(account(1), primary, now).await.unwrap();
    assert_eq!(live.iter().map(|login| login.id).collect::<Vec<_>>(), [fresh.login]);
    // Those that have been over for less are there to be asked for.
    let idle = replica.logins.refresh(idle.refresh_token.as_str(), now).await;
    assert!(matches!(idle, Err(RefreshError::Expired)), "{idle:?}");
    let ended = replica.logins.refresh(ended.refresh_token.as_str(), now).await;
    assert!(matches!(ended, Err(RefreshError::Ended { .. })), "{ended:?}");
    replica.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_are_over_for_a_day_are_removed_from_files() {
    rows_that_are_over_for_a_day_are_removed(Store::files()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_are_over_for_a_day_are_removed_from_a_server() {
    rows_that_are_over_for_a_day_are_removed(Store::server().await).await;
}
