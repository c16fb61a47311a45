//! The loop of a run: look at what is stored, work on the stage, decide, store.
//!
//! An error is one of three: it may pass, and the work is tried again; it is another executor's doing, and this one ends; or it is
//! a fault of the stage, which is what [`next`] decides about.

use std::time::{Duration, Instant};

use phalanx_shard::{
    map::ShardId,
    plan::Move,
    reshard::{Direction, Observed, Progress, Stage, Step, next},
};
use phalanx_telemetry::clock;
use tokio::time;
use tokio_util::sync::CancellationToken;

use super::{
    Fault, Outcome, ReshardError,
    board::Board,
    buckets,
    shards::Shards,
    stages::{Memory, Work},
    state::{self, Passage, Stored},
};

/// Between two looks at a stage that waits for something soon to come.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// After something was in the way, and while what is waited for takes hours.
const TRY_AGAIN: Duration = Duration::from_millis(250);
/// While writes are paused, nothing is waited for longer than this without looking at the clock.
const WORK_MAX_PAUSED: Duration = Duration::from_secs(5);
/// What is stored is read and written within this, or its shard hangs.
const STORED_MAX: Duration = Duration::from_secs(10);
/// A shard that does not tell in time for how long writes are paused is left out.
const CLOCK_MAX: Duration = Duration::from_secs(2);

/// A resharding in the hand of this process.
pub(super) struct Executor {
    pub(super) shards: Shards,
    pub(super) board: Board,
    pub(super) moves: Vec<Move>,
    pub(super) memory: Memory,
    patience: Duration,
    /// What is in the way, and since when.
    trouble: Option<(Instant, ReshardError)>,
    /// For how long writes were paused when that was last known.
    paused: (Duration, Instant),
}

impl Executor {
    pub(super) fn new(shards: Shards, board: Board, stored: &Stored, patience: Duration) -> Self {
        Self {
            shards,
            board,
            moves: stored.moves(),
            memory: Memory::default(),
            patience,
            trouble: None,
            paused: (Duration::ZERO, clock::now()),
        }
    }

    /// Until it is over, told to stop, or cannot go on.
    pub(super) async fn run(&mut self, stop: &CancellationToken) -> Result<Outcome, ReshardError> {
        loop {
            let stored = match time::timeout(STORED_MAX, self.stored()).await {
                Ok(Ok(stored)) => stored,
                failed => {
                    let error = match failed {
                        Ok(Err(error)) => error,
                        _ => self.stalled("read what is stored").await,
                    };
                    self.bear(error)?;
                    // Nothing is known to be paused by this process if it cannot even read the stage.
                    if stop.is_cancelled() && self.paused.0.is_zero() {
                        return Ok(Outcome::Stopped(self.board.report().stage));
                    }
                    time::sleep(TRY_AGAIN).await;
                    continue;
                }
            };
            // Each stage is reported before anything is done in it.
            tokio::task::yield_now().await;
            if let Some(outcome) = self.step(&stored, stop).await? {
                return Ok(outcome);
            }
        }
    }

    async fn stored(&mut self) -> Result<Stored, ReshardError> {
        self.shards.connected(&[ShardId::FIRST]).await?;
        let stored = state::read(self.shards.session(ShardId::FIRST)?).await?;
        let stored = stored.ok_or(ReshardError::NotUnderWay)?;
        self.board.update(|report| {
            report.stage = stored.stage;
            report.direction = stored.direction;
        });
        Ok(stored)
    }

    /// One look at the stage, one piece of its work, one decision.
    async fn step(
        &mut self,
        stored: &Stored,
        stop: &CancellationToken,
    ) -> Result<Option<Outcome>, ReshardError> {
        let stage = stored.stage;
        let may_stop = !is_within_pause(stage);
        if may_stop && stop.is_cancelled() {
            return Ok(Some(Outcome::Stopped(stage)));
        }
        let worked = tokio::select! {
            biased;
            () = stop.cancelled(), if may_stop => None,
            worked = self.worked(stored) => Some(worked),
        };
        let Some(worked) = worked else { return Ok(Some(Outcome::Stopped(stage))) };
        let (progress, fault) = self.judged(worked)?;
        let paused = self.paused(stage).await;
        let (step, reason) = next(stage, &Observed { progress, direction: stored.direction, paused });
        self.board.update(|report| {
            report.reason = reason;
            report.paused = paused;
            if let Some(fault) = &fault {
                report.fault = Some(fault.clone());
            }
        });
        self.follow(step, stored, fault.as_ref()).await
    }

    /// Does what was decided; answers how it ended, if it has.
    async fn follow(
        &mut self,
        step: Step,
        stored: &Stored,
        fault: Option<&Fault>,
    ) -> Result<Option<Outcome>, ReshardError> {
        let (from, decided_for) = (stored.stage, stored.direction);
        let passage = match step {
            Step::Enter(to) => Passage { from, to, decided_for, direction: None, fault },
            Step::EnterOnward(to) => {
                Passage { from, to, decided_for, direction: Some(Direction::Onward), fault }
            }
            Step::Work | Step::Hold => {
                let is_long = step == Step::Hold || matches!(from, Stage::Copy | Stage::Soak);
                time::sleep(if is_long || self.trouble.is_some() { TRY_AGAIN } else { LOOK_AGAIN }).await;
                return Ok(None);
            }
            Step::Finish if from == Stage::Done => return Ok(Some(Outcome::Done)),
            Step::Finish => return Ok(Some(Outcome::Aborted)),
        };
        let entered = match time::timeout(STORED_MAX, self.enter(&passage)).await {
            Ok(entered) => entered,
            Err(_) => Err(self.stalled("store the stage").await),
        };
        entered.or_else(|error| self.bear(error))?;
        Ok(None)
    }

