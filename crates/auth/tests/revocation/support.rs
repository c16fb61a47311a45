//! Replicas that follow one feed.

use std::time::Duration;

use phalanx_auth::{
    Freshness, Marks, Revocation, RevocationSettings, Revocations, SharedState, Standing, StateSettings,
    StateUpkeep,
};
use phalanx_data::DataDirectory;
use phalanx_telemetry::clock;
use phalanx_test_servers::Redis;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Far longer than anything takes on a machine that is busy with something else.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

pub(crate) const HOUR: Duration = Duration::from_hours(1);

/// One process of a service.
pub(crate) struct Replica {
    pub(crate) revocations: Revocations,
    // Dropping them ends them.
    _tasks: JoinSet<()>,
}

impl Replica {
    pub(crate) async fn on(redis: &Redis, settings: RevocationSettings) -> Self {
        Self::waiting(redis, DEADLINE, settings).await
    }

    /// One that waits so long for an answer of Redis.
    pub(crate) async fn waiting(
        redis: &Redis,
        response_timeout: Duration,
        settings: RevocationSettings,
    ) -> Self {
        let state_settings = StateSettings { response_timeout, ..state_settings() };
        let (state, upkeep) = SharedState::redis(&redis.url(), state_settings).await.unwrap();
        Self::start(&state, upkeep, settings)
    }

    pub(crate) async fn in_directory(directory: DataDirectory) -> Self {
        let (state, upkeep) = SharedState::embedded(directory).await.unwrap();
        Self::start(&state, upkeep, patient())
    }

    fn start(state: &SharedState, keeping: StateUpkeep, settings: RevocationSettings) -> Self {
        let (revocations, following) = Revocations::follow(state, settings);
        let mut tasks = JoinSet::new();
        tasks.spawn(keeping.run(CancellationToken::new()));
        tasks.spawn(following.run(CancellationToken::new()));
        Self { revocations, _tasks: tasks }
    }

    /// Some that have read the feed to its end.
    pub(crate) async fn several<const COUNT: usize>(redis: &Redis) -> [Self; COUNT] {
        let mut replicas = Vec::new();
        for _ in 0..COUNT {
            replicas.push(Self::following(redis).await);
        }
        replicas.try_into().unwrap_or_else(|_| unreachable!("as many as were pushed"))
    }

    pub(crate) async fn following(redis: &Redis) -> Self {
        let replica = Self::on(redis, patient()).await;
        replica.reads_to_the_end().await;
        replica
    }

    pub(crate) async fn reads_to_the_end(&self) {
        eventually("the feed is complete", || self.revocations.age().is_some()).await;
    }

    pub(crate) async fn revoke(&self, revocation: Revocation) {
        self.revocations.revoke(&[revocation], HOUR).await.unwrap();
    }

    /// Waits until memory says that the token is revoked.
    pub(crate) async fn refuses(&self, token: Marks<'_>) {
        let refused = async {
            let mut changes = self.revocations.changes();
            while self.revocations.check(token) != Standing::Revoked {
                changes.changed().await.unwrap();
            }
        };
        let in_time = tokio::time::timeout(DEADLINE, refused).await;
        assert!(in_time.is_ok(), "{token:?} is not refused: {:?}", self.revocations.totals());
    }

    /// What the store says.
    pub(crate) async fn asks(&self, token: Marks<'_>) -> Standing {
        self.revocations.permits(token, Freshness::Store).await.unwrap()
    }
}

/// Nothing counts as late on a machine that is busy with something else.
pub(crate) fn patient() -> RevocationSettings {
    RevocationSettings { feed_age_max: DEADLINE, ..RevocationSettings::default() }
}

fn state_settings() -> StateSettings {
    StateSettings {
        namespace: "test".to_owned(),
        response_timeout: DEADLINE,
        probe_period: Duration::from_millis(100),
        reconnect_delay_max: Duration::from_millis(100),
    }
}

/// A process that has not read the feed yet: it knows only what it asks the store.
pub(crate) async fn stranger(redis: &Redis, settings: RevocationSettings) -> Revocations {
    let (state, _) = SharedState::redis(&redis.url(), state_settings()).await.unwrap();
    Revocations::follow(&state, settings).0
}

pub(crate) fn session(session: &str) -> Revocation {
    Revocation::Session { session: session.to_owned() }
}

pub(crate) fn subject(subject: &str, epoch: u64) -> Revocation {
    Revocation::Subject { subject: subject.to_owned(), epoch }
}

/// A token of a session whose subject nothing was revoked of.
pub(crate) fn of_session(session: &str) -> Marks<'_> {
    Marks { session: Some(session), subject: "somebody", epoch: 1 }
}

/// A token of a session of which nothing was revoked.
pub(crate) fn of_subject(subject: &str, epoch: u64) -> Marks<'_> {
    Marks { session: Some("some session"), subject, epoch }
}

/// Waits for what nothing announces.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = clock::now();
    while !holds() {
        assert!(begun.elapsed() < DEADLINE, "{what}: not by the deadline");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
