//! The bounds of a topology of servers.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use phalanx_shard::map::Placement;

use crate::ServerSettings;

/// How servers are connected to, watched and chosen.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The connections to each server; the URL in it is replaced by the server's.
    pub connections: ServerSettings,
    /// How rows get their bucket.
    pub placement: Placement,
    /// How often a server is asked what it is and how far; jittered.
    pub probe_period: Duration,
    /// The same while a shard has no primary.
    pub search_period: Duration,
    /// How long a server may take to answer.
    pub probe_timeout: Duration,
    /// Answers in a row until a server that failed is used again.
    pub rise: NonZeroU32,
    /// Probes that fail in a row until a server is not used.
    pub fall: NonZeroU32,
    /// A replica is used while what it replayed last is no older, or
    pub lag_age_max: Duration,
    /// while it lacks no more of the primary's log.
    pub lag_bytes_max: u64,
    /// Reads for which no replica is far enough may go to the primary as so many percent of the reads that ask for a position,
    pub fallback_percent_max: u8,
    /// and so many a second besides,
    pub fallbacks_per_second: u32,
    /// of which so many are kept for when they are needed at once.
    pub fallbacks_kept_max: u32,
    /// How long such a read waits for a replica when that is used up.
    pub replica_wait_max: Duration,
    /// How long a statement waits for a primary to be found, and a write for a bucket that is about to move.
    pub primary_wait_max: Duration,
    /// How often a shard, another one each time, is asked for the version of its map of buckets; jittered. So a change that all
    /// shards know goes unnoticed for no longer, and one that some know for that times the number of shards; a write or a
    /// position that is newer than the map is noticed at once.
    pub map_period: Duration,
    /// How often a transaction is run in all when others are in its way.
    pub transaction_attempts_max: NonZeroU32,
    /// A statement that takes longer is logged.
    pub slow_statement_min: Duration,
    /// Between two plans that are taken of slow statements.
    pub plan_period: Duration,
    /// Names of statements that are counted apart; the rest is counted as one.
    pub statement_names_max: NonZeroUsize,
    /// Whether reads that would have been stale are looked for.
    pub detector: Detector,
}

/// Whether a read with eventual consistency, in a [`Session`](crate::Session) that wrote a moment ago, is tried for staleness.
/// It costs such reads a second statement, so it is for development.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detector {
    /// No.
    Off,
    /// Yes, for so long after a write.
    On {
        /// What "a moment ago" is.
        window: Duration,
    },
}

impl Settings {
    /// As most want it.
    #[must_use]
    pub fn new() -> Self {
        let nonzero = |number| NonZeroU32::new(number).expect("the literals below are not zero");
        Self {
            connections: ServerSettings::new(""),
            placement: Placement::Hashed,
            probe_period: Duration::from_secs(1),
            search_period: Duration::from_millis(100),
            probe_timeout: Duration::from_secs(1),
            rise: nonzero(1),
            fall: nonzero(2),
            // As GitLab has it.
            lag_age_max: Duration::from_secs(60),
            lag_bytes_max: 8 << 20,
            fallback_percent_max: 20,
            fallbacks_per_second: 10,
            fallbacks_kept_max: 100,
            replica_wait_max: Duration::from_secs(2),
            primary_wait_max: Duration::from_secs(5),
            map_period: Duration::from_secs(1),
            transaction_attempts_max: nonzero(5),
            slow_statement_min: Duration::from_millis(200),
            plan_period: Duration::from_secs(60),
            statement_names_max: NonZeroUsize::new(512).expect("512 is not zero"),
            detector: Detector::Off,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}