    async fn worked(&mut self, stored: &Stored) -> Result<Work, ReshardError> {
        if !is_within_pause(stored.stage) {
            return self.work(stored).await;
        }
        if let Ok(worked) = time::timeout(WORK_MAX_PAUSED, self.work(stored)).await {
            return worked;
        }
        Err(self.stalled("go on while writes are paused").await)
    }

    /// Lets go of the shards that hang, and reaches for those that do not.
    ///
    /// What was sent to a server that hangs is done when it wakes. It is done under the lock of a session that has ended by then,
    /// and nothing else is done there before that lock is free again.
    async fn stalled(&mut self, action: &'static str) -> ReshardError {
        let silent = self.shards.drop_silent().await.join(", ");
        for step in self.moves.clone() {
            for shard in [step.source, step.target] {
                // Whoever is not reached is tried again by the work that needs him.
                let _ = time::timeout(CLOCK_MAX, self.shards.connected(&[shard])).await;
            }
        }
        let server = if silent.is_empty() { "a shard".to_owned() } else { silent };
        ReshardError::Stalled { action, server }
    }

    /// What the work says of the stage.
    fn judged(
        &mut self,
        worked: Result<Work, ReshardError>,
    ) -> Result<(Progress, Option<Fault>), ReshardError> {
        match worked {
            Ok(work) => {
                self.trouble = None;
                self.board.update(|report| report.trouble = None);
                Ok(match work {
                    Work::Underway => (Progress::Underway, None),
                    Work::Achieved => (Progress::Achieved, None),
                    Work::Broken(fault) => (Progress::Broken, Some(fault)),
                })
            }
            Err(error) if error.is_anothers() => Err(error),
            Err(error) => {
                let fault = (!passes(&error)).then(|| Fault::Refused { error: error.chain() });
                let progress = if fault.is_some() { Progress::Broken } else { Progress::Underway };
                self.bear(error)?;
                Ok((progress, fault))
            }
        }
    }

    /// Keeps what is in the way, or gives up when it has been there for too long.
    fn bear(&mut self, error: ReshardError) -> Result<(), ReshardError> {
        if error.is_anothers() {
            return Err(error);
        }
        let text = error.chain();
        // Once for each thing that is in the way, not each time it is tried.
        if self.trouble.as_ref().is_none_or(|(_, known)| known.chain() != text) {
            tracing::warn!(error = text, "the resharding is held up");
        }
        self.board.update(|report| report.trouble = Some(text));
        let since = self.trouble.take().map_or_else(clock::now, |(since, _)| since);
        if since.elapsed() > self.patience {
            return Err(error);
        }
        self.trouble = Some((since, error));
        Ok(())
    }

    async fn enter(&mut self, passage: &Passage<'_>) -> Result<(), ReshardError> {
        if state::enter(self.shards.session(ShardId::FIRST)?, passage).await? {
            tracing::info!(from = passage.from.name(), to = passage.to.name(), "the resharding goes on");
            self.memory.enter();
        }
        Ok(())
    }

    /// For how long writes have been paused, by the shards' own clocks; where none answers, as long as was known and since then.
    async fn paused(&mut self, stage: Stage) -> Duration {
        if !is_within_pause(stage) {
            self.paused = (Duration::ZERO, clock::now());
            return Duration::ZERO;
        }
        let mut longest = None;
        for step in &self.moves {
            for shard in [step.source, step.target] {
                let Ok(session) = self.shards.session(shard) else { continue };
                let asked = time::timeout(CLOCK_MAX, buckets::paused(session, &step.buckets)).await;
                if let Ok(Ok(paused)) = asked {
                    longest = longest.max(Some(paused));
                }
            }
        }
        match longest {
            Some(paused) => self.paused = (paused, clock::now()),
            None if self.paused.0.is_zero() => {}
            None => return self.paused.0 + self.paused.1.elapsed(),
        }
        self.paused.0
    }
}

/// Whether writes may be paused in a stage. One that is left before they are open again leaves them paused.
fn is_within_pause(stage: Stage) -> bool {
    match stage {
        Stage::Pause
        | Stage::Drain
        | Stage::BumpEpoch
        | Stage::ReverseStream
        | Stage::Open
        | Stage::PauseBack
        | Stage::DrainBack
        | Stage::ReturnEpoch
        | Stage::Resume => true,
        Stage::Provision
        | Stage::Stream
        | Stage::Copy
        | Stage::CatchUp
        | Stage::Verify
        | Stage::SwitchReads
        | Stage::Soak
        | Stage::CleanUp
        | Stage::Done
        | Stage::ReturnReads
        | Stage::TearDown
        | Stage::Aborted => false,
    }
}

/// A lock that this process's last session has not let go of yet is no other executor's.
fn passes(error: &ReshardError) -> bool {
    error.may_pass() || matches!(error, ReshardError::Busy { .. })
}
