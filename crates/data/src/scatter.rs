//! One question to every shard.
//!
//! Elsewhere: whose the rows are that a shard answers with, while buckets move (`crate::ownership`).

use std::{future::Future, num::NonZeroUsize, time::Duration};

use futures_util::{StreamExt as _, stream};
use phalanx_telemetry::clock;

use crate::{AccessError, Data, Shard, ShardId};

/// The bounds of one question to every shard.
#[derive(Clone, Copy, Debug)]
pub struct Scatter {
    /// Shards that are asked at a time.
    pub parallel_max: NonZeroUsize,
    /// When whoever has not answered has failed.
    pub timeout: Duration,
    /// What failures mean.
    pub policy: Policy,
}

/// What it means that some shards do not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// There is no answer without all of them; the first failure ends the others.
    All,
    /// The others' answers are of use, as long as there is one.
    Partial,
}

/// What the shards answered.
#[derive(Debug)]
pub struct Gathered<T> {
    /// In the order of the shards.
    pub answers: Vec<(ShardId, T)>,
    /// Who did not answer; empty under [`Policy::All`].
    pub failed: Vec<(ShardId, ShardFault)>,
}

/// Why a shard has not answered.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShardFault {
    /// It failed.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// It took longer than all of them may.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
}

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("shard {shard} did not answer")]
pub struct ScatterError {
    /// The first that failed.
    pub shard: u16,
    /// Why.
    pub source: ShardFault,
}

impl Data {
    /// Asks every shard. What they have twice while a bucket moves [`Data::ownership`] tells apart.
    ///
    /// # Errors
    /// When one of them fails under [`Policy::All`], or all of them do.
    pub async fn scatter<T, F>(
        &self,
        bounds: Scatter,
        ask: impl Fn(Shard) -> F,
    ) -> Result<Gathered<T>, ScatterError>
    where
        F: Future<Output = Result<T, AccessError>>,
    {
        let deadline = clock::now() + bounds.timeout;
        let mut gathered = Gathered { answers: Vec::new(), failed: Vec::new() };
        // Each has the deadline of all: whoever waits for its turn has that much less.
        let asked = self.shards().into_iter().map(|shard| {
            let (id, answer) = (shard.id(), ask(shard));
            async move { (id, tokio::time::timeout_at(deadline.into(), answer).await) }
        });
        let mut answers = stream::iter(asked).buffer_unordered(bounds.parallel_max.get());
        while let Some((shard, answer)) = answers.next().await {
            match answer.map_or(Err(ShardFault::Timeout(bounds.timeout)), |answer| Ok(answer?)) {
                Ok(answer) => gathered.answers.push((shard, answer)),
                Err(source) if bounds.policy == Policy::All => {
                    return Err(ScatterError { shard: shard.0, source });
                }
                Err(fault) => gathered.failed.push((shard, fault)),
            }
        }
        gathered.answers.sort_unstable_by_key(|(shard, _)| *shard);
        gathered.failed.sort_unstable_by_key(|(shard, _)| *shard);
        match gathered.failed.first() {
            Some((shard, source)) if gathered.answers.is_empty() => {
                Err(ScatterError { shard: shard.0, source: source.clone() })
            }
            _ => Ok(gathered),
        }
    }
}
