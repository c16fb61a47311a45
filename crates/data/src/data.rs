//! The handle of a whole topology.

use std::{
    collections::HashSet,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use arc_swap::ArcSwap;
use phalanx_shard::{Bucket, BucketMap, Id, Placement, map::Routes};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    Settings, Shard, ShardId,
    backend::{Endpoint, PoolStatus, ServerConnections},
    migrations::Store,
    topology::{
        Servers,
        counters::{ReadCounters, ReadTotals},
        identity::StartError,
        map,
        opening::{self, Opened},
        plans::PlanRequests,
        shared::{Shards, Shared},
        state::ShardState,
        statistics::{StatementTotals, Statistics},
        survey::Fitness,
        upkeep::{self, TASKS_MAX, Upkeep},
    },
};

/// All shards; cheap to clone.
#[derive(Clone)]
pub struct Data {
    pub(crate) shared: Arc<Shared>,
}

/// What says which shard a row is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardKey<'a> {
    /// The row's id.
    Id(Id),
    /// A key that is no id, as text.
    Text(&'a str),
    /// The bucket itself.
    Bucket(Bucket),
}

impl ShardKey<'_> {
    pub(crate) fn bucket(self, placement: Placement) -> Bucket {
        match self {
            Self::Id(id) => placement.bucket_of_id(id),
            Self::Text(text) => placement.bucket_of_key(text),
            Self::Bucket(bucket) => bucket,
        }
    }
}

impl From<Id> for ShardKey<'_> {
    fn from(id: Id) -> Self {
        Self::Id(id)
    }
}

impl<'a> From<&'a str> for ShardKey<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl From<Bucket> for ShardKey<'_> {
    fn from(bucket: Bucket) -> Self {
        Self::Bucket(bucket)
    }
}

/// Why a topology cannot take the place of another. The one that was stays.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// Its servers cannot be used.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A shard that holds buckets, or answers reads of some, would be gone.
    #[error("shard {shard} still holds buckets: move them before it is taken out")]
    ShardInUse {
        /// The shard's number.
        shard: u16,
    },
}

/// A server as `phalanx data status` and the metrics show it.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerStatus {
    /// The shard's number.
    pub shard: ShardId,
    /// `host:port/database`.
    pub server: String,
    /// What it is good for: `primary`, `replica`, `lagging`, `straying`, `superseded`, `foreign`, `unreachable` or `unknown`.
    pub fitness: &'static str,
    /// What it has yet to replay.
    pub lag_bytes: Option<u64>,
    /// The age of what it replayed last.
    pub lag_age: Option<Duration>,
    /// What the connections of this process to it are doing.
    pub pool: PoolStatus,
    /// The connections of all its clients, as of the last probe; `None` for a file and while it does not answer.
    pub connections: Option<ServerConnections>,
}

impl Data {
    /// Reaches every server and opens the topology. The [`Upkeep`] has to be run for as long as it is used.
    ///
    /// # Errors
    /// When a shard has no primary, or a server is not what the topology says: each names the server and what to do. A
    /// replica that is down is no error.
    pub async fn open(servers: &Servers, settings: Settings) -> Result<(Self, Upkeep), StartError> {
        let opened = opening::open(servers, &settings, &[]).await?;
        Ok(Self::of_opened(opened, settings).await)
    }

    pub(crate) async fn of_opened(opened: Opened, settings: Settings) -> (Self, Upkeep) {
        let (tasks, requests) = mpsc::channel(TASKS_MAX);
        let (plans, plan_requests) = PlanRequests::new();
        let routes = Arc::new(Routes::settled(first_map(&settings, opened.states.len())));
        let states = opened.states.clone();
        let shared = Arc::new(Shared {
            shards: ArcSwap::from_pointee(Shards { states, routes }),
            reads: ReadCounters::default(),
            statistics: Statistics::new(settings.statement_names_max),
            settings,
            plans,
            tasks,
            changing: tokio::sync::Mutex::default(),
            refreshes: AtomicU64::new(0),
            closed: CancellationToken::new(),
        });
        let mut upkeep = Upkeep::new(Arc::clone(&shared), requests);
        upkeep.begin_common(plan_requests);
        let watchers = opened.watchers(&shared);
        upkeep.begin(Box::pin(upkeep::adopted(opened.connections)));
        watchers.into_iter().for_each(|task| upkeep.begin(task));
        map::refresh(&shared).await;
        (Self { shared }, upkeep)
    }

