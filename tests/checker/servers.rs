//! The databases of a trial: a first shard that fails over and lags, a second one that is plain, and others that own nothing.

use std::{collections::BTreeMap, thread, time::Duration};

use phalanx_telemetry::clock;
use phalanx_test_servers::{PASSWORD, Postgres, ReplicaSettings, Settings, USER};

use crate::{
    history::{Stored, StoredAccount, StoredClaim},
    schedule::{Place, Standby},
};

const LAG: Duration = Duration::from_secs(2);
const LAGGING: &str = "lagging";
const DATABASE: &str = "postgres";
/// How long a server that was made to fail may take to be back.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a replica may take to follow another primary.
const FOLLOWING: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Rows that a shard does not own are what a move of buckets has left behind.
const ACCOUNTS: &str = "SELECT a.id, a.email, a.name FROM accounts a \
                        JOIN phalanx.buckets b ON b.bucket = a.id % 4096 WHERE b.here";
const CLAIMS: &str = "SELECT e.email, e.account_id, e.confirmed FROM account_emails e \
                      JOIN phalanx.buckets b ON b.bucket = e.bucket WHERE b.here";

pub(crate) struct Servers {
    /// The first shard's primary at the beginning.
    pub(crate) old: Postgres,
    /// Who takes over.
    pub(crate) heir: Postgres,
    pub(crate) lagging: Postgres,
    second: Postgres,
    /// The shards behind the second.
    empty: Vec<Postgres>,
    leader: Leader,
}

/// Who is the first shard's primary.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leader {
    Old,
    Heir,
}

impl Servers {
    /// Two shards that own all buckets, and so many empty ones.
    pub(crate) fn start(standby: Standby, empty: usize) -> Self {
        thread::scope(|scope| {
            let start = || Postgres::start(Settings::default());
            let second = scope.spawn(start);
            let empty: Vec<_> = (0..empty).map(|_| scope.spawn(start)).collect();
            let old = Postgres::start(Settings::default());
            let heir = ReplicaSettings::named("heir");
            let heir = match standby {
                Standby::Synchronous => heir.synchronous(),
                Standby::Asynchronous => heir,
            };
            let heir = old.replica_with(&heir);
            let lagging = old.replica_with(&ReplicaSettings::named(LAGGING));
            let second = second.join().unwrap();
            let empty = empty.into_iter().map(|server| server.join().unwrap()).collect();
            Self { old, heir, lagging, second, empty, leader: Leader::Old }
        })
    }

    /// What a replica of the API has to be told as long as there are two shards.
    pub(crate) fn environment_of_two(&self) -> Vec<(String, String)> {
        let replicas = format!("{},{}", self.heir.url(), self.lagging.url());
        [
            ("DATABASE_SHARD_1_PRIMARY", self.old.url()),
            ("DATABASE_SHARD_1_REPLICAS", replicas),
            ("DATABASE_SHARD_2_PRIMARY", self.second.url()),
            ("DATABASE_MIGRATE", "true".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// The same with the empty shards, which own nothing where a topology of two was there before.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let empty = (3..).zip(&self.empty);
        let empty = empty.map(|(number, server)| (format!("DATABASE_SHARD_{number}_PRIMARY"), server.url()));
        self.environment_of_two().into_iter().chain(empty).collect()
    }

    pub(crate) fn at(&self, place: Place) -> &Postgres {
        match place {
            Place::FirstPrimary => self.first_primary(),
            Place::Lagging => &self.lagging,
            Place::SecondPrimary => &self.second,
        }
    }

    fn first_primary(&self) -> &Postgres {
        match self.leader {
            Leader::Old => &self.old,
            Leader::Heir => &self.heir,
        }
    }

    /// The primary of each shard, by number.
    fn primaries(&self) -> impl Iterator<Item = (usize, &Postgres)> {
        (1..).zip([self.first_primary(), &self.second].into_iter().chain(&self.empty))
    }

    pub(crate) fn make_admin(&self, id: i64) {
        for (_, primary) in self.primaries() {
            primary.execute(&format!("UPDATE accounts SET role = 'admin' WHERE id = {id}"));
        }
    }

    pub(crate) fn lag(&self) {
        self.lagging.set_apply_delay(LAG);
    }

    /// The standby receives nothing any more.
    pub(crate) fn cut_heir_off(&self) {
        self.heir.set("primary_conninfo", "");
    }

    /// The standby takes writes, and the lagging replica is told to follow it.
    pub(crate) fn promote_heir(&mut self) {
        self.heir.promote();
        self.leader = Leader::Heir;
        let heir = format!(
            "host=127.0.0.1 port={} user={USER} password={PASSWORD} application_name={LAGGING}",
            self.heir.port()
        );
        self.lagging.set("primary_conninfo", &heir);
    }

    /// Whether the lagging replica follows the shard's primary in the end. One that had received more than the standby that
    /// was promoted cannot, for the logs have parted before its end.
    pub(crate) fn lagging_follows(&self) -> bool {
        self.lagging.set_apply_delay(Duration::ZERO);
        let asked = format!(
            "SELECT 1 FROM pg_stat_replication WHERE application_name = '{LAGGING}' AND state = 'streaming'"
        );
        let begun = clock::now();
        while begun.elapsed() < FOLLOWING {
            if self.first_primary().query_one_text(&asked) == "1" {
                return true;
            }
            thread::sleep(LOOK_AGAIN);
        }
        false
    }

    /// Everything that is stored, once all shards answer.
    pub(crate) fn stored(&self) -> Stored {
        let mut stored = Stored::default();
        for (shard, primary) in self.primaries() {
            await_ready(primary);
            for row in rows(primary, ACCOUNTS) {
                let [id, email, name] = &row[..] else { panic!("{row:?}") };
                let (id, email, name) = (id.parse().unwrap(), email.clone(), name.clone());
                stored.accounts.push(StoredAccount { shard, id, email, name });
            }
            for row in rows(primary, CLAIMS) {
                let [email, id, confirmed] = &row[..] else { panic!("{row:?}") };
                let (email, id) = (email.clone(), id.parse().unwrap());
                stored.claims.push(StoredClaim { email, id, confirmed: confirmed == "1" });
            }
        }
        stored
    }

    /// Accounts by the shard they are on.
    pub(crate) fn spread(stored: &Stored) -> BTreeMap<usize, usize> {
        let mut spread = BTreeMap::new();
        for account in &stored.accounts {
            *spread.entry(account.shard).or_default() += 1;
        }
        spread
    }
}

/// Waits until a server that recovers takes statements.
pub(crate) fn await_ready(server: &Postgres) {
    let begun = clock::now();
    while server.try_query(DATABASE, "SELECT 1").is_err() {
        assert!(begun.elapsed() < PATIENCE, "it does not come back:\n{}", server.log_tail());
        thread::sleep(LOOK_AGAIN);
    }
}

/// Kills the backend of one client, if there is any.
pub(crate) fn kill_backend(server: &Postgres) {
    let pid = server.query_one_text(
        "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name = 'phalanx' LIMIT 1",
    );
    if let Ok(pid) = pid.parse() {
        server.kill_backend(pid);
        await_ready(server);
    }
}

fn rows(server: &Postgres, sql: &str) -> Vec<Vec<String>> {
    let text = server.query_one_text(sql);
    text.lines().map(|line| line.split('|').map(ToOwned::to_owned).collect()).collect()
}
