mod model;

use Direction::{Back, Onward};
use Progress::{Achieved, Broken, Underway};
use Stage::{
    Aborted, BumpEpoch, CatchUp, CleanUp, Copy, Done, Drain, DrainBack, Open, Pause, PauseBack, Provision,
    Resume, ReturnEpoch, ReturnReads, ReverseStream, Soak, Stream, SwitchReads, TearDown, Verify,
};
use Step::{Enter, EnterOnward, Finish, Hold, Work};

use super::*;

const SHORT: Duration = PAUSE_MAX;
const LONG: Duration = Duration::from_millis(30_001);

fn step(stage: Stage, progress: Progress, direction: Direction, paused: Duration) -> Step {
    next(stage, &Observed { progress, direction, paused }).0
}

/// Every stage × every event. The columns: achieved, broken, paused for too long, asked to go back; one that is merely under way
/// works on in every stage but the last.
#[test]
fn every_event_in_every_stage() {
    let (reads, resume, epoch) = (Enter(ReturnReads), Enter(Resume), Enter(ReturnEpoch));
    let table = [
        // Writes are not paused in the first six, so that no pause is too long there; were one, going back would be right.
        (Provision, Enter(Stream), reads, reads, reads),
        (Stream, Enter(Copy), reads, reads, reads),
        (Copy, Enter(CatchUp), reads, reads, reads),
        (CatchUp, Enter(Verify), reads, reads, reads),
        (Verify, Enter(SwitchReads), reads, reads, reads),
        (SwitchReads, Enter(Pause), reads, reads, reads),
        (Pause, Enter(Drain), resume, resume, resume),
        (Drain, Enter(BumpEpoch), resume, resume, resume),
        (BumpEpoch, Enter(ReverseStream), epoch, epoch, epoch),
        (ReverseStream, Enter(Open), epoch, epoch, epoch),
        (Open, Enter(Soak), Work, Work, Work),
        (Soak, Enter(CleanUp), Hold, Work, Enter(PauseBack)),
        (CleanUp, Enter(Done), Work, Work, Work),
        (Done, Finish, Finish, Finish, Finish),
        (PauseBack, Enter(DrainBack), EnterOnward(Open), EnterOnward(Open), Work),
        (DrainBack, Enter(ReturnEpoch), EnterOnward(Open), EnterOnward(Open), Work),
        (ReturnEpoch, Enter(Resume), Work, Work, Work),
        (Resume, Enter(ReturnReads), Work, Work, Work),
        (ReturnReads, Enter(TearDown), Work, Work, Work),
        (TearDown, Enter(Aborted), Work, Work, Work),
        (Aborted, Finish, Finish, Finish, Finish),
    ];
    assert!(table.iter().map(|row| row.0).eq(Stage::ALL));
    for (stage, achieved, broken, too_long, back) in table {
        let is_over = matches!(stage, Done | Aborted);
        assert_eq!(step(stage, Underway, Onward, SHORT), if is_over { Finish } else { Work }, "{stage}");
        assert_eq!(step(stage, Achieved, Onward, SHORT), achieved, "{stage}");
        assert_eq!(step(stage, Achieved, Onward, LONG), achieved, "{stage}");
        assert_eq!(step(stage, Broken, Onward, SHORT), broken, "{stage}");
        assert_eq!(step(stage, Underway, Onward, LONG), too_long, "{stage}");
        assert_eq!(step(stage, Underway, Back, SHORT), back, "{stage}");
    }
}

#[test]
fn reasons_say_what_an_operator_has_to_know() {
    let reason = |stage, progress, direction, paused| {
        next(stage, &Observed { progress, direction, paused }).1.to_string()
    };
    assert_eq!(
        reason(Drain, Underway, Onward, LONG),
        "writes have been paused for 30.001s, at most 30s is allowed"
    );
    assert_eq!(
        reason(CleanUp, Underway, Back, SHORT),
        "going back was asked for after the point of no return"
    );
    assert_eq!(reason(Soak, Broken, Back, SHORT), "the stage cannot be achieved");
    assert_eq!(reason(Resume, Broken, Onward, SHORT), "the stage fails, and there is no way but through it");
}

/// A soak that cannot go back does not, though it was asked to.
#[test]
fn a_lost_stream_back_is_never_gone_back_over() {
    assert_eq!(step(Soak, Broken, Back, SHORT), Hold);
    assert_eq!(step(Soak, Achieved, Back, SHORT), Enter(PauseBack));
}
