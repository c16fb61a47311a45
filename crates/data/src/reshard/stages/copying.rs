//! From the first look at the targets to two copies that are the same.

use phalanx_shard::map::ShardId;

use super::Work;
use crate::reshard::{
    Fault, ReshardError, TableProgress, Verified, buckets,
    executor::Executor,
    rows, state,
    state::Stored,
    stream::{Begin, Way},
    undo::{self, Kind},
    verify,
};

/// A stream that lags less is as good as caught up: what is left takes less time than pausing writes does.
const LAG_MAX_BYTES: u64 = 1 << 20;

impl Executor {
    /// Clears the targets of what an earlier attempt has left.
    pub(super) async fn provision(&mut self) -> Result<Work, ReshardError> {
        self.read_tables().await?;
        if !self.drop_streams().await? {
            return Ok(Work::Underway);
        }
        for step in &self.moves {
            let (source, target) = (self.shards.session(step.source)?, self.shards.session(step.target)?);
            let here = format!("owner = {}", step.source);
            for session in [source, target] {
                if let Some(bucket) = buckets::first_without(session, &step.buckets, &here).await? {
                    return Ok(Work::Broken(Fault::NotOwner { shard: session.shard, bucket }));
                }
            }
            let board = &self.board;
            let count = |deleted| board.update(|report| report.rows_deleted += deleted);
            rows::delete(target, &self.memory.tables, &step.buckets, count).await?;
        }
        Ok(Work::Achieved)
    }

    /// Begins to keep what changes on the sources.
    pub(super) async fn begin_streams(&mut self, stored: &Stored) -> Result<Work, ReshardError> {
        self.read_tables().await?;
        if stored.timelines.is_empty() {
            let all = self.shards.all();
            self.shards.connected(&all).await?;
            let timelines: Result<Vec<i32>, ReshardError> =
                all.iter().map(|shard| Ok(self.shards.session(*shard)?.timeline)).collect();
            state::keep_timelines(self.shards.session(ShardId::FIRST)?, &timelines?).await?;
        }
        let mut held = true;
        for step in &self.moves {
            let stream = self.stream(step, Way::There)?;
            for table in &self.memory.tables {
                undo::widen_identity(stream.publisher, table).await?;
                // For the stream back, which begins while writes are paused.
                undo::widen_identity(stream.subscriber, table).await?;
            }
            stream.publish(&self.memory.tables).await?;
            stream.hold().await?;
            held &= stream.is_held().await?;
        }
        Ok(Work::achieved_if(held))
    }

    /// Copies what is there, and indexes it.
    pub(super) async fn copy(&mut self, stored: &Stored) -> Result<Work, ReshardError> {
        self.read_tables().await?;
        let mut copied = true;
        for step in &self.moves {
            let stream = self.stream(step, Way::There)?;
            if !stream.is_subscribed().await? {
                // Who owns nothing serves nobody, so nobody misses its indexes.
                if stored.from.buckets(step.target).is_empty() {
                    for table in &self.memory.tables {
                        undo::put_indexes_aside(stream.subscriber, table).await?;
                    }
                }
                stream.subscribe(Begin::WithCopy).await?;
            }
            if let Some(fault) = stream.lost().await? {
                return Ok(Work::Broken(fault));
            }
            match stream.is_copied().await? {
                Ok(is_copied) => copied &= is_copied,
                Err(fault) => return Ok(Work::Broken(fault)),
            }
        }
        self.show_copies().await?;
        if copied {
            for target in self.leaving(Way::Back).into_keys() {
                undo::restore(self.shards.session(target)?, Kind::Index).await?;
            }
        }
        Ok(Work::achieved_if(copied))
    }

    async fn show_copies(&self) -> Result<(), ReshardError> {
        let mut all = Vec::new();
        for step in &self.moves {
            let (source, target) = (step.source, step.target);
            let copied = self.stream(step, Way::There)?.copied(&self.memory.tables).await?;
            all.extend(copied.into_iter().map(|(table, rows_copied, rows_all)| TableProgress {
                table,
                source,
                target,
                rows_copied,
                rows_all,
            }));
        }
        self.board.update(|report| report.tables = all);
        Ok(())
    }

    /// Waits until the streams are close behind.
    pub(super) async fn catch_up(&mut self) -> Result<Work, ReshardError> {
        let lag = self.board.report().lag_bytes;
        Ok(Work::achieved_if(lag < LAG_MAX_BYTES))
    }

    /// Compares one table of one move.
    pub(super) async fn verify(&mut self) -> Result<Work, ReshardError> {
        self.read_tables().await?;
        let tables = self.memory.tables.len();
        if self.memory.compared == 0 {
            self.board.update(|report| {
                report.verified =
                    Verified { buckets_all: report.verified.buckets_all, ..Verified::default() };
            });
        }
        let (step, table) = (self.memory.compared / tables, self.memory.compared % tables);
        let Some(step) = self.moves.get(step) else { return Ok(Work::Achieved) };
        let (stream, board) = (self.stream(step, Way::There)?, &self.board);
        let count = |counted: &dyn Fn(&mut Verified)| board.update(|report| counted(&mut report.verified));
        if let Some(fault) = verify::table(&stream, &self.memory.tables[table], count).await? {
            return Ok(Work::Broken(fault));
        }
        self.memory.compared += 1;
        Ok(Work::achieved_if(self.memory.compared == self.moves.len() * tables))
    }
}
