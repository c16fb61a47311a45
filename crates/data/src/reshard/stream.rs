//! A stream of changes from one shard to another: a publication with a row filter and a slot on the one, a subscription on the
//! other.
//!
//! The slot is made by itself, and not by the subscription: so it is there once however often it is asked for, and the two shards may be
//! databases of one cluster, where the subscription would wait for itself.
//! Everything here looks first whether it is there, or gone, already.
//! Elsewhere: the replica identities that the row filter needs (`undo`), when which stream runs (`stages`).

use phalanx_shard::{BucketSet, map::ShardId};

use super::{Fault, ReshardError, filter::literal, session::Session, tables::Table};

/// Errors of a copy after which it does not succeed by itself: more than a restart of the publisher makes. Between two, PostgreSQL waits
/// for `wal_retrieve_retry_interval`, five seconds unless set otherwise.
const COPY_ERRORS_MAX: u64 = 30;

/// Which stream; its two ends are the sessions.
pub(super) struct Stream<'a> {
    pub(super) publisher: &'a Session,
    pub(super) subscriber: &'a Session,
    pub(super) buckets: &'a BucketSet,
}

/// Whether the subscription begins with what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    /// With a copy of all rows.
    WithCopy,
    /// With the first change after the slot was made.
    Changes,
}

/// How a stream does.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Health {
    Lost(Fault),
    Whole { confirmed: u64, lag_bytes: u64 },
}

