//! Moves buckets between shards while both serve: the executor of `phalanx data reshard`.
//!
//! What comes next is decided by [`phalanx_shard::reshard::next`] from what is stored and from what the databases show. Here it is
//! done: rows travel by PostgreSQL's logical replication, with row filters for the buckets that move; who may write is changed in
//! `phalanx.buckets`, whose fence every writer passes.
//!
//! ```no_run
//! # async fn example(servers: phalanx_data::Servers) -> Result<(), phalanx_data::reshard::ReshardError> {
//! use phalanx_data::{ServerSettings, reshard::{Options, Resharding}};
//! use phalanx_shard::Placement;
//!
//! let options = Options { shards_to: 4, ..Options::new(4) };
//! let resharding = Resharding::begin(&servers, &ServerSettings::new(""), Placement::Hashed, options).await?;
//! let stop = tokio_util::sync::CancellationToken::new();
//! let outcome = resharding.run(|report| eprintln!("{}", report.stage), stop).await?;
//! # Ok(()) }
//! ```
//!
//! Invariants: a stage is stored before it is acted on, and every action looks first whether it was done, so that a run may end
//! anywhere, however hard, and the next one goes on; one executor acts at a time, under a lock in each shard that its session holds
//! (`session`); writes are never left paused by a run that was asked to stop.
//! Elsewhere: the order of the stages (`phalanx-shard`); what API processes do while buckets move (`crate::topology`).
//! How it fails: [`ReshardError`] before anything has changed. After that a fault leads back to where the buckets were, as long as
//! there is a way back, and is told in [`Report::fault`]; what may pass is told in [`Report::trouble`] and tried again.
//!
//! The servers connect to one another with the users and passwords of the environment's URLs, which PostgreSQL keeps in
//! `pg_subscription` until the streams are dropped. Sequences and tables that are not fenced stay where they are.

mod board;
mod buckets;
mod checks;
mod error;
mod executor;
mod filter;
mod report;
mod rows;
mod session;
mod shards;
mod stages;
mod state;
mod stream;
mod tables;
mod undo;
mod verify;

use std::time::Duration;

use phalanx_shard::{
    Placement,
    map::ShardId,
    plan::Plan,
    reshard::{Reason, Stage},
};
use tokio::time;
use tokio_util::sync::CancellationToken;

use self::{
    board::Board,
    executor::Executor,
    session::{Session, Standing},
    shards::Shards,
    state::Stored,
};
pub use self::{
    error::ReshardError,
    report::{Fault, Outcome, Report, Status, TableProgress, Verified},
};
use crate::{ServerSettings, Servers};

/// Reports of a stage under way come at least that often.
const REPORT_PERIOD: Duration = Duration::from_millis(250);

/// How a resharding is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The shards from 1 to this number hold everything in the end.
    pub shards_to: u16,
    /// How long all is served from the new owners, with the way back open, before the old owners' rows are deleted.
    /// Longer than a process may take to hear of the new map ([`crate::Settings::map_period`], and more where servers do not answer): one
    /// that reads by the old map finds nothing where the rows are gone.
    pub soak: Duration,
    /// How long one thing may be in the way, a server that is away or a lock, before a run gives up. Another goes on.
    pub patience: Duration,
}

impl Options {
    /// To so many shards; everything else as most want it.
    #[must_use]
    pub fn new(shards_to: u16) -> Self {
        Self { shards_to, soak: Duration::from_secs(60 * 60), patience: Duration::from_secs(10 * 60) }
    }
}

/// A resharding that is stored and not over, in the hand of this process.
pub struct Resharding {
    executor: Executor,
}

impl Resharding {
    /// Begins a resharding, or goes on with the one under way if it leads to as many shards; the options of that one stay.
    ///
    /// `servers` names all shards, those that are and those that are to be, each with its tables (`crate::migrate`). The URL in `connections` is
    /// replaced by each server's.
    ///
    /// # Errors
    /// When a server is not fit for it, another process runs it, or another resharding is under way. Nothing has changed then.
    pub async fn begin(
        servers: &Servers,
        connections: &ServerSettings,
        placement: Placement,
        options: Options,
    ) -> Result<Self, ReshardError> {
        let mut shards = Shards::new(servers.clone(), connections.clone());
        shards.connected(&[ShardId::FIRST]).await?;
        match state::read(shards.session(ShardId::FIRST)?).await? {
            Some(stored) if !stored.is_over() => {
                if stored.shards_to != options.shards_to {
                    return Err(ReshardError::Another {
                        under_way: stored.shards_to,
                        stage: stored.stage.to_string(),
                        wanted: options.shards_to,
                    });
                }
                return Ok(Self::of(shards, &stored, options.patience));
            }
            _ => {}
        }
        let map = checks::common_map(&mut shards).await?;
        let plan = checks::planned(&map, placement, options.shards_to, servers.shards().len())?;
        checks::able(&shards, &plan.moves).await?;
        checks::common_tables(&shards, &plan.moves).await?;
        let first = shards.session(ShardId::FIRST)?;
        state::begin(first, &map, &plan, options.shards_to, options.soak).await?;
        let stored = state::read(first).await?.ok_or(ReshardError::NotUnderWay)?;
        Ok(Self::of(shards, &stored, options.patience))
    }

