//! Whether the servers of a topology are what it says they are, when it is opened.
//!
//! Whatever a server says of itself that no waiting mends is refused: a wrong password, another cluster, two shards that are one
//! database. A replica that is down is not: it is watched, and used when it comes. A shard without a primary is refused, since
//! nothing could be written and nobody would be told.

use std::sync::Arc;

use crate::{
    ConnectError, Kind,
    backend::{Probe, Role},
};

/// Why a topology cannot be opened.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A server cannot be used as it is configured.
    #[error("shard {shard} cannot be opened")]
    Server {
        /// The shard's number.
        shard: u16,
        /// The server, and what is wrong with it.
        source: ConnectError,
    },
    /// None of a shard's servers takes writes.
    #[error(
        "shard {shard} has no primary: none of {servers} takes writes; promote one of them, or correct the shard's variables"
    )]
    NoPrimary {
        /// The shard's number.
        shard: u16,
        /// Its servers that answered.
        servers: String,
    },
    /// The shard's primary cannot be reached, and none of its replicas has taken over.
    #[error("shard {shard} has no primary: {server} cannot be reached, and no replica has been promoted")]
    PrimaryUnreachable {
        /// The shard's number.
        shard: u16,
        /// The server.
        server: String,
        /// Why.
        source: ConnectError,
    },
    /// A replica is a copy of something else.
    #[error(
        "{server} is no replica of {primary} (shard {shard}): it is a copy of another database; make it anew with pg_basebackup, or take it out"
    )]
    NotAReplica {
        /// The shard's number.
        shard: u16,
        /// The server.
        server: String,
        /// The shard's primary.
        primary: String,
    },
    /// Two servers of a shard take writes and neither was promoted after the other.
    #[error(
        "{first} and {second} (shard {shard}) both take writes on timeline {timeline}: one of them has to become a replica, or be taken out"
    )]
    TwoPrimaries {
        /// The shard's number.
        shard: u16,
        /// One.
        first: String,
        /// The other.
        second: String,
        /// The timeline of both.
        timeline: u32,
    },
    /// Two shards are the same database.
    #[error(
        "shards {first} and {second} are the same database ({first_server}, {second_server}): rows would be there twice; correct one of them"
    )]
    SameDatabase {
        /// The one's number.
        first: u16,
        /// Its primary.
        first_server: String,
        /// The other's number.
        second: u16,
        /// Its primary.
        second_server: String,
    },
}

impl StartError {
    /// Whether a variable is wrong, or a file that it names: no server was asked anything then.
    #[must_use]
    pub fn is_setting(&self) -> bool {
        match self {
            Self::Server { source, .. } | Self::PrimaryUnreachable { source, .. } => source.is_setting(),
            Self::NoPrimary { .. }
            | Self::NotAReplica { .. }
            | Self::TwoPrimaries { .. }
            | Self::SameDatabase { .. } => false,
        }
    }
}

/// What a server answered when the topology was opened.
pub(crate) struct Answer {
    pub(crate) server: Arc<str>,
    pub(crate) outcome: Result<Probe, ConnectError>,
}

/// What a server said that a start may go on with, and somebody should know.
#[derive(Debug)]
pub(crate) enum Notice {
    /// A replica cannot be reached.
    Down { server: Arc<str>, error: ConnectError },
    /// It takes writes, and another was promoted after it.
    Superseded { server: Arc<str> },
    /// Another than the one that was named as the primary takes writes.
    Promoted { server: Arc<str> },
}

/// The primary of a shard, for the comparison with others.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    shard: u16,
    server: Arc<str>,
    system_identifier: i64,
    database: String,
}