impl Stream<'_> {
    /// The name of publication and subscription; that of the slot tells databases of a cluster apart.
    fn name(&self) -> String {
        format!("phalanx_reshard_{}_{}", self.publisher.shard, self.subscriber.shard)
    }

    fn slot(&self) -> String {
        format!("{}_{}", self.name(), self.publisher.database)
    }

    /// Publishes the moving rows of all tables.
    pub(super) async fn publish(&self, tables: &[Table]) -> Result<(), ReshardError> {
        let action = "create the publication";
        let there = "SELECT 1 FROM pg_publication WHERE pubname = $1";
        if self.publisher.optional(action, there, &[&self.name()]).await?.is_some() {
            return Ok(());
        }
        let filtered: Vec<String> = tables
            .iter()
            .map(|table| format!("{} WHERE ({})", table.name, table.filter(self.buckets)))
            .collect();
        let text = format!(
            "CREATE PUBLICATION {} FOR TABLE {} WITH (publish = 'insert, update, delete')",
            self.name(),
            filtered.join(", ")
        );
        self.publisher.execute(action, &text).await
    }

    /// Makes the slot. Waits for the transactions that run, for as long as one waits for a lock.
    pub(super) async fn hold(&self) -> Result<(), ReshardError> {
        let action = "create the replication slot";
        let there = "SELECT 1 FROM pg_replication_slots WHERE slot_name = $1";
        if self.publisher.optional(action, there, &[&self.slot()]).await?.is_some() {
            return Ok(());
        }
        let text = "SELECT pg_create_logical_replication_slot($1, 'pgoutput')::text";
        self.publisher.one(action, text, &[&self.slot()]).await.map(drop)
    }

    /// Whether the slot can be streamed from: one that is being made waits for transactions still.
    pub(super) async fn is_held(&self) -> Result<bool, ReshardError> {
        let text =
            "SELECT 1 FROM pg_replication_slots WHERE slot_name = $1 AND confirmed_flush_lsn IS NOT NULL";
        Ok(self.publisher.optional("look for the slot", text, &[&self.slot()]).await?.is_some())
    }

    /// Moves the slot on to the end of the log: what is there has come from the subscriber itself.
    pub(super) async fn skip_to_end(&self) -> Result<(), ReshardError> {
        let text = "SELECT pg_replication_slot_advance($1, pg_current_wal_insert_lsn())::text";
        self.publisher.one("advance the replication slot", text, &[&self.slot()]).await.map(drop)
    }

    /// Subscribes. The server's log keeps no statement with a password in it.
    pub(super) async fn subscribe(&self, begin: Begin) -> Result<(), ReshardError> {
        let action = "create the subscription";
        if self.is_subscribed().await? {
            return Ok(());
        }
        let quiet = "SET log_statement = 'none'; SET log_min_error_statement = 'panic'; SET log_min_duration_statement = -1";
        self.subscriber.execute(action, quiet).await?;
        let text = format!(
            "CREATE SUBSCRIPTION {name} CONNECTION {conninfo} PUBLICATION {name}
             WITH (create_slot = false, slot_name = {slot}, copy_data = {copy})",
            name = self.name(),
            conninfo = literal(&self.publisher.conninfo),
            slot = literal(&self.slot()),
            copy = begin == Begin::WithCopy,
        );
        self.subscriber.execute(action, &text).await
    }

    pub(super) async fn is_subscribed(&self) -> Result<bool, ReshardError> {
        let text = "SELECT 1 FROM pg_subscription WHERE subname = $1 AND subdbid = $2";
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 2] =
            [&self.name(), &self.subscriber.database];
        Ok(self.subscriber.optional("look for the subscription", text, &values).await?.is_some())
    }

    /// Whether all of it is there, and how far it is.
    pub(super) async fn health(&self) -> Result<Health, ReshardError> {
        let lost = |missing| {
            let (publisher, subscriber) = (self.publisher.shard, self.subscriber.shard);
            Ok(Health::Lost(Fault::StreamLost { publisher, subscriber, missing }))
        };
        let action = "look at the stream";
        let text = "SELECT (confirmed_flush_lsn - '0/0')::int8,
                           greatest(pg_current_wal_insert_lsn() - confirmed_flush_lsn, 0)::int8,
                           coalesce(wal_status, 'lost') = 'lost',
                           EXISTS (SELECT FROM pg_publication WHERE pubname = $2)
                      FROM pg_replication_slots WHERE slot_name = $1";
        let Some(row) = self.publisher.optional(action, text, &[&self.slot(), &self.name()]).await? else {
            return lost("replication slot");
        };
        if row.get(2) {
            return lost("log, which the server keeps no longer (max_slot_wal_keep_size)");
        }
        if !row.get::<_, bool>(3) {
            return lost("publication");
        }
        let text = "SELECT subenabled FROM pg_subscription WHERE subname = $1 AND subdbid = $2";
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 2] =
            [&self.name(), &self.subscriber.database];
        match self.subscriber.optional(action, text, &values).await? {
            None => lost("subscription"),
            Some(subscription) if !subscription.get::<_, bool>(0) => lost("subscription, which is disabled"),
            Some(_) => {
                let number = |index| row.get::<_, Option<i64>>(index).unwrap_or_default().cast_unsigned();
                Ok(Health::Whole { confirmed: number(0), lag_bytes: number(1) })
            }
        }
    }

    /// What is missing of it, if anything is.
    pub(super) async fn lost(&self) -> Result<Option<Fault>, ReshardError> {
        Ok(match self.health().await? {
            Health::Lost(fault) => Some(fault),
            Health::Whole { .. } => None,
        })
    }

    /// Whether the copies of all tables are there, or why they will not be.
    pub(super) async fn is_copied(&self) -> Result<Result<bool, Fault>, ReshardError> {
        let text = "SELECT NOT EXISTS (SELECT FROM pg_subscription_rel WHERE srsubid = subscription.oid AND srsubstate <> 'r'),
                           (SELECT sync_error_count FROM pg_stat_subscription_stats AS stats WHERE stats.subid = subscription.oid)
                      FROM pg_subscription AS subscription WHERE subname = $1 AND subdbid = $2";
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 2] =
            [&self.name(), &self.subscriber.database];
        let row = self.subscriber.one("look at the copies", text, &values).await?;
        let errors = row.get::<_, Option<i64>>(1).unwrap_or_default().cast_unsigned();
        let (publisher, subscriber) = (self.publisher.shard, self.subscriber.shard);
        match (row.get::<_, bool>(0), errors) {
            (true, _) => Ok(Ok(true)),
            (false, errors) if errors >= COPY_ERRORS_MAX => {
                Ok(Err(Fault::CopyFails { publisher, subscriber, errors }))
            }
            (false, _) => Ok(Ok(false)),
        }
    }

    /// By table: rows that have arrived, while they do, and rows to come by the publisher's statistics.
    pub(super) async fn copied(&self, tables: &[Table]) -> Result<Vec<(String, u64, u64)>, ReshardError> {
        let action = "look at the copies";
        let share = "SELECT relation::text, greatest(reltuples, 0)::float8 FROM phalanx.fenced_tables
                       JOIN pg_class ON oid = relation";
        let estimates = self.publisher.rows(action, share, &[]).await?;
        let owned = "SELECT greatest(count(*), 1)::float8 FROM phalanx.buckets WHERE here";
        let owned: f64 = self.publisher.one(action, owned, &[]).await?.get(0);
        let text = "SELECT srrelid::regclass::text, srsubstate IN ('f', 's', 'r'),
                           (SELECT tuples_processed FROM pg_stat_progress_copy WHERE relid = srrelid AND datid = $2)
                      FROM pg_subscription_rel JOIN pg_subscription AS subscription ON subscription.oid = srsubid
                     WHERE subname = $1 AND subdbid = $2";
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 2] =
            [&self.name(), &self.subscriber.database];
        let arrived = self.subscriber.rows(action, text, &values).await?;
        let moving = f64::from(u16::try_from(self.buckets.len()).unwrap_or(u16::MAX));
        let progress = tables.iter().map(|table| {
            let name = table.name.as_str();
            let of = estimates.iter().find(|row| row.get::<_, &str>(0) == name);
            let all = of.map_or(0, |row| rounded(row.get::<_, f64>(1) * moving / owned));
            let row = arrived.iter().find(|row| row.get::<_, &str>(0) == name);
            let copied = row.map_or(0, |row| match row.get(1) {
                true => all,
                false => row.get::<_, Option<i64>>(2).unwrap_or_default().cast_unsigned(),
            });
            (table.name.clone(), copied, all.max(copied))
        });
        Ok(progress.collect())
    }

    /// Takes the stream away. Answers whether all of it is gone; a slot goes when its last reader has.
    pub(super) async fn drop(&self) -> Result<bool, ReshardError> {
        if self.is_subscribed().await? {
            // Parted from its slot, it goes within a transaction and without asking the publisher, who may be away.
            let text = format!(
                "ALTER SUBSCRIPTION {name} DISABLE;
                 ALTER SUBSCRIPTION {name} SET (slot_name = NONE);
                 DROP SUBSCRIPTION {name}",
                name = self.name()
            );
            self.subscriber.execute("drop the subscription", &text).await?;
        }
        let action = "drop the replication slot";
        let text = "SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1";
        if let Some(row) = self.publisher.optional(action, text, &[&self.slot()]).await? {
            if let Some(reader) = row.get::<_, Option<i32>>(0) {
                self.publisher.one(action, "SELECT pg_terminate_backend($1)", &[&reader]).await?;
                return Ok(false);
            }
            self.publisher.one(action, "SELECT pg_drop_replication_slot($1)::text", &[&self.slot()]).await?;
        }
        let text = format!("DROP PUBLICATION IF EXISTS {}", self.name());
        self.publisher.execute("drop the publication", &text).await?;
        Ok(true)
    }
}

/// The end of a shard's log, with a record behind it: a stream that is past it has brought all that was committed before.
pub(super) async fn mark(publisher: &Session) -> Result<u64, ReshardError> {
    let action = "mark the end of the log";
    let text = "SELECT (pg_current_wal_insert_lsn() - '0/0')::int8";
    let end = publisher.one(action, text, &[]).await?.get::<_, i64>(0).cast_unsigned();
    // The log of an idle server ends at what a stream has confirmed or a page's header behind it; one more record settles it.
    let text = "SELECT pg_logical_emit_message(true, 'phalanx', '')::text";
    publisher.one(action, text, &[]).await?;
    Ok(end)
}

/// The shards at the ends of a stream: where it comes from and where it leads.
pub(super) fn ends(source: ShardId, target: ShardId, way: Way) -> (ShardId, ShardId) {
    match way {
        Way::There => (source, target),
        Way::Back => (target, source),
    }
}

/// From the old owners to the new ones, or the other way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    There,
    Back,
}

impl Way {
    pub(super) fn reversed(self) -> Self {
        match self {
            Self::There => Self::Back,
            Self::Back => Self::There,
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate that is never negative"
)]
fn rounded(estimate: f64) -> u64 {
    estimate.round() as u64
}