    /// Goes on with the resharding under way, wherever it leads.
    ///
    /// # Errors
    /// When there is none, another process runs it, or the first shard cannot be reached.
    pub async fn resume(servers: &Servers, connections: &ServerSettings) -> Result<Self, ReshardError> {
        let mut shards = Shards::new(servers.clone(), connections.clone());
        shards.connected(&[ShardId::FIRST]).await?;
        let stored = state::read(shards.session(ShardId::FIRST)?).await?;
        let stored = stored.filter(|stored| !stored.is_over()).ok_or(ReshardError::NotUnderWay)?;
        Ok(Self::of(shards, &stored, Options::new(stored.shards_to).patience))
    }

    fn of(shards: Shards, stored: &Stored, patience: Duration) -> Self {
        let board = Board::new(Report {
            stage: stored.stage,
            direction: stored.direction,
            reason: Reason::Underway,
            moves: stored.moves(),
            tables: Vec::new(),
            lag_bytes: 0,
            paused: Duration::ZERO,
            verified: Verified::default(),
            rows_deleted: 0,
            soak_left: stored.soak,
            fault: stored.fault.clone().map(|text| Fault::Stored { text }),
            trouble: None,
        });
        Self { executor: Executor::new(shards, board, stored, patience) }
    }

    /// Where it is and what moves, before it runs.
    #[must_use]
    pub fn report(&self) -> Report {
        self.executor.board.report()
    }

    /// Runs it to its end, reporting every stage and four times a second.
    ///
    /// `stop` ends it at once, but while writes are paused: then when they are let in again, which takes half a minute
    /// at most as long as the shards answer. Dropping the future is as good as a crash.
    ///
    /// # Errors
    /// When something was in the way for longer than [`Options::patience`], or another process has taken over. What is stored stays,
    /// and another run goes on from there.
    pub async fn run(
        mut self,
        mut report: impl FnMut(&Report) + Send,
        stop: CancellationToken,
    ) -> Result<Outcome, ReshardError> {
        let board = self.executor.board.clone();
        let (mut changes, mut ticks) = (board.watch(), time::interval(REPORT_PERIOD));
        let mut work = std::pin::pin!(self.executor.run(&stop));
        let outcome = loop {
            tokio::select! {
                biased;
                outcome = &mut work => break outcome,
                // The board is there as long as the executor is.
                _ = changes.changed() => {}
                _ = ticks.tick() => {}
            }
            report(&board.report());
            // Whoever has seen enough may drop this before anything else is done.
            tokio::task::yield_now().await;
        };
        report(&board.report());
        outcome
    }
}

/// What a resharding to so many shards would move. Changes nothing.
///
/// # Errors
/// As [`Resharding::begin`], but for a resharding that is under way.
pub async fn plan(
    servers: &Servers,
    connections: &ServerSettings,
    placement: Placement,
    shards_to: u16,
) -> Result<Plan, ReshardError> {
    let mut shards = Shards::new(servers.clone(), connections.clone());
    let map = checks::common_map(&mut shards).await?;
    let plan = checks::planned(&map, placement, shards_to, servers.shards().len())?;
    checks::able(&shards, &plan.moves).await?;
    checks::common_tables(&shards, &plan.moves).await?;
    Ok(plan)
}

/// What is stored of the resharding under way, or of the last one; `None` if there has been none.
///
/// # Errors
/// When the first shard cannot be asked.
pub async fn status(servers: &Servers, connections: &ServerSettings) -> Result<Option<Status>, ReshardError> {
    first(servers, connections, async |first| Ok(state::read(&first).await?.map(Stored::status))).await
}

/// Asks for the way back, which the process that runs the resharding then takes, or the next one that does. Answers the stage that it
/// was asked in.
///
/// # Errors
/// When nothing is under way, or the old owners' rows are being deleted already.
pub async fn ask_back(servers: &Servers, connections: &ServerSettings) -> Result<Stage, ReshardError> {
    first(servers, connections, async |first| state::ask_back(&first).await).await
}

/// Ends the soak, at once or as soon as it begins. With it the way back ends. Answers the stage that it was asked in.
///
/// # Errors
/// When nothing is under way.
pub async fn finish_soak(servers: &Servers, connections: &ServerSettings) -> Result<Stage, ReshardError> {
    first(servers, connections, async |first| state::finish_soak(&first).await).await
}

/// Beside the process that runs it.
async fn first<T>(
    servers: &Servers,
    connections: &ServerSettings,
    ask: impl AsyncFnOnce(Session) -> Result<T, ReshardError>,
) -> Result<T, ReshardError> {
    let mut shards = Shards::new(servers.clone(), connections.clone());
    let session = shards.open(ShardId::FIRST, Standing::Onlooker).await?;
    ask(session).await
}
