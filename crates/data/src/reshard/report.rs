//! What a resharding tells while it runs, and what is stored of it.

use std::{fmt, time::Duration};

use phalanx_shard::{
    Bucket,
    map::ShardId,
    plan::Move,
    reshard::{Direction, Reason, Stage},
};

/// How far a resharding is. Counts of rows are estimates until rows are verified.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Where it is.
    pub stage: Stage,
    /// Where it goes.
    pub direction: Direction,
    /// Why it is in this stage still, or leaves it.
    pub reason: Reason,
    /// What moves.
    pub moves: Vec<Move>,
    /// The copies of the tables, by move and name; empty before the copy, and in a run that began after it.
    pub tables: Vec<TableProgress>,
    /// What the streams have yet to bring, all together, in bytes of log.
    pub lag_bytes: u64,
    /// For how long writes of the moving buckets have been paused.
    pub paused: Duration,
    /// What has been compared.
    pub verified: Verified,
    /// Rows deleted where they do not belong any more.
    pub rows_deleted: u64,
    /// What is left of the soak.
    pub soak_left: Duration,
    /// What was found that made it go back, or that keeps it from going on.
    pub fault: Option<Fault>,
    /// What is in the way at the moment and may go by itself: a lock, a server that does not answer.
    pub trouble: Option<String>,
}

/// The copy of one table from one shard to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableProgress {
    /// Schema and name.
    pub table: String,
    /// From where.
    pub source: ShardId,
    /// To where.
    pub target: ShardId,
    /// Rows that have arrived.
    pub rows_copied: u64,
    /// Rows to move, by the statistics of the source; never below those copied.
    pub rows_all: u64,
}

/// What has been compared between sources and targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Buckets of tables: two for a bucket whose rows are in two tables.
    pub buckets: u64,
    /// How many there are to compare.
    pub buckets_all: u64,
    /// Rows of these buckets on the sources.
    pub rows: u64,
    /// Rows that were looked at one by one, since their bucket was written to meanwhile.
    pub rows_again: u64,
    /// Of these, rows that changed too often to be seen at rest.
    pub rows_restless: u64,
    /// Rows that were read on both sides by their keys.
    pub rows_read: u64,
}

/// What a resharding cannot go on with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A row is not the same on both sides, or missing on one.
    RowDiffers {
        /// The table.
        table: String,
        /// The values of its primary key.
        key: Vec<String>,
        /// The bucket's old owner.
        source: ShardId,
        /// The bucket's new owner.
        target: ShardId,
    },
    /// A stream of changes is lost, and with it what changed since.
    StreamLost {
        /// Where it came from.
        publisher: ShardId,
        /// Where it led.
        subscriber: ShardId,
        /// What is missing of it.
        missing: &'static str,
    },
    /// A copy fails time and again; the server's log says why.
    CopyFails {
        /// The shard that is copied from.
        publisher: ShardId,
        /// The shard that copies, in whose log it stands.
        subscriber: ShardId,
        /// How often.
        errors: u64,
    },
    /// A shard has failed over since the streams began.
    FailedOver {
        /// The shard.
        shard: ShardId,
    },
    /// A bucket moves that is not where it has to be.
    NotOwner {
        /// The shard.
        shard: ShardId,
        /// The first such bucket.
        bucket: Bucket,
    },
    /// A server refused a statement.
    Refused {
        /// The error with its causes.
        error: String,
    },
    /// As an earlier run of the executor stored it.
    Stored {
        /// Its text.
        text: String,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RowDiffers { table, key, source, target } => {
                let key = key.join(", ");
                write!(formatter, "row ({key}) of {table} differs between shard {source} and shard {target}")
            }
            Self::StreamLost { publisher, subscriber, missing } => {
                write!(
                    formatter,
                    "the stream from shard {publisher} to shard {subscriber} has lost its {missing}"
                )
            }
            Self::CopyFails { publisher, subscriber, errors } => write!(
                formatter,
                "copying from shard {publisher} to shard {subscriber} has failed {errors} times: the log of shard {subscriber} says why"
            ),
            Self::FailedOver { shard } => {
                write!(formatter, "shard {shard} has failed over since the streams began")
            }
            Self::NotOwner { shard, bucket } => {
                write!(
                    formatter,
                    "bucket {bucket} is not as it has to be in shard {shard}: somebody changed the map"
                )
            }
            Self::Refused { error } => formatter.write_str(error),
            Self::Stored { text } => formatter.write_str(text),
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The buckets have moved.
    Done,
    /// They are where they were.
    Aborted,
    /// It was told to stop, in this stage; another run goes on from there.
    Stopped(Stage),
}

/// What is stored of a resharding: the one under way, or the last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Where it is.
    pub stage: Stage,
    /// Where it goes.
    pub direction: Direction,
    /// The shards from 1 to this number hold everything in the end.
    pub shards_to: u16,
    /// What moves.
    pub moves: Vec<Move>,
    /// The epoch of the map that it began with.
    pub epoch_from: u64,
    /// How long it serves from the targets before the sources are cleaned up.
    pub soak: Duration,
    /// How long ago it began.
    pub age: Duration,
    /// How long it has been in its stage.
    pub stage_age: Duration,
    /// What made it go back, if something was found.
    pub fault: Option<String>,
    /// Whether it has ended.
    pub is_over: bool,
}
