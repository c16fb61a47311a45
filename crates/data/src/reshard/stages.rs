//! The work of each stage, one piece at a time. All of it may be done twice.
//!
//! Elsewhere: what copies and compares (`copying`), what changes owners (`owning`), what takes away (`leaving`).

mod copying;
mod leaving;
mod owning;

use std::{collections::BTreeMap, time::Duration};

use phalanx_shard::{BucketSet, map::ShardId, plan::Move, reshard::Stage};

use super::{
    Fault, ReshardError, checks,
    executor::Executor,
    state::Stored,
    stream::{Health, Stream, Way, ends},
    tables::Table,
};

/// What a piece of work came to.
#[derive(Debug)]
pub(super) enum Work {
    /// There is more to do, or to wait for.
    Underway,
    /// What the stage is for holds.
    Achieved,
    /// It cannot come to hold by itself.
    Broken(Fault),
}

impl Work {
    fn achieved_if(achieved: bool) -> Self {
        if achieved { Self::Achieved } else { Self::Underway }
    }
}

/// What a run knows beside what is stored: nothing that cannot be found out again.
#[derive(Default)]
pub(super) struct Memory {
    tables: Vec<Table>,
    /// How many comparisons of a table and a move have been made in this stage.
    compared: usize,
    /// By move: where the log of its publisher was when writes had been paused.
    marks: Vec<u64>,
}

impl Memory {
    /// Another stage begins.
    pub(super) fn enter(&mut self) {
        self.compared = 0;
        self.marks.clear();
    }
}

impl Executor {
    /// One piece of the work of the stage.
    pub(super) async fn work(&mut self, stored: &Stored) -> Result<Work, ReshardError> {
        if let Some(fault) = self.fault(stored).await? {
            return Ok(Work::Broken(fault));
        }
        match stored.stage {
            Stage::Provision => self.provision().await,
            Stage::Stream => self.begin_streams(stored).await,
            Stage::Copy => self.copy(stored).await,
            Stage::CatchUp => self.catch_up().await,
            Stage::Verify => self.verify().await,
            Stage::SwitchReads => self.switch_reads().await,
            Stage::Pause => self.pause(Way::There, stored.from.epoch()).await,
            Stage::Drain => self.drain(Way::There).await,
            Stage::BumpEpoch => self.bump_epoch(stored.to.epoch()).await,
            Stage::ReverseStream => self.reverse_streams().await,
            Stage::Open => self.open_buckets().await,
            Stage::Soak => self.soak(stored).await,
            Stage::CleanUp => self.leave(stored, Way::Back).await,
            Stage::PauseBack => self.pause(Way::Back, stored.to.epoch()).await,
            Stage::DrainBack => self.drain(Way::Back).await,
            Stage::ReturnEpoch => self.return_epoch(stored).await,
            Stage::Resume => self.resume(stored).await,
            Stage::ReturnReads => self.return_reads().await,
            Stage::TearDown => self.leave(stored, Way::There).await,
            Stage::Done | Stage::Aborted => Ok(Work::Achieved),
        }
    }

    /// What has been lost that the stage relies on.
    async fn fault(&mut self, stored: &Stored) -> Result<Option<Fault>, ReshardError> {
        let (streaming, timelines) = match stored.stage {
            Stage::CatchUp | Stage::Verify | Stage::SwitchReads | Stage::Pause | Stage::Drain => {
                (Some(Way::There), true)
            }
            // An operator who ends the soak does without the way back.
            Stage::Soak if stored.pushed => (None, false),
            Stage::Soak | Stage::PauseBack | Stage::DrainBack => (Some(Way::Back), true),
            Stage::Copy | Stage::BumpEpoch | Stage::ReverseStream => (None, true),
            _ => (None, false),
        };
        if timelines && let Some(shard) = self.failed_over(stored).await? {
            return Ok(Some(Fault::FailedOver { shard }));
        }
        let Some(way) = streaming else { return Ok(None) };
        let mut lag = 0;
        for step in &self.moves {
            match self.stream(step, way)?.health().await? {
                Health::Lost(fault) => return Ok(Some(fault)),
                Health::Whole { lag_bytes, .. } => lag += lag_bytes,
            }
        }
        self.board.update(|report| report.lag_bytes = lag);
        Ok(None)
    }

