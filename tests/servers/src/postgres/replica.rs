//! Streaming replicas of a [`Postgres`]: how they come to be, lag, and become primaries.

use std::{fs, time::Duration};

use super::{Postgres, programs, settings, template};
use crate::{account::Account, server::Server, wait::eventually};

/// Which replica to start.
#[derive(Clone, Debug)]
pub struct ReplicaSettings {
    name: String,
    slot: Option<String>,
    synchrony: Synchrony,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Synchrony {
    Asynchronous,
    Synchronous,
}

impl ReplicaSettings {
    /// An asynchronous one without a slot. The name is its `application_name` at the primary.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), slot: None, synchrony: Synchrony::Asynchronous }
    }

    /// The primary keeps what this one has not received, in a slot of the replica's name.
    #[must_use]
    pub fn with_slot(mut self) -> Self {
        self.slot = Some(self.name.clone());
        self
    }

    /// The primary's commits wait for this one: it becomes the only one in `synchronous_standby_names`.
    #[must_use]
    pub fn synchronous(mut self) -> Self {
        self.synchrony = Synchrony::Synchronous;
        self
    }
}

impl Postgres {
    /// Starts an asynchronous streaming replica of this one, and waits until it streams.
    #[must_use]
    pub fn replica(&self) -> Self {
        self.replica_with(&ReplicaSettings::named(&format!("replica_{}", fastrand::u32(..))))
    }

    /// Starts a streaming replica, and waits until it streams.
    #[must_use]
    pub fn replica_with(&self, replica: &ReplicaSettings) -> Self {
        let server = Server::create(Account::unprivileged(), "postgres");
        let mut copy = server.account().command(&programs::directory().join("pg_basebackup"));
        let primary = settings::connection(self.port, &replica.name);
        copy.arg("--dbname").arg(&primary).arg("--pgdata").arg(server.home().data());
        copy.args(["--wal-method=stream", "--checkpoint=fast", "--no-sync"]);
        let mut more = vec![("primary_conninfo", primary)];
        if let Some(slot) = &replica.slot {
            copy.args(["--create-slot", "--slot", slot]);
            more.push(("primary_slot_name", slot.clone()));
        }
        template::run(&mut copy, server.home());
        fs::write(server.home().data().join("standby.signal"), "").expect("a file in the own directory");
        // What it is told later stands in `postgresql.auto.conf`, which would be the primary's.
        let told = server.home().data().join("postgresql.auto.conf");
        fs::write(told, "").expect("a file in the own directory");
        let started = Self::start_in(server, self.settings.clone(), &more);
        self.await_streaming(&replica.name, "streaming");
        if replica.synchrony == Synchrony::Synchronous {
            self.set("synchronous_standby_names", &format!("\"{}\"", replica.name));
            self.await_streaming(&replica.name, "sync");
        }
        started
    }

    /// Waits until a replica of this name receives this server's log.
    fn await_streaming(&self, name: &str, wanted: &str) {
        let sql = format!(
            "SELECT 1 FROM pg_stat_replication WHERE application_name = '{name}' AND '{wanted}' IN (state, sync_state)"
        );
        eventually(|| (self.query_one_text(&sql) == "1").then_some(()))
            .unwrap_or_else(|| self.server.fail(&format!("{name} is not {wanted}")));
    }

    /// Makes this replica apply what it receives that much later than it was committed.
    pub fn set_apply_delay(&self, delay: Duration) {
        self.set("recovery_min_apply_delay", &format!("{}ms", delay.as_millis()));
    }

    /// Makes this replica stop to apply, while it goes on to receive.
    pub fn pause_replay(&self) {
        self.execute("SELECT pg_wal_replay_pause()");
        eventually(|| {
            (self.query_one_text("SELECT pg_get_wal_replay_pause_state()") == "paused").then_some(())
        })
        .unwrap_or_else(|| self.server.fail("it does not pause its replay"));
    }

    /// Lets this replica apply again.
    pub fn resume_replay(&self) {
        self.execute("SELECT pg_wal_replay_resume()");
    }

    /// Makes this replica a primary, and waits until it takes writes.
    pub fn promote(&self) {
        self.execute("SELECT pg_promote(wait => false)");
        eventually(|| (self.query_one_text("SELECT pg_is_in_recovery()") == "f").then_some(()))
            .unwrap_or_else(|| self.server.fail("it does not become a primary"));
    }

    /// Makes this replica receive from another primary: after a failover, or a restart of one.
    pub fn follow(&self, primary: &Self) {
        let name = self.query_one_text(
            "SELECT substring(current_setting('primary_conninfo') from 'application_name=(.*)')",
        );
        self.set("primary_conninfo", &settings::connection(primary.port, &name));
        primary.await_streaming(&name, "streaming");
    }

    /// How far this replica has applied the log.
    #[must_use]
    pub fn replay_position(&self) -> u64 {
        let position = self.query_one_text("SELECT pg_last_wal_replay_lsn() - '0/0'");
        position.parse().unwrap_or_else(|_| self.server.fail("it has not replayed anything"))
    }

    /// How far this primary has written the log.
    #[must_use]
    pub fn position(&self) -> u64 {
        let position = self.query_one_text("SELECT pg_current_wal_lsn() - '0/0'");
        position.parse().unwrap_or_else(|_| self.server.fail("it has not written anything"))
    }

    /// Waits until this replica has applied what the primary has written by the time of the call.
    pub fn wait_until_caught_up(&self, primary: &Self) {
        let position = primary.position();
        eventually(|| (self.replay_position() >= position).then_some(()))
            .unwrap_or_else(|| self.server.fail("it does not catch up"));
    }
}
