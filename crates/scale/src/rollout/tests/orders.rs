//! Every order in every state, and plans that come too late.

use std::fmt::Write as _;

use expect_test::expect;

use super::*;

const DEADLINE: Duration = Duration::from_secs(60);

fn policy(on_stall: OnStall) -> Policy {
    let patience = Patience::new(Duration::ZERO, Some(DEADLINE)).unwrap();
    Policy { patience, on_stall, ..pace("1", "0") }
}

fn status(rollout: &mut Rollout<char>, replicas: &str, now: Duration) -> Reasons {
    let observed = observed(rollout, replicas);
    rollout.plan(&observed, now).1
}

/// The history, and what a look at `replicas` says.
fn line(rollout: &mut Rollout<char>, replicas: &str, now: Duration) -> String {
    let status = status(rollout, replicas, now).status;
    let history: Vec<_> =
        rollout.history().map(|entry| format!("{}{}", entry.revision, entry.template)).collect();
    format!("{} of {}, {status}", rollout.desired(), history.join(" "))
}

#[test]
fn every_state_takes_every_event() {
    type Order = fn(&mut Rollout<char>) -> String;
    let orders: [(&str, Order); 11] = [
        ("roll to the same", |rollout| format!("{:?}", rollout.roll_to('B', LATER))),
        ("roll to another", |rollout| format!("{:?}", rollout.roll_to('C', LATER))),
        ("roll to an earlier one", |rollout| format!("{:?}", rollout.roll_to('A', LATER))),
        ("restart", |rollout| {
            rollout.restart(LATER).map_or_else(|error| error.to_string(), |_| String::new())
        }),
        ("undo", |rollout| {
            rollout.undo(Target::Previous, LATER).map_or_else(|error| error.to_string(), |_| String::new())
        }),
        ("scale", |rollout| {
            rollout.scale(3);
            String::new()
        }),
        ("pause", |rollout| {
            rollout.pause();
            String::new()
        }),
        ("resume", |rollout| {
            rollout.resume(LATER);
            String::new()
        }),
        ("all are available", |rollout| status(rollout, "BB", LATER).to_string()),
        ("some are lost", |rollout| status(rollout, "Bb.", LATER).to_string()),
        ("time passes", |rollout| status(rollout, "AAb.", LATER + DEADLINE).to_string()),
    ];
    let mut table = String::new();
    for state in ["progressing", "stalled", "arrived", "paused"] {
        writeln!(table, "{state}").unwrap();
        for (name, order) in orders {
            let mut rollout = rollout(policy(OnStall::Hold), 2, "AB");
            match state {
                "progressing" => rollout = Rollout::clone(&began_late()),
                "stalled" => _ = status(&mut rollout, "AAb", LATER),
                "arrived" => _ = status(&mut rollout, "BB", LATER),
                _ => rollout.pause(),
            }
            let outcome = order(&mut rollout);
            let after = line(&mut rollout, "AAb.", LATER);
            writeln!(table, "  {name}: {after}{}{outcome}", if outcome.is_empty() { "" } else { " | " })
                .unwrap();
        }
    }
    expect![[r#"
        progressing
          roll to the same: 2 of 1A 2B, progressing | None
          roll to another: 2 of 1A 2B 3C, progressing | Added(Revision(3))
          roll to an earlier one: 2 of 2B 3A, progressing | Readopted(Revision(3))
          restart: 2 of 1A 2B 3B, progressing
          undo: 2 of 2B 3A, progressing
          scale: 3 of 1A 2B, progressing
          pause: 2 of 1A 2B, paused
          resume: 2 of 1A 2B, progressing
          all are available: 2 of 1A 2B, adjusting | revision 2: settled; 2/2 new available; complete
          some are lost: 2 of 1A 2B, progressing | revision 2: held: 1 new not available, at least 2 must be; 1/2 new available; progressing
          time passes: 2 of 1A 2B, progressing | revision 2: held: 1 new not available, at least 2 must be; 0/2 new available, 2 old; stalled
        stalled
          roll to the same: 2 of 1A 2B, stalled | None
          roll to another: 2 of 1A 2B 3C, progressing | Added(Revision(3))
          roll to an earlier one: 2 of 2B 3A, progressing | Readopted(Revision(3))
          restart: 2 of 1A 2B 3B, progressing
          undo: 2 of 2B 3A, progressing
          scale: 3 of 1A 2B, stalled
          pause: 2 of 1A 2B, paused
          resume: 2 of 1A 2B, stalled
          all are available: 2 of 1A 2B, adjusting | revision 2: settled; 2/2 new available; complete
          some are lost: 2 of 1A 2B, progressing | revision 2: held: 1 new not available, at least 2 must be; 1/2 new available; progressing
          time passes: 2 of 1A 2B, stalled | revision 2: held: 1 new not available, at least 2 must be; 0/2 new available, 2 old; stalled
        arrived
          roll to the same: 2 of 1A 2B, adjusting | None
          roll to another: 2 of 1A 2B 3C, progressing | Added(Revision(3))
          roll to an earlier one: 2 of 2B 3A, progressing | Readopted(Revision(3))
          restart: 2 of 1A 2B 3B, progressing
          undo: 2 of 2B 3A, progressing
          scale: 3 of 1A 2B, adjusting
          pause: 2 of 1A 2B, paused
          resume: 2 of 1A 2B, adjusting
          all are available: 2 of 1A 2B, adjusting | revision 2: settled; 2/2 new available; complete
          some are lost: 2 of 1A 2B, adjusting | revision 2: held: 1 new not available, at least 2 must be; 1/2 new available; adjusting
          time passes: 2 of 1A 2B, adjusting | revision 2: held: 1 new not available, at least 2 must be; 0/2 new available, 2 old; adjusting
        paused
          roll to the same: 2 of 1A 2B, paused | None
          roll to another: 2 of 1A 2B 3C, paused | Added(Revision(3))
          roll to an earlier one: 2 of 2B 3A, paused | Readopted(Revision(3))
          restart: 2 of 1A 2B, paused | the rollout is paused: resume it first
          undo: 2 of 1A 2B, paused | the rollout is paused: resume it first
          scale: 3 of 1A 2B, paused
          pause: 2 of 1A 2B, paused
          resume: 2 of 1A 2B, progressing
          all are available: 2 of 1A 2B, paused | revision 2: held: paused; 2/2 new available; paused
          some are lost: 2 of 1A 2B, paused | revision 2: held: paused; 1/2 new available; paused
          time passes: 2 of 1A 2B, paused | revision 2: held: paused; 0/2 new available, 2 old; paused
    "#]].assert_eq(&table);
}

fn began_late() -> Rollout<char> {
    let mut rollout = Rollout::new(policy(OnStall::Hold), 2, 'A', Duration::ZERO);
    rollout.roll_to('B', LATER);
    rollout
}

#[test]
fn a_stall_turns_back_once_and_only_to_what_was_complete() {
    let mut nowhere = rollout(policy(OnStall::RollBack), 2, "AB");
    assert_eq!(status(&mut nowhere, "AAb", DEADLINE).rolled_back_from, None, "A was never complete");

    let mut rollout = rollout(policy(OnStall::RollBack), 2, "A");
    assert_eq!(status(&mut rollout, "AA", SECOND).status, Status::Complete);
    rollout.roll_to('B', SECOND);
    assert_eq!(status(&mut rollout, "BB", SECOND).status, Status::Complete);
    rollout.roll_to('C', SECOND);
    status(&mut rollout, "BBc", SECOND);
    let early = status(&mut rollout, "BBc", SECOND + DEADLINE - Duration::from_nanos(1));
    assert_eq!((early.rolled_back_from, rollout.current().template), (None, 'C'));
    let turned = status(&mut rollout, "BBc", SECOND + DEADLINE);
    expect!["revision 4 (rolled back from 3): stop 1 old unhealthy; 2/2 new available, 1 old; progressing"]
        .assert_eq(&turned.to_string());

    // It does not go on to the one before that, which was complete as well.
    let stuck = status(&mut rollout, "Bbc", SECOND + 3 * DEADLINE);
    assert_eq!((stuck.rolled_back_from, rollout.current().template), (None, 'B'));
    assert!(matches!(stuck.status, Status::Stalled { .. }), "{stuck}");
}

#[test]
fn a_rollout_that_has_stalled_goes_on_when_it_can() {
    let mut rollout = rollout(policy(OnStall::Hold), 2, "AB");
    status(&mut rollout, "AAb", SECOND);
    assert!(matches!(status(&mut rollout, "AAb", 2 * DEADLINE).status, Status::Stalled { .. }));
    let last = 3 * DEADLINE;
    assert_eq!(status(&mut rollout, "AAB", last).status, Status::Progressing { last });
}

#[test]
fn a_version_of_which_none_was_desired_has_its_deadline_before_it() {
    let mut rollout = rollout(policy(OnStall::Hold), 0, "AB");
    assert_eq!(status(&mut rollout, "", LATER).status, Status::Complete);
    assert_eq!(rollout.current().record, Record::Unproven);
    rollout.scale(1);
    assert_eq!(status(&mut rollout, "b", LATER).status, Status::Progressing { last: LATER });
    assert_eq!(status(&mut rollout, "b", LATER + DEADLINE).status, Status::Stalled { last: LATER });
}

#[test]
fn progress_after_a_change_of_the_desired_number_is_measured_anew() {
    let mut rollout = rollout(policy(OnStall::Hold), 4, "AB");
    status(&mut rollout, "AA", SECOND);
    status(&mut rollout, "AAbb", 2 * SECOND);
    rollout.scale(2);
    let last = 2 * SECOND;
    assert_eq!(status(&mut rollout, "AA", 3 * SECOND).status, Status::Progressing { last });
    let last = 4 * SECOND;
    assert_eq!(status(&mut rollout, "AAb", last).status, Status::Progressing { last });
}

#[test]
fn a_plan_is_good_for_one_generation() {
    let mut rollout = rollout(Policy::default(), 2, "A");
    let before = observed(&rollout, "");
    let (first, _) = rollout.plan(&before, SECOND);
    let (same, _) = rollout.plan(&before, SECOND);
    assert_eq!(shown(&rollout, &rollout.clone().admit(first.clone()).unwrap()), "+2A");
    assert!(rollout.admit(first).is_ok());
    let error = rollout.admit(same).unwrap_err();
    assert_eq!(error.to_string(), "the plan is for generation 0, and it is 1");

    // Made of replicas among which those that were just started are missing.
    let (outdated, reasons) = rollout.plan(&before, SECOND);
    assert_eq!((shown(&rollout, outdated.actions()).as_str(), reasons.reason), ("hold", Reason::Outdated));
    assert!(rollout.admit(outdated).is_err());
    let complete = Observed { generation: before.generation, ..observed(&rollout, "AA") };
    _ = rollout.plan(&complete, SECOND);
    assert_eq!(rollout.current().record, Record::Unproven, "it may not be complete any more");

    let after = observed(&rollout, "aa");
    let (holding, _) = rollout.plan(&after, SECOND);
    assert!(rollout.admit(holding.clone()).is_ok() && rollout.admit(holding.clone()).is_ok());
    rollout.scale(1);
    assert!(rollout.admit(holding).is_err(), "an order came in between");
}

#[test]
fn a_plan_says_when_it_is_to_be_made_again() {
    let patience = Patience::new(MIN_READY, Some(DEADLINE)).unwrap();
    let mut rollout = rollout(Policy { patience, ..pace("1", "0") }, 1, "AB");
    let mut wakes_at = |replicas: &str, now| {
        let observed = observed(&rollout, replicas);
        rollout.plan(&observed, now).0.wakes_at()
    };
    assert_eq!(wakes_at("A", SECOND), Some(MIN_READY));
    assert_eq!(wakes_at("A", MIN_READY), Some(DEADLINE));
    assert_eq!(wakes_at("Ab", DEADLINE), Some(2 * DEADLINE));
    assert_eq!(wakes_at("Ab", 2 * DEADLINE), None);
    assert_eq!(wakes_at("B", LATER), None);
}

#[test]
fn many_rollouts_leave_ten_behind_and_those_that_run() {
    let mut rollout = rollout(Policy::default(), 1, "A");
    for template in 'B'..='Z' {
        rollout.roll_to(template, SECOND);
    }
    let observed = observed(&rollout, "ACZ");
    _ = rollout.plan(&observed, SECOND);
    let kept: String = rollout.history().map(|entry| entry.template).collect();
    assert_eq!(kept, "ACPQRSTUVWXYZ");
}

#[test]
fn time_before_it_could_be_begun_is_not_counted() {
    let mut rollout = rollout(policy(OnStall::Hold), 2, "A");
    rollout.begin_at(LATER);
    let shown = |rollout: &mut Rollout<char>, now| status(rollout, "aa", now).status.to_string();
    assert_eq!(shown(&mut rollout, LATER + DEADLINE - SECOND), "progressing");
    assert_eq!(shown(&mut rollout, LATER + DEADLINE), "stalled");
    // There is nothing to begin of what has arrived or is paused.
    status(&mut rollout, "AA", LATER);
    rollout.begin_at(2 * LATER);
    assert_eq!(shown(&mut rollout, 9 * LATER), "adjusting");
    rollout.pause();
    rollout.begin_at(2 * LATER);
    assert_eq!(shown(&mut rollout, 9 * LATER), "paused");
}
