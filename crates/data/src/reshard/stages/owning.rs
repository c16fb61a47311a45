//! Who answers reads, who takes writes, and the pause between.

use std::time::Duration;

use phalanx_shard::{BucketSet, map::ShardId, plan::Move};
use tokio::time::{self, error::Elapsed};

use super::Work;
use crate::reshard::{
    Fault, ReshardError,
    buckets::{self, Handover},
    executor::Executor,
    state::Stored,
    stream::{self, Begin, Health, Way, ends},
};

/// A shard that takes longer is passed over, so that one that hangs does not keep the change from the others. Longer than one waits
/// for a lock.
const SHARD_MAX: Duration = Duration::from_secs(4);
/// A target that the buckets are taken from before it was opened is waited for shortly.
const TARGET_MAX: Duration = Duration::from_secs(1);

impl Executor {
    /// Sends reads to the targets, and makes ready what the stream back needs: with writes paused it would take too long.
    pub(super) async fn switch_reads(&mut self) -> Result<Work, ReshardError> {
        self.read_tables().await?;
        let mut held = true;
        for step in &self.moves {
            let back = self.stream(step, Way::Back)?;
            back.publish(&self.memory.tables).await?;
            back.hold().await?;
            held &= back.is_held().await?;
        }
        if !held {
            return Ok(Work::Underway);
        }
        self.set_readers(true).await?;
        for step in &self.moves {
            self.stream(step, Way::Back)?.skip_to_end().await?;
        }
        Ok(Work::Achieved)
    }

    /// Sends reads to the owners.
    pub(super) async fn return_reads(&mut self) -> Result<Work, ReshardError> {
        self.set_readers(false).await?;
        Ok(Work::Achieved)
    }

    async fn set_readers(&mut self, to_targets: bool) -> Result<(), ReshardError> {
        let mut failed = None;
        for shard in self.in_order(Way::There) {
            let set = time::timeout(SHARD_MAX, self.set_readers_in(shard, to_targets)).await;
            failed = self.kept(shard, set).await.or(failed);
        }
        failed.map_or(Ok(()), Err)
    }

    async fn set_readers_in(&mut self, shard: ShardId, to_targets: bool) -> Result<(), ReshardError> {
        self.shards.connected(&[shard]).await?;
        let reader = |step: &Move| to_targets.then_some(step.target);
        let readers: Vec<_> = self.moves.iter().map(|step| (&step.buckets, reader(step))).collect();
        buckets::set_readers(self.shards.session(shard)?, &readers).await
    }

    /// What went wrong in a shard, kept for when all others have had their turn.
    async fn kept(
        &mut self,
        shard: ShardId,
        outcome: Result<Result<(), ReshardError>, Elapsed>,
    ) -> Option<ReshardError> {
        match outcome {
            Ok(done) => done.err(),
            Err(_) => {
                self.shards.drop_silent().await;
                Some(ReshardError::Stalled { action: "change its buckets", server: format!("shard {shard}") })
            }
        }
    }

    /// Pauses writes where they are.
    pub(super) async fn pause(&mut self, way: Way, epoch_max: u64) -> Result<Work, ReshardError> {
        self.connect_involved().await?;
        for (shard, buckets) in self.leaving(way) {
            let session = self.shards.session(shard)?;
            buckets::pause(session, &buckets, epoch_max).await?;
            let paused = "here AND state = 'paused'";
            if let Some(bucket) = buckets::first_without(session, &buckets, paused).await? {
                return Ok(Work::Broken(Fault::NotOwner { shard, bucket }));
            }
        }
        Ok(Work::Achieved)
    }

    /// Waits until the other side has everything. What a stream has confirmed is applied and kept there.
    pub(super) async fn drain(&mut self, way: Way) -> Result<Work, ReshardError> {
        if self.memory.marks.is_empty() {
            let mut marks = Vec::new();
            for step in &self.moves {
                marks.push(stream::mark(self.stream(step, way)?.publisher).await?);
            }
            self.memory.marks = marks;
        }
        for (step, mark) in self.moves.iter().zip(&self.memory.marks) {
            match self.stream(step, way)?.health().await? {
                Health::Lost(fault) => return Ok(Work::Broken(fault)),
                Health::Whole { confirmed, .. } if confirmed < *mark => return Ok(Work::Underway),
                Health::Whole { .. } => {}
            }
        }
        Ok(Work::Achieved)
    }

    /// Gives the buckets to the targets, paused. Those that give them up do so first: no two shards own one.
    pub(super) async fn bump_epoch(&mut self, epoch: u64) -> Result<Work, ReshardError> {
        let handovers = self.handovers(Way::There, epoch).await?;
        for shard in self.in_order(Way::There) {
            self.hand_over_in(shard, &handovers).await?;
        }
        Ok(Work::Achieved)
    }

