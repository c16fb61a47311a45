//! The promises, each put to the proof by the trials of some seeds.

use std::{env, str::FromStr, time::Duration};

use phalanx_telemetry::clock;

use crate::{
    history::{How, Outcome},
    schedule::Standby,
    trial::{self, Course, Outcomes, STAGES, Trial},
};

/// How long faults go on in a trial unless the environment says otherwise. Starting and judging come on top.
const SECONDS: u64 = 15;

#[test]
fn with_a_synchronous_standby_nothing_acknowledged_is_lost_and_all_see_what_they_wrote() {
    for_seeds(Standby::Synchronous, Course::Failover);
}

#[test]
fn an_asynchronous_standby_loses_what_it_had_not_received_and_nothing_else_goes_wrong() {
    // Two of four shards own nothing: those that were added to be moved to are asked for pages and sums all the same.
    for_seeds(Standby::Asynchronous, Course::FailoverBesideEmptyShards);
}

#[test]
fn while_two_shards_become_four_nothing_is_lost_though_the_program_is_killed_in_every_stage() {
    for_seeds(Standby::Synchronous, Course::Resharding);
}

fn for_seeds(standby: Standby, course: Course) {
    let first = variable("SEED").unwrap_or_else(|| fastrand::u64(..1_000_000_000));
    let length = Duration::from_secs(variable("SECONDS").unwrap_or(SECONDS));
    for seed in first..first + variable("SEEDS").unwrap_or(1) {
        println!("{standby:?}, {course:?}: PHALANX_CHECKER_SEED={seed}");
        let begun = clock::now();
        let outcomes = trial::run(Trial { seed, length, standby, course });
        println!("  {} in {:.0?}", outcomes.summary(), begun.elapsed());
        println!("{}", outcomes.story());
        let violations = &outcomes.judgement.violations;
        assert!(violations.is_empty(), "{} violations with seed {seed}: {violations:#?}", violations.len());
        assert_something_happened(&outcomes, length);
        if course == Course::Resharding {
            let missed: Vec<_> =
                STAGES.iter().filter(|stage| !outcomes.killed_in.contains(**stage)).collect();
            assert!(missed.is_empty(), "it was not killed in {missed:?}");
        }
    }
}

/// A trial in which nothing was written or seen would prove nothing.
fn assert_something_happened(outcomes: &Outcomes, length: Duration) {
    let acknowledged = outcomes.count(|outcome| matches!(outcome, Outcome::Acknowledged { .. }));
    let summary = outcomes.summary();
    assert!(acknowledged as u64 >= length.as_secs() / 3, "{summary}");
    let refused = outcomes.count(|outcome| outcome == Outcome::Refused);
    let looks = [How::Id, How::Profile, How::Login, How::Pages];
    assert!(refused > 0 && looks.iter().all(|how| outcomes.seen(*how) > 0), "{summary}");
}

/// `PHALANX_CHECKER_…`, where it is set.
fn variable<T: FromStr<Err: std::fmt::Debug>>(name: &str) -> Option<T> {
    env::var(format!("PHALANX_CHECKER_{name}")).ok().map(|text| text.parse().unwrap())
}
