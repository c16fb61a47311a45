//! Why a resharding is refused or stops. Each names the server, what is wrong, and what to do.

use phalanx_shard::plan::PlanError;

use crate::ConnectError;

/// Why a resharding cannot begin, go on, or be asked for something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReshardError {
    /// The environment names fewer shards than there are to be, or than hold buckets.
    #[error(
        "{wanted} shards are needed and {named} are named: set `DATABASE_SHARD_{wanted}_PRIMARY` and those before it"
    )]
    ShardsMissing {
        /// The number of the last shard that is needed.
        wanted: u16,
        /// How many are named.
        named: usize,
    },
    /// The shards asked for cannot hold the buckets.
    #[error("the buckets cannot be spread so")]
    Plan(#[from] PlanError),
    /// The buckets are spread like that already.
    #[error("shards 1 to {shards} hold the buckets evenly already: there is nothing to move")]
    NothingToMove {
        /// How many shards.
        shards: u16,
    },
    /// Nothing is under way that could be resumed, asked back or finished.
    #[error("no resharding is under way: begin one with `phalanx data reshard --to N`")]
    NotUnderWay,
    /// Another resharding has not ended.
    #[error(
        "a resharding to {under_way} shards is under way ({stage}): let it end, or ask it back, before one to {wanted}"
    )]
    Another {
        /// To how many shards it leads.
        under_way: u16,
        /// Where it is.
        stage: String,
        /// To how many shards this one would lead.
        wanted: u16,
    },
    /// The stage does not allow it any more.
    #[error("it is too late to go back: the resharding is in the stage `{stage}`")]
    TooLate {
        /// The stage.
        stage: String,
    },
    /// Another process has a resharding of these shards in hand.
    #[error("another process runs the resharding (shard {shard}, {server}): wait for it, or end it")]
    Busy {
        /// The shard whose lock it holds.
        shard: u16,
        /// The server.
        server: String,
    },
    /// No server of a shard takes writes.
    #[error("shard {shard} has no primary that can be reached")]
    Connect {
        /// The shard.
        shard: u16,
        /// How the last of its servers failed; none where all are standbys.
        source: Option<ConnectError>,
    },
    /// A pooler stands before the servers.
    #[error("a resharding needs sessions of its own: name the servers themselves, not a pooler")]
    Pooler,
    /// The server is older than what the streams need.
    #[error(
        "{server} runs PostgreSQL {found}: a resharding needs version 15 or newer for the row filters of its streams"
    )]
    TooOld {
        /// The server.
        server: String,
        /// Its version.
        found: String,
    },
    /// The server's log does not tell rows.
    #[error("{server} has wal_level = {found}: set wal_level = logical and restart it")]
    WalLevel {
        /// The server.
        server: String,
        /// What it is.
        found: String,
    },
    /// A parameter of the server is too small for the streams.
    #[error(
        "{server} has {parameter} = {found}, of which {used} are taken: set it to at least {wanted} and restart it"
    )]
    Parameter {
        /// The server.
        server: String,
        /// The parameter's name.
        parameter: &'static str,
        /// What it is.
        found: i64,
        /// How much of it others use.
        used: i64,
        /// What it has to be.
        wanted: i64,
    },
    /// The user may not do it.
    #[error(
        "user `{user}` of {server} is no superuser, which a resharding needs for subscriptions: name one in the URL for as long as it takes"
    )]
    NotSuperuser {
        /// The server.
        server: String,
        /// The user.
        user: String,
    },
    /// A shard has not the tables of this version.
    #[error(
        "shard {shard} ({server}) lacks migrations or has no map of buckets: run `phalanx data migrate` first"
    )]
    NotMigrated {
        /// The shard.
        shard: u16,
        /// The server.
        server: String,
    },
    /// A shard is another one than the environment says.
    #[error(
        "{server} is shard {found} by its own word and shard {shard} by its variable: correct the variables"
    )]
    OtherShard {
        /// The shard by its variable.
        shard: u16,
        /// The shard by its tables.
        found: u16,
        /// The server.
        server: String,
    },
    /// The shards do not agree who owns what.
    #[error(
        "shards {first} and {second} hold different maps of buckets (epochs {first_epoch} and {second_epoch}): a resharding begins where they agree"
    )]
    MapsDiffer {
        /// One.
        first: u16,
        /// Its epoch.
        first_epoch: u64,
        /// Another.
        second: u16,
        /// Its epoch.
        second_epoch: u64,
    },
    /// A fenced table cannot be moved as it is.
    #[error("table {table} of {server} {fault}")]
    Table {
        /// The server.
        server: String,
        /// The table.
        table: String,
        /// What is wrong with it and what to do.
        fault: &'static str,
    },
    /// No table is fenced, or two shards have different ones.
    #[error("{server} has other fenced tables than {other}: run `phalanx data migrate` on both")]
    TablesDiffer {
        /// A server.
        server: String,
        /// Another.
        other: String,
    },
    /// A bucket that is to be cleared away is owned where it would be.
    #[error("{server} owns buckets whose rows were to be deleted there: nothing was deleted")]
    OwnedHere {
        /// The server.
        server: String,
    },
    /// What is stored of the resharding cannot be read.
    #[error("{server} has a `phalanx.reshard` that this version cannot read: {fault}")]
    Stored {
        /// The server.
        server: String,
        /// What is wrong with it.
        fault: String,
    },
    /// Somebody else changed the stage.
    #[error("the stored stage is not `{expected}` any more: another process has gone on with the resharding")]
    Superseded {
        /// What this process knew.
        expected: String,
    },
    /// A step took longer than it may while writes are paused.
    #[error("cannot {action}: {server} does not answer")]
    Stalled {
        /// What was tried.
        action: &'static str,
        /// The server, or several.
        server: String,
    },
    /// A statement failed.
    #[error("cannot {action} on {server}")]
    Statement {
        /// What was tried.
        action: &'static str,
        /// The server.
        server: String,
        /// What it said.
        source: tokio_postgres::Error,
    },
}

impl ReshardError {
    /// Whether the same may succeed by itself a little later: a server that is away, a lock that somebody holds.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Stalled { .. } => true,
            Self::Statement { source, .. } => source.code().is_none_or(|code| passes(code.code())),
            _ => false,
        }
    }

    /// Whether this process is not, or not any more, the one that may act.
    pub(super) fn is_anothers(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Superseded { .. } | Self::Stored { .. })
    }

    /// Itself and its causes in one line, for a stored fault.
    pub(super) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        text
    }
}

/// Classes 08 (connection), 40 (rolled back), 53 (no room) and 57 (operator), a lock that was not to be had in time, and an object that
/// is in use.
fn passes(code: &str) -> bool {
    ["08", "40", "53", "57"].iter().any(|class| code.starts_with(class))
        || matches!(code, "55P03" | "55006" | "25P03")
}