/// Judges the servers of one shard, of which the first was named as the primary.
pub(crate) fn judge(shard: u16, answers: &[Answer]) -> Result<(Identity, Vec<Notice>), StartError> {
    let mut notices = Vec::new();
    for answer in answers {
        if let Err(error) = &answer.outcome {
            if !may_pass(error) {
                return Err(StartError::Server { shard, source: error.clone() });
            }
            notices.push(Notice::Down { server: Arc::clone(&answer.server), error: error.clone() });
        }
    }
    let known = || answers.iter().filter_map(|answer| Some((&answer.server, answer.outcome.as_ref().ok()?)));
    let primaries = || known().filter(|(_, probe)| probe.role == Role::Primary);
    // The first that was named settles which cluster the shard is; it may be down, or have been demoted.
    let Some((first, origin)) = primaries().next() else { return Err(no_primary(shard, answers)) };
    for (server, probe) in known() {
        if probe.system_identifier != origin.system_identifier || probe.database != origin.database {
            let (server, primary) = (server.to_string(), first.to_string());
            return Err(StartError::NotAReplica { shard, server, primary });
        }
    }
    let timeline = known().map(|(_, probe)| probe.timeline).max().unwrap_or_default();
    let mut current = primaries().filter(|(_, probe)| probe.timeline == timeline);
    let primary = match (current.next(), current.next()) {
        (Some((first, _)), Some((second, _))) => {
            let (first, second) = (first.to_string(), second.to_string());
            return Err(StartError::TwoPrimaries { shard, first, second, timeline });
        }
        (Some((primary, _)), None) => primary,
        (None, _) => return Err(no_primary(shard, answers)),
    };
    notices.extend(
        primaries()
            .filter(|(_, probe)| probe.timeline < timeline)
            .map(|(server, _)| Notice::Superseded { server: Arc::clone(server) }),
    );
    if answers.first().is_some_and(|answer| answer.server != *primary) {
        notices.push(Notice::Promoted { server: Arc::clone(primary) });
    }
    let server = Arc::clone(primary);
    let (system_identifier, database) = (origin.system_identifier, origin.database.clone());
    Ok((Identity { shard, server, system_identifier, database }, notices))
}

fn no_primary(shard: u16, answers: &[Answer]) -> StartError {
    match answers.first() {
        Some(Answer { server, outcome: Err(source) }) => {
            StartError::PrimaryUnreachable { shard, server: server.to_string(), source: source.clone() }
        }
        _ => {
            let servers: Vec<&str> = answers.iter().map(|answer| &*answer.server).collect();
            StartError::NoPrimary { shard, servers: servers.join(", ") }
        }
    }
}

/// Whether no two of them are one database. Two databases of one cluster may be two shards.
pub(crate) fn all_distinct(identities: &[Identity]) -> Result<(), StartError> {
    for (index, second) in identities.iter().enumerate() {
        let same = |first: &&Identity| {
            first.system_identifier == second.system_identifier && first.database == second.database
        };
        if let Some(first) = identities[..index].iter().find(same) {
            return Err(StartError::SameDatabase {
                first: first.shard,
                first_server: first.server.to_string(),
                second: second.shard,
                second_server: second.server.to_string(),
            });
        }
    }
    Ok(())
}

/// Whether a fault may have gone by the next attempt, without anybody changing the configuration.
fn may_pass(error: &ConnectError) -> bool {
    match error {
        ConnectError::Unreachable { .. }
        | ConnectError::Timeout { .. }
        | ConnectError::TooManyConnections { .. }
        | ConnectError::NotReady { .. } => true,
        ConnectError::Unanswered { source, .. } => source.verdict().kind != Kind::Fault,
        ConnectError::Url { .. }
        | ConnectError::Certificates { .. }
        | ConnectError::Password { .. }
        | ConnectError::Forbidden { .. }
        | ConnectError::NoDatabase { .. }
        | ConnectError::TlsRequired { .. }
        | ConnectError::NoTls { .. }
        | ConnectError::Untrusted { .. }
        | ConnectError::TooOld { .. }
        | ConnectError::Other { .. }
        | ConnectError::Closed { .. } => false,
    }
}
