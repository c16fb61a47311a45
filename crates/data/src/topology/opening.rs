//! Makes the shards of a topology, when it is opened and when it changes.

use std::sync::Arc;

use futures_util::future::join_all;
use tokio::task::JoinSet;

use super::{
    ServerUrl, Servers,
    identity::{self, Answer, Notice, StartError},
    member::Member,
    shared::Shared,
    state::ShardState,
    upkeep::{self, Task},
};
use crate::{
    AccessError, ConnectError, ServerSettings, Settings, ShardId,
    backend::{Endpoint, Probe},
    postgres, sqlite,
};

/// The shards of a topology, connected.
pub(crate) struct Opened {
    pub(crate) states: Vec<Arc<ShardState>>,
    /// What holds the connections of servers that are new.
    pub(crate) connections: JoinSet<()>,
}

/// A server that is new, or stays, and what it says.
struct Candidate {
    url: ServerUrl,
    member: Arc<Member>,
    outcome: Result<Probe, ConnectError>,
}

/// Whether a server is in the topology that is to be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Acquaintance {
    New,
    /// It has connections, and whether others can be made is no question of the change.
    InUse,
}

/// Reaches the servers, judges what they say, and makes shards of them. Servers that `before` has stay what they are.
pub(crate) async fn open(
    servers: &Servers,
    settings: &Settings,
    before: &[Arc<ShardState>],
) -> Result<Opened, StartError> {
    let mut opened = Opened { states: Vec::new(), connections: JoinSet::new() };
    let mut identities = Vec::new();
    for (number, shard) in (1..).zip(servers.shards()) {
        let id = ShardId(number);
        let members: Vec<(ServerUrl, Arc<Member>, Acquaintance)> = shard
            .all()
            .map(|url| {
                let (member, acquaintance) = opened.member(id, url, settings, before)?;
                Ok((url.clone(), member, acquaintance))
            })
            .collect::<Result<_, _>>()
            .map_err(|source| StartError::Server { shard: number, source })?;
        let candidates =
            members.into_iter().map(|(url, member, acquaintance)| candidate(url, member, acquaintance));
        let candidates = join_all(candidates).await;
        let answers: Vec<Answer> = candidates
            .iter()
            .map(|candidate| Answer {
                server: candidate.url.name().into(),
                outcome: candidate.outcome.clone(),
            })
            .collect();
        let (identity, notices) = identity::judge(number, &answers)?;
        notices.iter().for_each(|notice| tell(number, notice));
        identities.push(identity);
        let before = before.iter().find(|state| state.id == id);
        opened.add(id, candidates, settings, before);
    }
    identity::all_distinct(&identities)?;
    Ok(opened)
}

/// Shards that are files, which have no other servers.
pub(crate) async fn of_files(
    files: Vec<(ShardId, sqlite::File, sqlite::Upkeep)>,
    settings: &Settings,
) -> Result<Opened, AccessError> {
    let mut opened = Opened { states: Vec::new(), connections: JoinSet::new() };
    for (shard, file, upkeep) in files {
        opened.connections.spawn(upkeep.run());
        let (url, probe) = (ServerUrl::of_file(file.name()), file.probe().await?);
        let member = Arc::new(Member::new(Endpoint::Sqlite(file)));
        opened.add(shard, vec![Candidate { url, member, outcome: Ok(probe) }], settings, None);
    }
    Ok(opened)
}

impl Opened {
    /// The server as it is in use already, or a new one that begins to connect.
    fn member(
        &mut self,
        shard: ShardId,
        url: &ServerUrl,
        settings: &Settings,
        before: &[Arc<ShardState>],
    ) -> Result<(Arc<Member>, Acquaintance), ConnectError> {
        let same_shard = before.iter().find(|state| state.id == shard);
        if let Some(place) = same_shard.and_then(|state| state.places.iter().find(|place| place.url == *url))
        {
            return Ok((Arc::clone(&place.member), Acquaintance::InUse));
        }
        let connections = ServerSettings { url: url.secret().to_owned(), ..settings.connections.clone() };
        let (server, upkeep) = postgres::Server::new(shard, connections)?;
        self.connections.spawn(upkeep.run());
        Ok((Arc::new(Member::new(Endpoint::Postgres(server))), Acquaintance::New))
    }

    fn add(
        &mut self,
        id: ShardId,
        candidates: Vec<Candidate>,
        settings: &Settings,
        before: Option<&Arc<ShardState>>,
    ) {
        let mut servers = Vec::new();
        let mut probes = Vec::new();
        for Candidate { url, member, outcome } in candidates {
            servers.push((url, member));
            probes.push(outcome.ok());
        }
        let state = ShardState::new(id, servers, settings, before.map(|state| &**state));
        for (index, probe) in probes.into_iter().enumerate() {
            match probe {
                Some(probe) => state.probed(index, Some(probe)),
                // Once is enough here: it has not been seen to work.
                None => (0..settings.fall.get()).for_each(|_| state.probed(index, None)),
            }
        }
        self.states.push(Arc::new(state));
    }

    /// Begins to watch the servers.
    pub(crate) fn watchers(&self, shared: &Arc<Shared>) -> Vec<Task> {
        let watch = |state: &Arc<ShardState>, index| -> Task {
            Box::pin(upkeep::watch(Arc::clone(shared), Arc::clone(state), index))
        };
        self.states
            .iter()
            .flat_map(|state| (0..state.places.len()).map(move |index| watch(state, index)))
            .collect()
    }
}

/// Asks a server what it is; a new one that cannot be connected to says why.
async fn candidate(url: ServerUrl, member: Arc<Member>, acquaintance: Acquaintance) -> Candidate {
    let checked = match acquaintance {
        Acquaintance::New => member.endpoint.check().await,
        Acquaintance::InUse => Ok(()),
    };
    let outcome = match checked {
        Ok(()) => {
            let unanswered =
                |error| ConnectError::Unanswered { server: url.name().into(), source: Arc::new(error) };
            member.endpoint.probe().await.map_err(unanswered)
        }
        Err(error) => Err(error),
    };
    Candidate { url, member, outcome }
}

fn tell(shard: u16, notice: &Notice) {
    match notice {
        Notice::Down { server, error } => {
            let error: &dyn std::error::Error = error;
            tracing::warn!(shard, %server, error, "a server is down: it is used when it comes");
        }
        Notice::Superseded { server } => {
            tracing::error!(shard, %server, "a former primary still takes writes: make it a replica, or take it out");
        }
        Notice::Promoted { server } => {
            tracing::warn!(shard, %server, "another server than the one that is named as the primary takes writes");
        }
    }
}