    /// The first shard with another timeline than when the streams began. What a replica that took over has not replayed is lost to it,
    /// and a stream does not bring it again.
    async fn failed_over(&mut self, stored: &Stored) -> Result<Option<ShardId>, ReshardError> {
        let involved = self.involved();
        self.shards.connected(&involved).await?;
        for shard in involved {
            let known = stored.timelines.get(usize::from(shard.get()) - 1);
            if known.is_some_and(|known| {
                *known != self.shards.session(shard).map_or(*known, |found| found.timeline)
            }) {
                return Ok(Some(shard));
            }
        }
        Ok(None)
    }

    /// The shards that rows leave or come to.
    fn involved(&self) -> Vec<ShardId> {
        let mut ends: Vec<ShardId> = self.moves.iter().flat_map(|step| [step.source, step.target]).collect();
        ends.sort_unstable();
        ends.dedup();
        ends
    }

    /// All shards: first those that `way` leads away from, then those that it leads to, then the others.
    fn in_order(&self, way: Way) -> Vec<ShardId> {
        let from = self.moves.iter().map(|step| ends(step.source, step.target, way).0);
        let to = self.moves.iter().map(|step| ends(step.source, step.target, way).1);
        let mut order: Vec<ShardId> = Vec::new();
        for shard in from.chain(to).chain(self.shards.all()) {
            if !order.contains(&shard) {
                order.push(shard);
            }
        }
        order
    }

    fn stream<'a>(&'a self, step: &'a Move, way: Way) -> Result<Stream<'a>, ReshardError> {
        let (publisher, subscriber) = ends(step.source, step.target, way);
        Ok(Stream {
            publisher: self.shards.session(publisher)?,
            subscriber: self.shards.session(subscriber)?,
            buckets: &step.buckets,
        })
    }

    /// By shard that `way` leads away from: the buckets that move.
    fn leaving(&self, way: Way) -> BTreeMap<ShardId, BucketSet> {
        self.by_end(|step| ends(step.source, step.target, way).0)
    }

    fn by_end(&self, end: impl Fn(&Move) -> ShardId) -> BTreeMap<ShardId, BucketSet> {
        let mut sets = BTreeMap::<ShardId, Vec<_>>::new();
        for step in &self.moves {
            sets.entry(end(step)).or_default().extend(step.buckets.iter());
        }
        sets.into_iter().map(|(shard, buckets)| (shard, buckets.into_iter().collect())).collect()
    }

    /// All that moves.
    fn moving(&self) -> BucketSet {
        self.moves.iter().flat_map(|step| step.buckets.iter()).collect()
    }

    async fn connect_involved(&mut self) -> Result<(), ReshardError> {
        let involved = self.involved();
        self.shards.connected(&involved).await
    }

    /// The fenced tables, read once in a run.
    async fn read_tables(&mut self) -> Result<(), ReshardError> {
        self.connect_involved().await?;
        if self.memory.tables.is_empty() {
            self.memory.tables = checks::common_tables(&self.shards, &self.moves).await?;
            let tables = self.memory.tables.len() as u64;
            let buckets: u64 = self.moves.iter().map(|step| step.buckets.len() as u64).sum();
            self.board.update(|report| report.verified.buckets_all = tables * buckets);
        }
        Ok(())
    }

    async fn soak(&mut self, stored: &Stored) -> Result<Work, ReshardError> {
        let left = if stored.pushed { Duration::ZERO } else { stored.soak.saturating_sub(stored.stage_age) };
        self.board.update(|report| report.soak_left = left);
        Ok(Work::achieved_if(left.is_zero()))
    }
}
