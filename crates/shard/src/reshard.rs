//! The way of buckets from their old shards to their new ones while both serve, one stage after the other.
//!
//! ```text
//! provision → stream → copy → catch up → verify → switch reads → pause → drain → bump epoch → reverse stream → open
//!     │          │       │       │          │          │           │       │         │             │           ↕
//!     └──────────┴───────┴───────┴──────────┴──────────┤           └───────┤         └──────┬──────┘   pause back → drain back
//!                                                      ↓                   ↓                ↓               │
//!           aborted ← tear down ← return reads ←───────┴──────────────── resume ←──── return epoch ←────────┘
//!
//! open → soak → clean up → done
//! ```
//!
//! [`next`] decides one step from the stage that is stored and from what the databases show. The executor stores the stage
//! before it acts on it, and every action is idempotent, so a crash costs the work of one action and nothing else: whoever comes
//! next asks again.
//!
//! Invariant: the targets take no write before the sources have given the buckets up and a stream runs back to them. So until
//! `open` going back loses nothing, after it nothing is lost either, and never do two shards take writes of one bucket.
//! Invariant: no pause of writes outlasts [`PAUSE_MAX`] by more than the step that ends it.
//! Elsewhere: the actions, and the fence that enforces epoch and pause in the database (`phalanx-data`).

mod stage;

use std::{fmt, time::Duration};

pub use self::stage::{NoSuchStage, Stage};

/// How long writes of the moving buckets may be paused before the old state returns.
pub const PAUSE_MAX: Duration = Duration::from_secs(30);

/// How far the work of a stage is, as the databases show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is more to do, or to wait for.
    Underway,
    /// What the stage is for holds, on every shard.
    Achieved,
    /// It cannot come to hold by itself: rows differ, a stream is lost, a shard is gone.
    Broken,
}

/// What the operator wants. Stored with the stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Move the buckets.
    Onward,
    /// Leave them where they were.
    Back,
}

/// What is known when a step is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed {
    /// How far the stage is.
    pub progress: Progress,
    /// What the operator wants.
    pub direction: Direction,
    /// How long writes of the moving buckets have been paused, by the clock of the shard where they are; zero if they are not.
    pub paused: Duration,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Go on with the work of the stage, and look again.
    Work,
    /// Store this stage; only then look again.
    Enter(Stage),
    /// Store this stage and [`Direction::Onward`]: going back has failed, and trying again is the operator's to say.
    EnterOnward(Stage),
    /// Do nothing that cannot be undone, tell an operator, and look again.
    Hold,
    /// There is nothing left to do.
    Finish,
}

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The stage is not where it should be.
    Underway,
    /// The stage has done its work.
    Achieved,
    /// The stage cannot do its work.
    Broken,
    /// The stage cannot do its work, and only trying again leads out of it.
    BrokenButOneWay,
    /// The operator wants back.
    Asked,
    /// The operator wants back, when this stage allows it no longer.
    AskedTooLate,
    /// Writes have been paused for too long.
    PausedTooLong {
        /// How long.
        paused: Duration,
    },
    /// All is over.
    Over,
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Underway => formatter.write_str("the stage is under way"),
            Self::Achieved => formatter.write_str("the stage is achieved"),
            Self::Broken => formatter.write_str("the stage cannot be achieved"),
            Self::BrokenButOneWay => {
                formatter.write_str("the stage fails, and there is no way but through it")
            }
            Self::Asked => formatter.write_str("going back was asked for"),
            Self::AskedTooLate => {
                formatter.write_str("going back was asked for after the point of no return")
            }
            Self::PausedTooLong { paused } => {
                write!(formatter, "writes have been paused for {paused:?}, at most {PAUSE_MAX:?} is allowed")
            }
            Self::Over => formatter.write_str("the resharding is over"),
        }
    }
}

/// The next step of a resharding in `stage`.
#[must_use]
pub fn next(stage: Stage, observed: &Observed) -> (Step, Reason) {
    match stage.way_back() {
        WayBack::Over => (Step::Finish, Reason::Over),
        WayBack::To(back) => forward_unless_stopped(stage, back, observed),
        WayBack::Onward(open) => back_unless_stopped(stage, open, observed),
        WayBack::None => through(stage, observed),
        WayBack::WhenWhole(back) => soaked(stage, back, observed),
    }
}

