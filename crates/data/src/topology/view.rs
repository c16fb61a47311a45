//! What is known of a shard's servers at the moment, as one immutable snapshot.

use std::{sync::Arc, time::Duration};

use phalanx_balance::{Share, Weight, algorithm::Candidates};
use phalanx_shard::{
    Lsn,
    read::{Candidate, Lag, Moment, Standing},
};

use super::{
    member::{Member, Progress},
    survey::{Conclusion, Fitness},
};
use crate::{ShardId, backend::ServerConnections};

/// A shard's servers with what each is good for.
pub(crate) struct View {
    /// Who takes writes.
    pub(crate) primary: Option<Arc<Member>>,
    /// The timeline of those writes.
    pub(crate) timeline: u32,
    /// Who answers reads, those that are too far behind among them.
    pub(crate) replicas: Vec<Replica>,
    /// Every server, in the order of the topology.
    pub(crate) servers: Vec<Server>,
}

/// A replica that answers reads, or would if it were nearer.
pub(crate) struct Replica {
    pub(crate) member: Arc<Member>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) lag: Option<Lag>,
    /// Whether it is within the bounds on lag.
    pub(crate) is_near: bool,
}

/// One server, whatever it is good for.
pub(crate) struct Server {
    pub(crate) member: Arc<Member>,
    pub(crate) fitness: Fitness,
    pub(crate) lag_bytes: Option<u64>,
    pub(crate) lag_age: Option<Duration>,
    pub(crate) connections: Option<ServerConnections>,
    progress: Option<Arc<Progress>>,
}

impl View {
    /// A view of servers that have not been asked.
    pub(crate) fn unknown(members: &[Arc<Member>]) -> Self {
        let server = |member: &Arc<Member>| Server {
            member: Arc::clone(member),
            fitness: Fitness::Unknown,
            lag_bytes: None,
            lag_age: None,
            connections: None,
            progress: None,
        };
        Self {
            primary: None,
            timeline: 0,
            replicas: Vec::new(),
            servers: members.iter().map(server).collect(),
        }
    }

    /// The view after a conclusion about the same servers.
    pub(crate) fn next(&self, conclusion: &Conclusion) -> Self {
        let servers: Vec<Server> = self
            .servers
            .iter()
            .zip(&conclusion.servers)
            .map(|(before, judgement)| Server {
                member: Arc::clone(&before.member),
                fitness: judgement.fitness,
                lag_bytes: judgement.lag_bytes,
                lag_age: judgement.lag_age,
                connections: judgement.connections,
                progress: judgement
                    .replayed
                    .map(|replayed| before.progressed(replayed.timeline, replayed.lsn)),
            })
            .collect();
        let replica = |server: &Server| {
            let is_near = match server.fitness {
                Fitness::Replica => true,
                Fitness::Lagging => false,
                _ => return None,
            };
            let progress = Arc::clone(server.progress.as_ref()?);
            Some(Replica { member: Arc::clone(&server.member), progress, lag: server.lag(), is_near })
        };
        Self {
            primary: conclusion.primary.map(|index| Arc::clone(&servers[index].member)),
            timeline: conclusion.timeline,
            replicas: servers.iter().filter_map(replica).collect(),
            servers,
        }
    }

    /// Makes the primary take writes, and nobody else: some may have chosen a server by an older view, and wait for a connection
    /// to it.
    pub(crate) fn hand_over_writes(&self) {
        for server in &self.servers {
            match &self.primary {
                Some(primary) if Arc::ptr_eq(primary, &server.member) => server.member.endpoint.promote(),
                _ => server.member.endpoint.demote(),
            }
        }
    }

    /// Logs what differs from the view `before`, since a person will ask why statements went elsewhere. That a server is at its
    /// start what it should be is no news.
    pub(crate) fn log_changes(&self, before: &Self, shard: ShardId) {
        for (server, was) in self.servers.iter().zip(&before.servers) {
            let as_expected = was.fitness == Fitness::Unknown
                && matches!(server.fitness, Fitness::Primary | Fitness::Replica);
            if server.fitness != was.fitness && !as_expected {
                let (from, to) = (was.fitness.label(), server.fitness.label());
                tracing::info!(
                    shard = shard.0,
                    server = server.member.endpoint.name(),
                    from,
                    to,
                    "server changed"
                );
            }
        }
        if before.primary.is_some() && self.primary.is_none() {
            tracing::error!(shard = shard.0, "the shard has no primary: writes wait for one");
        }
    }
}

impl Server {
    /// What is not known counts as endless: the other measure decides then.
    fn lag(&self) -> Option<Lag> {
        let time = self.lag_age.unwrap_or(Duration::MAX);
        let bytes = self.lag_bytes.unwrap_or(u64::MAX);
        (self.lag_age.is_some() || self.lag_bytes.is_some()).then_some(Lag { time, bytes })
    }

    /// Statements tell how far it is between two probes, so the count goes on where the timeline is the same.
    fn progressed(&self, timeline: u32, lsn: u64) -> Arc<Progress> {
        match &self.progress {
            Some(progress) if progress.timeline() == timeline => {
                progress.reached(lsn);
                Arc::clone(progress)
            }
            _ => Progress::new(timeline, lsn),
        }
    }
}

impl Replica {
    /// Whether it is known to show what moved to the shard at that moment. A newer timeline goes on where the one before ended: who
    /// is as far on it shows that as well, or what was lost with a failover, which the primary has not either.
    pub(crate) fn has(&self, since: Moment) -> bool {
        self.progress.timeline() >= since.timeline && self.progress.lsn() >= since.lsn.0
    }

    /// The replica as the decision about a read knows it.
    pub(crate) fn candidate(&self) -> Candidate {
        let replayed = Moment { timeline: self.progress.timeline(), lsn: Lsn(self.progress.lsn()) };
        Candidate { replayed: Some(replayed), lag: self.lag, standing: Standing::Serving }
    }
}

/// The replicas of a view as an algorithm sees them, without those that `is_eligible` leaves out.
pub(crate) struct Choice<'a, F> {
    pub(crate) replicas: &'a [Replica],
    pub(crate) is_eligible: F,
}

impl<F: Fn(usize) -> bool> Candidates for Choice<'_, F> {
    fn count(&self) -> usize {
        self.replicas.len()
    }

    fn is_eligible(&self, index: usize) -> bool {
        (self.is_eligible)(index)
    }

    fn base_weight(&self, _index: usize) -> Weight {
        Weight::ONE
    }

    fn weight(&self, _index: usize) -> Share {
        Weight::ONE.into()
    }

    fn in_flight(&self, index: usize) -> u32 {
        self.replicas[index].member.in_flight()
    }

    fn response_nanos(&self, _index: usize) -> u64 {
        0
    }

    fn identity(&self, index: usize) -> u64 {
        index as u64
    }
}
