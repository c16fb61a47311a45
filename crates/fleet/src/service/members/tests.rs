use phalanx_scale::rollout::{Policy, Rollout};

use super::*;
use crate::state::ProcessState;

const SECOND: Duration = Duration::from_secs(1);

fn version() -> Version {
    Rollout::new(Policy::default(), 0, (), Duration::ZERO).current().version
}

fn now() -> Instant {
    phalanx_telemetry::clock::now()
}

/// A replica on the board; with a process where it says so.
fn on_board(ordinal: u32, standing: Standing, process: Option<ProcessState>, since: Instant) -> ReplicaState {
    let instance = format!("api-{ordinal}").into();
    ReplicaState {
        instance,
        ordinal,
        revision: 1,
        standing,
        since,
        process,
        restarts: 3,
        last_exit: None,
        last_output: Default::default(),
    }
}

#[test]
fn a_new_replica_gets_the_lowest_free_place_and_the_highest_number() {
    let mut members = Members::default();
    let enlist = |members: &mut Members| {
        let ordinal = members.enlist(version(), now());
        (ordinal, members.get(ordinal).unwrap().id.0)
    };
    let first: Vec<_> = (0..4).map(|_| enlist(&mut members)).collect();
    assert_eq!(first, [(1, 0), (2, 1), (3, 2), (4, 3)]);
    // One that is told to stop has its place until it is gone.
    assert_eq!(members.tell_to_stop(ReplicaId(1)), Some(2));
    assert_eq!(members.tell_to_stop(ReplicaId(1)), None, "it knows already");
    assert_eq!(enlist(&mut members), (5, 4));
    members.dismiss(2);
    members.dismiss(1);
    members.dismiss(4);
    let next: Vec<_> = (0..4).map(|_| enlist(&mut members)).collect();
    assert_eq!(next, [(1, 5), (2, 6), (4, 7), (6, 8)]);
}

#[test]
fn every_standing_means_something_to_a_rollout() {
    let began = now();
    let until = began + SECOND;
    let process = Some(ProcessState { pid: 1, address: ([127, 0, 0, 1], 80).into() });
    for (stands, process, seen) in [
        (Standing::Starting, None, rollout::Standing::Waiting),
        (Standing::Starting, process, rollout::Standing::Starting),
        (Standing::Ready, process, rollout::Standing::Ready { since: 5 * SECOND }),
        (Standing::NotReady, process, rollout::Standing::NotReady),
        (Standing::BackingOff { until }, None, rollout::Standing::Waiting),
        (Standing::CrashLoop { until }, None, rollout::Standing::Waiting),
        // Its startup probe has failed: it ends, and gets another process.
        (Standing::Stopping, process, rollout::Standing::Waiting),
        (Standing::Draining, process, rollout::Standing::Draining),
        (Standing::Stopped, None, rollout::Standing::Draining),
    ] {
        let mut members = Members::default();
        members.enlist(version(), began);
        let board = [on_board(1, stands, process, began + 5 * SECOND)];
        let observed = members.observed(&board, began);
        assert_eq!((observed[0].standing, observed[0].restarts), (seen, 3), "{stands:?}");

        members.tell_to_stop(ReplicaId(0));
        let observed = members.observed(&board, began);
        assert_eq!(observed[0].standing, rollout::Standing::Draining, "{stands:?}, told to stop");
    }
}

#[test]
fn who_has_put_nothing_on_the_board_yet_waits() {
    let began = now();
    let mut members = Members::default();
    for _ in 0..3 {
        members.enlist(version(), began);
    }
    // Ready before the clock of the rollout began: as good as at its beginning.
    let early = began.checked_sub(SECOND).unwrap_or(began);
    let board = [on_board(2, Standing::Ready, None, early)];
    let observed = members.observed(&board, began).into_iter().map(|replica| replica.standing);
    let ready = rollout::Standing::Ready { since: Duration::ZERO };
    assert_eq!(observed.collect::<Vec<_>>(), [rollout::Standing::Waiting, ready, rollout::Standing::Waiting]);
    assert_eq!(members.count(version()), 3);
    members.tell_all_to_stop();
    assert_eq!(members.count(version()), 0);
}