/// Where a stage leads when it must not or cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WayBack {
    /// To this stage, whatever happened.
    To(Stage),
    /// To this stage, and only while the stream back is whole.
    WhenWhole(Stage),
    /// The stage is itself part of the way back; what fails here leads on to this one.
    Onward(Stage),
    /// Nowhere: it is tried until it succeeds.
    None,
    /// There is nothing to go back from.
    Over,
}

impl Stage {
    fn way_back(self) -> WayBack {
        match self {
            Self::Provision
            | Self::Stream
            | Self::Copy
            | Self::CatchUp
            | Self::Verify
            | Self::SwitchReads => WayBack::To(Self::ReturnReads),
            Self::Pause | Self::Drain => WayBack::To(Self::Resume),
            // Some shards may know the greater epoch by then. An epoch that is greater still gives the sources their buckets back.
            Self::BumpEpoch | Self::ReverseStream => WayBack::To(Self::ReturnEpoch),
            Self::Soak => WayBack::WhenWhole(Self::PauseBack),
            Self::PauseBack | Self::DrainBack => WayBack::Onward(Self::Open),
            Self::Open
            | Self::CleanUp
            | Self::ReturnEpoch
            | Self::Resume
            | Self::ReturnReads
            | Self::TearDown => WayBack::None,
            Self::Done | Self::Aborted => WayBack::Over,
        }
    }
}

fn forward_unless_stopped(stage: Stage, back: Stage, observed: &Observed) -> (Step, Reason) {
    if observed.direction == Direction::Back {
        return (Step::Enter(back), Reason::Asked);
    }
    match observed.progress {
        Progress::Broken => (Step::Enter(back), Reason::Broken),
        // Before the question whether it took too long: the step onwards ends the pause sooner than the way back.
        Progress::Achieved => achieved(stage),
        Progress::Underway if too_long(observed) => {
            (Step::Enter(back), Reason::PausedTooLong { paused: observed.paused })
        }
        Progress::Underway => (Step::Work, Reason::Underway),
    }
}

fn back_unless_stopped(stage: Stage, open: Stage, observed: &Observed) -> (Step, Reason) {
    match observed.progress {
        Progress::Achieved => achieved(stage),
        Progress::Broken => (Step::EnterOnward(open), Reason::Broken),
        Progress::Underway if too_long(observed) => {
            (Step::EnterOnward(open), Reason::PausedTooLong { paused: observed.paused })
        }
        Progress::Underway => (Step::Work, Reason::Underway),
    }
}

fn through(stage: Stage, observed: &Observed) -> (Step, Reason) {
    match (observed.progress, observed.direction) {
        (Progress::Achieved, _) => achieved(stage),
        (Progress::Broken, _) => (Step::Work, Reason::BrokenButOneWay),
        (Progress::Underway, Direction::Back) if stage == Stage::CleanUp => {
            (Step::Work, Reason::AskedTooLate)
        }
        (Progress::Underway, _) => (Step::Work, Reason::Underway),
    }
}

/// A soak whose stream back is lost neither goes back, which would lose writes, nor cleans up, which an operator has to want.
fn soaked(stage: Stage, back: Stage, observed: &Observed) -> (Step, Reason) {
    match (observed.progress, observed.direction) {
        (Progress::Broken, _) => (Step::Hold, Reason::Broken),
        (_, Direction::Back) => (Step::Enter(back), Reason::Asked),
        (Progress::Achieved, Direction::Onward) => achieved(stage),
        (Progress::Underway, Direction::Onward) => (Step::Work, Reason::Underway),
    }
}

fn achieved(stage: Stage) -> (Step, Reason) {
    (stage.following().map_or(Step::Finish, Step::Enter), Reason::Achieved)
}

fn too_long(observed: &Observed) -> bool {
    observed.paused > PAUSE_MAX
}

#[cfg(test)]
mod tests;
