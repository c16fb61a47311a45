//! The sessions with the shards, made when they are needed and again when they have ended.

use std::{collections::BTreeMap, time::Duration};

use phalanx_shard::map::ShardId;
use tokio::{task::JoinSet, time};

use super::{
    ReshardError,
    session::{Session, Standing},
};
use crate::{ServerSettings, Servers};

/// A session that does not answer the simplest question for so long has ended.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// All shards of a topology.
pub(super) struct Shards {
    servers: Servers,
    connections: ServerSettings,
    sessions: BTreeMap<ShardId, Session>,
    /// Owns the connections: they end with it.
    drivers: JoinSet<()>,
}

impl Shards {
    pub(super) fn new(servers: Servers, connections: ServerSettings) -> Self {
        Self { servers, connections, sessions: BTreeMap::new(), drivers: JoinSet::new() }
    }

    /// The shards that the environment names.
    pub(super) fn all(&self) -> Vec<ShardId> {
        (1..).take(self.servers.shards().len()).filter_map(|number| ShardId::try_from(number).ok()).collect()
    }

    /// Sees to it that there are sessions with these shards, and answers them in the same order.
    pub(super) async fn connected(&mut self, shards: &[ShardId]) -> Result<(), ReshardError> {
        while self.drivers.try_join_next().is_some() {}
        for shard in shards {
            if self.sessions.get(shard).is_none_or(Session::is_closed) {
                self.sessions.remove(shard);
                let session = self.open(*shard, Standing::Executor).await?;
                self.sessions.insert(*shard, session);
            }
        }
        Ok(())
    }

    /// A session beside those: for who only looks.
    pub(super) async fn open(&mut self, shard: ShardId, standing: Standing) -> Result<Session, ReshardError> {
        let named = self.servers.shards();
        let servers = named.get(usize::from(shard.get()) - 1);
        let servers =
            servers.ok_or(ReshardError::ShardsMissing { wanted: shard.get(), named: named.len() })?;
        Session::open(shard, servers, &self.connections, standing, &mut self.drivers).await
    }

    /// The session with a shard that was connected before.
    pub(super) fn session(&self, shard: ShardId) -> Result<&Session, ReshardError> {
        self.sessions.get(&shard).ok_or(ReshardError::Connect { shard: shard.get(), source: None })
    }

    /// Lets go of the session with a shard.
    pub(super) fn forget(&mut self, shard: ShardId) {
        self.sessions.remove(&shard);
    }

    /// Lets go of sessions that do not answer, as those with a server that hangs. Names them.
    pub(super) async fn drop_silent(&mut self) -> Vec<String> {
        let mut silent = Vec::new();
        for (shard, session) in &self.sessions {
            let answered = time::timeout(ANSWER_MAX, session.one("ask for an answer", "SELECT 1", &[])).await;
            if !matches!(answered, Ok(Ok(_))) {
                silent.push((*shard, session.server.to_string()));
            }
        }
        for (shard, _) in &silent {
            self.sessions.remove(shard);
        }
        silent.into_iter().map(|(_, server)| server).collect()
    }
}
