//! Which server answers a read: `phalanx_shard::read` decides, in turns; this module asks.
//!
//! A read that finds all replicas too far behind when the primary has borne as many fallbacks as it may waits for a replica, and
//! fails in the end: replicas that lag would otherwise move all reads to the primary, and take it down with them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use phalanx_balance::Algorithm;
use phalanx_shard::{
    Lsn,
    read::{self, Decision, Fallback, Lag, Moment, Read, Reason, Target, Tried},
};
use phalanx_telemetry::clock;

use super::{
    detector::Session,
    primary::Attempts,
    shared::Shared,
    state::ShardState,
    view::{Choice, Replica, View},
};
use crate::{
    AccessError, Again, Position, Row, ShardId, backend::Query, consistency::ShardDemand, settings::Detector,
};

/// Between two questions to replicas that are not far enough.
const ASK_AGAIN_FIRST: Duration = Duration::from_millis(2);
const ASK_AGAIN_MAX: Duration = Duration::from_millis(50);

/// One read of one shard.
pub(crate) struct Reading<'a> {
    pub(crate) shared: &'a Shared,
    /// As it was when the read was routed; a read that takes long looks again.
    pub(crate) state: Arc<ShardState>,
    pub(crate) query: Query<'a>,
}

impl Reading<'_> {
    /// The rows, from whichever server the demand allows.
    pub(crate) async fn run(&self, demand: ShardDemand) -> Result<Vec<Row>, AccessError> {
        match demand {
            ShardDemand::Primary(reason) => self.on_primary(reason).await,
            ShardDemand::Eventual(since) => self.eventual(since).await,
            ShardDemand::After(position, fallback) => self.after(position, fallback).await,
        }
    }

    async fn eventual(&self, since: Option<Moment>) -> Result<Vec<Row>, AccessError> {
        let state = &self.state;
        let view = state.view();
        let is_near = |_, replica: &Replica| replica.is_near;
        let is_whole = |_, replica: &Replica| replica.is_near && since.is_none_or(|since| replica.has(since));
        if choose(&view, is_whole).is_some() {
            return self.on_replicas(state, &view, is_whole, Reason::Eventual).await;
        }
        if let Some(since) = since
            && choose(&view, is_near).is_some()
        {
            // Rows that have moved here must not be missing for a while: no state of the whole ever was without them.
            return self.after(Position::at(state.id, since), Fallback::Primary).await;
        }
        let (_, reason) = self.decide(&view, None, Fallback::Primary, Tried::Nothing);
        if reason.is_capped() {
            state.earn_fallback();
        }
        self.on_capped_primary(state, reason).await
    }

    async fn after(&self, position: Position, fallback: Fallback) -> Result<Vec<Row>, AccessError> {
        let begun = clock::now();
        let mut state = Arc::clone(&self.state);
        state.earn_fallback();
        let mut tried = Tried::Nothing;
        loop {
            if position.timeline > state.view().timeline {
                // Somebody has written to a primary that is not known here: the one that is known is none any more.
                state.heard_of(position.timeline);
            }
            let view = state.view();
            let (decision, reason) = self.decide(&view, Some(position), fallback, tried);
            match decision {
                Decision::Known(set) => {
                    return self.on_replicas(&state, &view, |index, _| set.contains(index), reason).await;
                }
                Decision::Stale(set) => {
                    return self.on_replicas(&state, &view, |index, _| set.contains(index), reason).await;
                }
                Decision::Guarded(set) => {
                    if let Some(replica) = choose(&view, |index, _| set.contains(index))
                        && let Some(rows) = self.guarded(&state, replica, position).await?
                    {
                        self.count(Target::Replica, reason);
                        // This one is known to have the write from here on, and would get all the reads that want it.
                        state.look_at_replicas();
                        return Ok(rows);
                    }
                    tried = Tried::Guard;
                }
                Decision::Wait(wait) => {
                    if let Some(rows) = self.waited(position, begun + wait).await? {
                        return Ok(rows);
                    }
                    tried = Tried::Wait;
                }
                Decision::Primary if !reason.is_capped() || state.may_fall_back() => {
                    return self.on_primary(reason).await;
                }
                Decision::Primary => {
                    let until = begun + self.shared.settings.replica_wait_max;
                    let rows = self.waited(position, until).await?;
                    return rows.ok_or_else(|| self.refused(Reason::Capped, begun));
                }
                Decision::Refuse => return Err(self.refused(reason, begun)),
            }
            state = self.state()?;
        }
    }

    fn decide(
        &self,
        view: &View,
        position: Option<Position>,
        fallback: Fallback,
        tried: Tried,
    ) -> (Decision, Reason) {
        let settings = &self.shared.settings;
        let candidates: Vec<read::Candidate> = view.replicas.iter().map(Replica::candidate).collect();
        let wanted = position.map(|position| Moment { timeline: position.timeline, lsn: Lsn(position.lsn) });
        let lag_max = Lag { time: settings.lag_age_max, bytes: settings.lag_bytes_max };
        read::decide(&candidates, &Read { wanted, fallback, lag_max, tried })
    }

    async fn on_primary(&self, reason: Reason) -> Result<Vec<Row>, AccessError> {
        let mut attempts = Attempts::new(self.shared, self.shard());
        loop {
            let primary = attempts.primary().await?;
            let outcome = {
                let _in_flight = primary.statement();
                primary.endpoint.read(self.query).await
            };
            match outcome {
                // It waited for a connection, and got one to a server that has been the primary: what that knows may be old.
                Ok(_) if attempts.has_moved() => {}
                Ok(rows) => {
                    self.count(Target::Primary, reason);
                    return Ok(rows);
                }
                Err(error) => attempts.failed(error).await?,
            }
        }
    }

    async fn on_capped_primary(&self, state: &ShardState, reason: Reason) -> Result<Vec<Row>, AccessError> {
        if reason.is_capped() && !state.may_fall_back() {
            return Err(self.refused(Reason::Capped, clock::now()));
        }
        self.on_primary(reason).await
    }

    /// One of the replicas that are fit; if it breaks, another one, and the primary after that.
    async fn on_replicas(
        &self,
        state: &ShardState,
        view: &View,
        is_fit: impl Fn(usize, &Replica) -> bool,
        reason: Reason,
    ) -> Result<Vec<Row>, AccessError> {
        let Some(first) = choose(view, &is_fit) else { return self.on_primary(reason).await };
        if reason == Reason::Eventual {
            self.detect(first).await;
        }
        let error = match self.on_replica(state, first).await {
            Ok(rows) => {
                self.count(Target::Replica, reason);
                return Ok(rows);
            }
            Err(error) => error,
        };
        if !may_go_elsewhere(state, &error) {
            return Err(error);
        }
        let is_other =
            |index, replica: &Replica| !Arc::ptr_eq(&replica.member, &first.member) && is_fit(index, replica);
        if let Some(other) = choose(view, is_other)
            && let Ok(rows) = self.on_replica(state, other).await
        {
            self.count(Target::Replica, reason);
            return Ok(rows);
        }
        self.on_primary(reason).await
    }

    async fn on_replica(&self, state: &ShardState, replica: &Replica) -> Result<Vec<Row>, AccessError> {
        let outcome = {
            let _in_flight = replica.member.statement();
            replica.member.endpoint.read(self.query).await
        };
        if outcome.as_ref().is_err_and(|error| error.verdict().again == Again::Elsewhere) {
            state.look_at(&replica.member);
        }
        outcome
    }

    /// Asks replicas until one is far enough, the time is up or none is left.
    async fn waited(&self, position: Position, until: Instant) -> Result<Option<Vec<Row>>, AccessError> {
        let mut pause = ASK_AGAIN_FIRST;
        loop {
            let left = until.saturating_duration_since(clock::now());
            if left.is_zero() {
                return Ok(None);
            }
            tokio::time::sleep(pause.min(left)).await;
            pause = (pause * 2).min(ASK_AGAIN_MAX);
            let state = self.state()?;
            let view = state.view();
            let followers = view.replicas.iter();
            let followers = followers
                .filter(|replica| replica.is_near && replica.progress.timeline() == position.timeline);
            let Some(furthest) = followers.max_by_key(|replica| replica.progress.lsn()) else {
                return Ok(None);
            };
            if let Some(rows) = self.guarded(&state, furthest, position).await? {
                self.count(Target::Replica, Reason::Waited);
                return Ok(Some(rows));
            }
        }
    }

    /// The rows, if the replica is far enough. One that breaks is not.
    async fn guarded(
        &self,
        state: &ShardState,
        replica: &Replica,
        position: Position,
    ) -> Result<Option<Vec<Row>>, AccessError> {
        let _in_flight = replica.member.statement();
        match replica.member.endpoint.read_guarded(position, self.query).await {
            Ok(Some(rows)) => {
                replica.progress.reached(position.lsn);
                Ok(Some(rows))
            }
            Ok(None) => Ok(None),
            Err(error) if may_go_elsewhere(state, &error) => {
                state.look_at(&replica.member);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Says if the session of this task would miss its own write at this replica.
    async fn detect(&self, replica: &Replica) {
        let Detector::On { window } = self.shared.settings.detector else { return };
        let session = Session::of_task();
        let Some(position) = session.and_then(|session| session.recent(self.shard(), window, clock::now()))
        else {
            return;
        };
        let progress = &replica.progress;
        let is_known = progress.timeline() == position.timeline && progress.lsn() >= position.lsn;
        if !is_known && let Ok(None) = replica.member.endpoint.read_guarded(position, self.query).await {
            let (statement, server) = (self.query.statement.name(), replica.member.endpoint.name());
            tracing::warn!(
                statement,
                shard = self.shard().0,
                server,
                "a read does not see what its session wrote: let it read after the position of that write"
            );
            self.shared.reads.would_be_stale();
        }
    }

    fn count(&self, target: Target, reason: Reason) {
        self.shared.reads.read(target, reason);
    }

    fn refused(&self, reason: Reason, begun: Instant) -> AccessError {
        self.count(Target::None, reason);
        let waited = clock::now().saturating_duration_since(begun);
        AccessError::Behind { shard: self.shard().0, waited }
    }

    fn shard(&self) -> ShardId {
        self.state.id
    }

    fn state(&self) -> Result<Arc<ShardState>, AccessError> {
        self.shared.shards.load().state(self.shard()).cloned().ok_or(AccessError::Unreachable)
    }
}

/// Of the replicas that are fit the less loaded of two at random.
fn choose(view: &View, is_fit: impl Fn(usize, &Replica) -> bool) -> Option<&Replica> {
    let replicas = &view.replicas[..];
    let choice = Choice { replicas, is_eligible: |index: usize| is_fit(index, &replicas[index]) };
    Algorithm::power_of_two(fastrand::u64(..)).pick(&choice, 0).map(|index| &replicas[index])
}

fn may_go_elsewhere(state: &ShardState, error: &AccessError) -> bool {
    match error.verdict().again {
        Again::Elsewhere => true,
        // The server left the topology between the choice and the statement.
        Again::Never => matches!(error, AccessError::Closed) && state.retired.is_cancelled(),
        Again::Transaction | Again::Primary | Again::Map => false,
    }
}