    /// The shard that holds a row, now and after it has moved.
    #[must_use]
    pub fn shard_for<'a>(&self, key: impl Into<ShardKey<'a>>) -> Shard {
        Shard::of_bucket(Arc::clone(&self.shared), key.into().bucket(self.placement()))
    }

    /// All shards, in order.
    #[must_use]
    pub fn shards(&self) -> Vec<Shard> {
        let shards = self.shared.shards.load();
        shards.states.iter().map(|state| Shard::of_id(Arc::clone(&self.shared), state.id)).collect()
    }

    /// The shard of this number, if there is one.
    #[must_use]
    pub fn shard(&self, id: ShardId) -> Option<Shard> {
        let is_there = self.shared.shards.load().state(id).is_some();
        is_there.then(|| Shard::of_id(Arc::clone(&self.shared), id))
    }

    /// In whose dialect the tables of the data layer itself are spoken of.
    pub(crate) fn store(&self) -> Store {
        let shards = self.shared.shards.load();
        let member = shards.states.iter().flat_map(|state| &state.places).map(|place| &place.member).next();
        match member.map(|member| &member.endpoint) {
            Some(Endpoint::Sqlite(_)) => Store::Sqlite,
            Some(Endpoint::Postgres(_)) | None => Store::Postgres,
        }
    }

    /// How rows get their bucket.
    #[must_use]
    pub fn placement(&self) -> Placement {
        self.shared.settings.placement
    }

    /// The map of buckets in use.
    #[must_use]
    pub fn map(&self) -> Arc<BucketMap> {
        Arc::clone(self.shared.shards.load().routes.map())
    }

    /// Looks for a newer map of buckets in all shards. Callers at once share one look.
    pub async fn refresh_map(&self) {
        map::refresh(&self.shared).await;
    }

    /// Puts another topology in the place of this one. Servers that are in both keep their connections; new ones serve before
    /// old ones go, and what is on its way to those is answered.
    ///
    /// # Errors
    /// When the new one cannot be used; nothing has changed then.
    pub async fn change(&self, servers: &Servers) -> Result<(), ChangeError> {
        let mut changing = self.shared.changing.lock().await;
        let before = self.shared.shards.load_full();
        let opened = opening::open(servers, &self.shared.settings, &before.states).await?;
        let next = Shards { states: opened.states.clone(), routes: Arc::clone(&before.routes) };
        if let Some(shard) = map::missing(&next.states, &next.routes) {
            return Err(ChangeError::ShardInUse { shard });
        }
        let watchers = opened.watchers(&self.shared);
        let connections: upkeep::Task = Box::pin(upkeep::adopted(opened.connections));
        for task in std::iter::once(connections).chain(watchers) {
            // Nobody takes them over any more when the upkeep has ended: the topology is closed then.
            let _ = self.shared.tasks.send(task).await;
        }
        map::publish(&self.shared, next);
        // A map that named other shards than there were may do for those that there are.
        changing.refused = None;
        retire(&before.states, &opened.states);
        Ok(())
    }

    /// Ends the topology: statements that begin from here on fail, those on their way are answered, and the upkeep ends.
    pub fn close(&self) {
        self.shared.closed.cancel();
        for place in self.shared.shards.load().states.iter().flat_map(|state| &state.places) {
            place.member.endpoint.close();
        }
    }

    /// Every server, as it is known at the moment.
    #[must_use]
    pub fn status(&self) -> Vec<ServerStatus> {
        let shards = self.shared.shards.load();
        let of_shard = |state: &Arc<ShardState>| {
            let shard = state.id;
            let view = state.view();
            let status = |server: &crate::topology::view::Server| ServerStatus {
                shard,
                server: server.member.endpoint.name().to_owned(),
                fitness: Fitness::label(server.fitness),
                lag_bytes: server.lag_bytes,
                lag_age: server.lag_age,
                pool: server.member.endpoint.pool_status(),
                connections: server.connections,
            };
            view.servers.iter().map(status).collect::<Vec<_>>()
        };
        shards.states.iter().flat_map(of_shard).collect()
    }

    /// Where reads went, and why.
    #[must_use]
    pub fn reads(&self) -> ReadTotals {
        self.shared.reads.totals()
    }

    /// What each statement has cost.
    #[must_use]
    pub fn statements(&self) -> Vec<StatementTotals> {
        self.shared.statistics.totals()
    }
}

/// What holds as long as no shard says otherwise: the map of epoch 0 gives way to any.
fn first_map(settings: &Settings, shards: usize) -> BucketMap {
    let count = u16::try_from(shards).expect("a topology has at most 256 shards");
    let even = || BucketMap::evenly(0, count).expect("a topology has at least one shard");
    settings.placement.adopted_map().unwrap_or_else(even)
}

/// Ends what is not in the topology any more.
fn retire(before: &[Arc<ShardState>], next: &[Arc<ShardState>]) {
    let members = |states: &[Arc<ShardState>]| -> Vec<_> {
        states.iter().flat_map(|state| &state.places).map(|place| Arc::clone(&place.member)).collect()
    };
    let staying: HashSet<_> = members(next).iter().map(Arc::as_ptr).collect();
    for state in before {
        state.retired.cancel();
    }
    for member in members(before) {
        if !staying.contains(&Arc::as_ptr(&member)) {
            member.endpoint.close();
        }
    }
}
