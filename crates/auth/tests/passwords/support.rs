//! Replicas that count attempts together.

use std::{net::IpAddr, time::Duration};

use phalanx_auth::{
    AttemptPolicy, AttemptSettings, Attempts, Ladder, SharedState, StateSettings, StateUpkeep,
};
use phalanx_data::DataDirectory;
use phalanx_telemetry::clock;
use phalanx_test_servers::Redis;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Far longer than anything here takes on a machine that is busy with something else.
const DEADLINE: Duration = Duration::from_mins(1);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

pub(crate) const ADA: &str = "ada@example.com";

/// A policy in which no wait ends during a test.
pub(crate) fn policy() -> AttemptPolicy {
    let hour = Duration::from_secs(60 * 60);
    let ladder = |free| Ladder { free, delay_min: hour, delay_max: hour, memory: 2 * hour };
    AttemptPolicy { pair: ladder(5), account: ladder(20), address: ladder(50), known_for: hour }
}

pub(crate) fn address(number: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, number])
}

/// Some replicas, with whatever they share their counters in.
pub(crate) struct Replicas {
    pub(crate) attempts: Vec<Attempts>,
    pub(crate) redis: Option<Redis>,
    _directory: Option<TempDir>,
    upkeep: JoinSet<()>,
    stop: CancellationToken,
}

impl Replicas {
    /// Three that share a Redis, and wait for it for longer than anything takes on a busy machine.
    pub(crate) async fn with_redis() -> Self {
        Self::with_redis_of(DEADLINE).await
    }

    /// The same with a Redis that has failed when it does not answer in time.
    pub(crate) async fn with_redis_of(response_timeout: Duration) -> Self {
        let settings = StateSettings { response_timeout, ..StateSettings::default() };
        let redis = tokio::task::spawn_blocking(Redis::start).await.unwrap();
        let mut opened = Vec::new();
        for _ in 0..3 {
            opened.push(SharedState::redis(&redis.url(), settings.clone()).await.unwrap());
        }
        Self { redis: Some(redis), ..Self::over(opened) }
    }

    /// Three that share a file.
    pub(crate) async fn with_file() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut opened = Vec::new();
        for _ in 0..3 {
            let directory = DataDirectory::create(directory.path()).unwrap();
            opened.push(SharedState::embedded(directory).await.unwrap());
        }
        Self { _directory: Some(directory), ..Self::over(opened) }
    }

    /// One alone.
    pub(crate) fn alone() -> Self {
        let attempts = vec![Attempts::new(b"secret", &settings(), None)];
        Self {
            attempts,
            redis: None,
            _directory: None,
            upkeep: JoinSet::new(),
            stop: CancellationToken::new(),
        }
    }

    fn over(opened: Vec<(SharedState, StateUpkeep)>) -> Self {
        let (mut upkeep, stop) = (JoinSet::new(), CancellationToken::new());
        let attempts = opened.into_iter().map(|(state, of_state)| {
            upkeep.spawn(of_state.run(stop.clone()));
            Attempts::new(b"secret", &settings(), Some(&state))
        });
        let attempts = attempts.collect();
        Self { attempts, redis: None, _directory: None, upkeep, stop }
    }

    /// Fails `guesses` times at each of some accounts from each of some addresses, at one replica after the other; how often it was
    /// let in.
    pub(crate) async fn guess(&self, guesses: usize, account: &str, addresses: &[u8]) -> usize {
        let mut let_in = 0;
        for replica in self.attempts.iter().cycle().take(guesses) {
            for number in addresses {
                let_in += usize::from(replica.begin(account, address(*number)).await.is_ok());
            }
        }
        let_in
    }

    /// How often the shared counters did not answer.
    pub(crate) fn unshared(&self) -> u64 {
        self.attempts.iter().map(|attempts| attempts.totals().unshared.get()).sum()
    }

    /// Closes what they share.
    pub(crate) async fn close(&mut self) {
        self.stop.cancel();
        while self.upkeep.join_next().await.is_some() {}
    }

    pub(crate) fn redis(&self) -> &Redis {
        self.redis.as_ref().unwrap()
    }
}

fn settings() -> AttemptSettings {
    AttemptSettings { policy: policy(), ..AttemptSettings::default() }
}

/// Waits until `look` says so.
pub(crate) async fn eventually(what: &str, mut look: impl AsyncFnMut() -> bool) {
    let began = clock::now();
    while !look().await {
        assert!(clock::now().duration_since(began) < DEADLINE, "it did not come: {what}");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