    /// Gives them to the sources again, in the same order. Only where the targets have never been opened it does not matter what they
    /// still hold, since nobody can write there: one that hangs then does not keep the buckets from their sources, and is
    /// told before it is opened.
    pub(super) async fn return_epoch(&mut self, stored: &Stored) -> Result<Work, ReshardError> {
        let handovers = self.handovers(Way::Back, returned_epoch(stored)).await?;
        let (targets, others): (Vec<ShardId>, Vec<ShardId>) =
            self.in_order(Way::Back).into_iter().partition(|shard| self.is_target(*shard));
        if stored.moved_age.is_some() {
            for shard in targets.into_iter().chain(others) {
                self.hand_over_in(shard, &handovers).await?;
            }
            return Ok(Work::Achieved);
        }
        for shard in others {
            self.hand_over_in(shard, &handovers).await?;
        }
        for shard in targets {
            match time::timeout(TARGET_MAX, self.hand_over_in(shard, &handovers)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) if error.may_pass() => {}
                Ok(Err(error)) => return Err(error),
                Err(_) => self.shards.forget(shard),
            }
        }
        Ok(Work::Achieved)
    }

    fn is_target(&self, shard: ShardId) -> bool {
        self.moves.iter().any(|step| step.target == shard)
    }

    async fn handovers(&mut self, way: Way, epoch: u64) -> Result<Vec<Handover>, ReshardError> {
        let mut handovers = Vec::new();
        for step in self.moves.clone() {
            let owner = ends(step.source, step.target, way).1;
            self.shards.connected(&[owner]).await?;
            let session = self.shards.session(owner)?;
            let (since_timeline, since_lsn) = (session.timeline, buckets::log_end(session).await?);
            handovers.push(Handover { buckets: step.buckets, owner, epoch, since_timeline, since_lsn });
        }
        Ok(handovers)
    }

    async fn hand_over_in(&mut self, shard: ShardId, handovers: &[Handover]) -> Result<(), ReshardError> {
        self.shards.connected(&[shard]).await?;
        buckets::hand_over(self.shards.session(shard)?, handovers).await
    }

    /// Begins the streams back, from where the ones there have ended.
    pub(super) async fn reverse_streams(&mut self) -> Result<Work, ReshardError> {
        self.read_tables().await?;
        for step in &self.moves {
            if !self.stream(step, Way::There)?.drop().await? {
                return Ok(Work::Underway);
            }
        }
        let mut held = true;
        for step in &self.moves {
            let back = self.stream(step, Way::Back)?;
            back.publish(&self.memory.tables).await?;
            back.hold().await?;
            if !back.is_held().await? {
                held = false;
            } else if !back.is_subscribed().await? {
                back.skip_to_end().await?;
                back.subscribe(Begin::Changes).await?;
            }
        }
        Ok(Work::achieved_if(held))
    }

    /// Lets writes in at the targets: first there, which is what writers wait for, and everywhere that can be reached.
    pub(super) async fn open_buckets(&mut self) -> Result<Work, ReshardError> {
        self.open_in_all(Way::There, &[]).await
    }

    /// Lets writes in at the sources. A shard that the buckets were not taken from yet is told first.
    pub(super) async fn resume(&mut self, stored: &Stored) -> Result<Work, ReshardError> {
        let returned = returned_epoch(stored);
        let mut is_returned = false;
        for (source, moving) in self.leaving(Way::There) {
            self.shards.connected(&[source]).await?;
            let session = self.shards.session(source)?;
            let before = format!("epoch < {returned}");
            is_returned |= buckets::first_without(session, &moving, &before).await?.is_some();
        }
        let handovers = if is_returned { self.handovers(Way::Back, returned).await? } else { Vec::new() };
        self.open_in_all(Way::Back, &handovers).await
    }

    async fn open_in_all(&mut self, way: Way, handovers: &[Handover]) -> Result<Work, ReshardError> {
        let moving = self.moving();
        let mut failed = None;
        for shard in self.in_order(way.reversed()) {
            let opened = time::timeout(SHARD_MAX, self.open_in(shard, handovers, &moving)).await;
            failed = self.kept(shard, opened).await.or(failed);
        }
        failed.map_or(Ok(Work::Achieved), Err)
    }

    async fn open_in(
        &mut self,
        shard: ShardId,
        handovers: &[Handover],
        moving: &BucketSet,
    ) -> Result<(), ReshardError> {
        self.hand_over_in(shard, handovers).await?;
        buckets::open(self.shards.session(shard)?, moving).await
    }
}

/// The epoch under which the sources have their buckets again.
fn returned_epoch(stored: &Stored) -> u64 {
    stored.to.epoch() + 1
}
