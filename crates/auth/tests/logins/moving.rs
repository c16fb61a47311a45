//! Logins whose bucket moves from one shard to another, step by step as a resharding takes them, by hand.

use std::time::Duration;

use phalanx_auth::{Device, LoginReaper, LoginSettings, UnixMs};
use phalanx_data::Settings;
use phalanx_telemetry::{clock, registry::Registry};
use phalanx_test_servers::{Postgres, Settings as Server};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::{DAY, Replica, SECOND, account, eventually, migrated, servers, settings};

/// Longer than any test.
const NEVER: Duration = Duration::from_secs(3600);

/// Two shards. The bucket of every account here is the first one's at the start.
struct Two {
    first: Postgres,
    second: Postgres,
}

impl Two {
    async fn start() -> Self {
        let two =
            Self { first: Postgres::start(Server::default()), second: Postgres::start(Server::default()) };
        migrated(&servers(&[(&two.first, &[]), (&two.second, &[])])).await;
        two
    }

    /// A replica that learns of a change only by what it meets with.
    async fn unaware(&self) -> Replica {
        let servers = servers(&[(&self.first, &[]), (&self.second, &[])]);
        let settings = Settings { map_period: NEVER, ..settings() };
        Replica::over_servers(&servers, settings, LoginSettings::default()).await
    }

    /// The bucket becomes the second shard's, which has its rows; the first one has not cleared them away.
    fn move_bucket(&self) {
        let rows = "SELECT json_agg(moved) FROM logins AS moved";
        let rows = self.first.query_one_text(rows).replace('\'', "''");
        self.second.execute(&format!(
            "SET session_replication_role = replica;
             INSERT INTO logins SELECT * FROM json_populate_recordset(NULL::logins, '{rows}')"
        ));
        for server in [&self.first, &self.second] {
            server.execute("UPDATE phalanx.buckets SET owner = 2, epoch = 2 WHERE bucket = 5");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_go_on_where_their_bucket_is() {
    let two = Two::start().await;
    let (first, second) = (two.unaware().await, two.unaware().await);
    let begun = first.begin(account(1)).await;
    let long_over = UnixMs::new(UnixMs::from(clock::wall()).get() - 9 * DAY);
    first.logins.begin(account(2), Device::default(), long_over).await.unwrap();
    two.move_bucket();

    // The one is told by the database that refuses its write, the other by a token that is newer than the row where it looks.
    let newest = first.refreshed(begun.refresh_token.as_str(), 0).await;
    let newest = second.refreshed(&newest, SECOND).await;
    assert_eq!(first.outcome(&newest, 2 * SECOND).await, "rotated");
    let generation = "SELECT max(generation) FROM logins";
    assert_eq!(
        [&two.first, &two.second].map(|server| server.query_one_text(generation)),
        ["1", "4"],
        "nothing was written where the bucket is no more"
    );

    // What is over is removed where it is at home, and nowhere else.
    let (mut registry, stop, mut tasks) = (Registry::new(), CancellationToken::new(), JoinSet::new());
    tasks.spawn(LoginReaper::new(first.logins.clone(), &mut registry).run(stop.clone()));
    eventually("the removal", async || registry.encode().contains("phalanx_logins_removed_total 1\n")).await;
    stop.cancel();
    tasks.join_all().await;
    let rows = "SELECT count(*) FROM logins";
    assert_eq!([&two.first, &two.second].map(|server| server.query_one_text(rows)), ["2", "1"]);
    for replica in [first, second] {
        replica.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_began_after_the_move_is_found_by_who_does_not_know_of_it() {
    let two = Two::start().await;
    let (first, second) = (two.unaware().await, two.unaware().await);
    // The database tells the one whose write it refuses.
    first.begin(account(1)).await;
    two.move_bucket();
    let begun = first.begin(account(1)).await;
    assert_eq!(second.outcome(begun.refresh_token.as_str(), SECOND).await, "rotated");
    for replica in [first, second] {
        replica.close().await;
    }
}
