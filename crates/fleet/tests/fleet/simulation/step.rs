//! What happens next in a trial.

use std::time::Duration;

use super::program::Program;

/// No more replicas are ever wanted; each is for ten requests at a time.
const REPLICAS_MAX: u32 = 5;
/// Now and then long enough for a liveness probe to fail.
const PASSES_MAX: u64 = 400;

/// Something that happens.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Scale(u32),
    /// So many requests at a time, by which the autoscaler decides.
    Load(u64),
    Restart,
    Undo,
    RollTo(Program),
    Pause,
    Resume,
    /// Of the replica at this place, modulo how many there are: the process gets KILL.
    Kill(usize),
    /// It gets STOP.
    Hold(usize),
    /// Every process that has got STOP gets CONT.
    Release,
    /// Time passes.
    Pass(Duration),
    /// It may come to rest.
    Settle,
}

impl Step {
    pub(super) fn choose(random: &mut fastrand::Rng) -> Self {
        match random.u32(..100) {
            0..10 => Self::Scale(random.u32(..=REPLICAS_MAX)),
            10..18 => Self::Load(random.u64(..=u64::from(REPLICAS_MAX) * 10)),
            18..25 => Self::Restart,
            25..30 => Self::Undo,
            30..45 => Self::RollTo(*random.choice(&Program::ALL).expect("there are some")),
            45..48 => Self::Pause,
            48..52 => Self::Resume,
            52..67 => Self::Kill(random.usize(..)),
            67..73 => Self::Hold(random.usize(..)),
            73..78 => Self::Release,
            78..92 => Self::Pass(Duration::from_millis(random.u64(..PASSES_MAX))),
            _ => Self::Settle,
        }
    }
}
