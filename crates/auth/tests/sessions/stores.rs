//! Both stores, and replicas of a service that share one.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use phalanx_auth::{Change, Fields, FieldsSettings, SessionSettings, Sessions, SharedState, StateSettings};
use phalanx_data::DataDirectory;
use phalanx_test_servers::Redis;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What a busy machine never takes, for what has to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// Begins every key of a test in Redis.
pub(crate) const NAMESPACE: &str = "t";

/// What replicas share.
pub(crate) enum Store {
    Redis(Redis),
    Embedded(TempDir),
}

impl Store {
    pub(crate) fn both() -> [Self; 2] {
        [Self::Redis(Redis::start()), Self::embedded()]
    }

    pub(crate) fn embedded() -> Self {
        Self::Embedded(tempfile::tempdir().unwrap())
    }

    pub(crate) async fn replica(&self) -> Replica {
        self.replica_with(SessionSettings::default(), FieldsSettings::default()).await
    }

    pub(crate) async fn replica_with(&self, sessions: SessionSettings, fields: FieldsSettings) -> Replica {
        match self {
            Self::Redis(redis) => Replica::patient_with(redis, sessions, fields).await,
            Self::Embedded(directory) => {
                let directory = DataDirectory::create(directory.path()).unwrap();
                let (state, upkeep) = SharedState::embedded(directory).await.unwrap();
                Replica::start(state, upkeep, sessions, fields)
            }
        }
    }
}

/// One process of a service.
pub(crate) struct Replica {
    pub(crate) state: SharedState,
    pub(crate) sessions: Sessions,
    pub(crate) fields: Fields,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Replica {
    /// One that waits for Redis longer than a busy machine holds it up.
    pub(crate) async fn patient(redis: &Redis) -> Self {
        Self::patient_with(redis, SessionSettings::default(), FieldsSettings::default()).await
    }

    pub(crate) async fn patient_with(
        redis: &Redis,
        sessions: SessionSettings,
        fields: FieldsSettings,
    ) -> Self {
        Self::of_url(&redis.url(), PATIENCE, sessions, fields).await
    }

    /// One that notices soon that Redis is away.
    pub(crate) async fn impatient(redis: &Redis) -> Self {
        let (sessions, fields) = (SessionSettings::default(), FieldsSettings::default());
        Self::of_url(&redis.url(), Duration::from_millis(300), sessions, fields).await
    }

    /// One whose Redis is at `url`.
    pub(crate) async fn at(url: &str) -> Self {
        let (sessions, fields) = (SessionSettings::default(), FieldsSettings::default());
        Self::of_url(url, PATIENCE, sessions, fields).await
    }

    async fn of_url(
        url: &str,
        response_timeout: Duration,
        sessions: SessionSettings,
        fields: FieldsSettings,
    ) -> Self {
        let settings = StateSettings {
            namespace: NAMESPACE.to_owned(),
            response_timeout,
            probe_period: Duration::from_millis(100),
            reconnect_delay_max: Duration::from_millis(100),
        };
        let (state, upkeep) = SharedState::redis(url, settings).await.unwrap();
        Self::start(state, upkeep, sessions, fields)
    }

    fn start(
        state: SharedState,
        upkeep: phalanx_auth::StateUpkeep,
        sessions: SessionSettings,
        fields: FieldsSettings,
    ) -> Self {
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        tasks.spawn(upkeep.run(stop.clone()));
        let (fields, upkeep) = Fields::new(state.clone(), fields);
        tasks.spawn(upkeep.run(stop.clone()));
        Self { sessions: Sessions::new(state.clone(), sessions), state, fields, stop, tasks }
    }

    /// Ends it in order.
    pub(crate) async fn end(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}

/// Waits for what has to come.
pub(crate) async fn within_patience<T>(what: &str, coming: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, Box::pin(coming)).await.unwrap_or_else(|_| panic!("in vain: {what}"))
}

/// Asks until the answer is there.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within_patience(what, asking).await
}

pub(crate) fn map<const N: usize>(fields: [(&str, &str); N]) -> BTreeMap<String, String> {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

pub(crate) fn setting<const N: usize>(fields: [(&str, &str); N]) -> Change {
    Change { set: map(fields), remove: BTreeSet::new() }
}

pub(crate) fn removing<const N: usize>(names: [&str; N]) -> Change {
    Change { set: BTreeMap::new(), remove: names.into_iter().map(str::to_owned).collect() }
}
