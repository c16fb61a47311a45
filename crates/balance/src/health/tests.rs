use std::{fmt::Write as _, iter::successors};

use expect_test::expect;
use proptest::prelude::*;

use super::*;

const COUNT: fn(u32) -> NonZeroU32 = |count| NonZeroU32::new(count).unwrap();
const SECOND: Duration = Duration::from_secs(1);
/// When ejections for attempts end that began with the test.
const FAIL_TIMEOUT: Duration = Duration::from_secs(10);
const OUTLYING_UNTIL: Duration = Duration::from_secs(30);
const OUTLYING: Event = Event::FoundOutlying { until: OUTLYING_UNTIL };

fn policy() -> Policy {
    Policy { fails_max: Some(COUNT(2)), fail_timeout: FAIL_TIMEOUT, rise: COUNT(2), fall: COUNT(3) }
}

/// Runs `events`, one letter each at one second each, and writes the standings.
fn run(events: &str) -> String {
    let mut health = Health::new(policy());
    let mut standings = String::new();
    for (letter, second) in events.chars().zip(0_u32..) {
        let event = match letter {
            '+' => Event::CheckPassed,
            '-' => Event::CheckFailed,
            'x' => Event::AttemptFailed { others_serving: 1 },
            'l' => Event::AttemptFailed { others_serving: 0 },
            'o' => Event::AttemptSucceeded,
            'w' => OUTLYING,
            'd' => Event::Drain,
            'r' => Event::Resume,
            '.' => Event::Tick,
            _ => panic!("{letter} is no event"),
        };
        health.on(event, second * SECOND);
        standings.push(match health.standing() {
            Standing::Serving => 'S',
            Standing::Trial => 'T',
            Standing::Ejected { cause: Cause::Attempts, .. } => 'E',
            Standing::Ejected { cause: Cause::Outlier, .. } => 'O',
            Standing::Failing => 'F',
            Standing::Draining => 'D',
        });
    }
    standings
}

#[test]
fn checks_take_out_after_fall_and_bring_back_after_rise() {
    assert_eq!(run("--+---"), "SSSSSF");
    assert_eq!(run("---+-++"), "SSFFFFS");
}

#[test]
fn failed_attempts_take_out_until_a_trial_succeeds() {
    assert_eq!(run("xx..........o"), "SEEEEEEEEEETS");
    assert_eq!(run("xx..........x.........."), "SEEEEEEEEEETEEEEEEEEEET");
    assert_eq!(run("x..........x"), "SSSSSSSSSSSS");
}

#[test]
fn one_that_is_back_from_its_trial_has_all_its_fails_again() {
    assert_eq!(run("xx..........ox.x"), "SEEEEEEEEEETSSSE");
}

#[test]
fn the_last_endpoint_stays_whatever_fails() {
    assert_eq!(run("llll"), "SSSS");
}

#[test]
fn checks_count_on_while_it_is_out() {
    assert_eq!(run("xx---++"), "SEEEFFS");
    assert_eq!(run("--xx-"), "SSSEF");
    assert_eq!(run("d---r++"), "DDDDFFS");
    assert_eq!(run("---d++r"), "SSFDDDS");
}

#[test]
fn an_attempt_that_fails_as_an_ejection_ends_is_not_its_trial() {
    assert_eq!(run("xx.........x"), "SEEEEEEEEEET");
}

/// All standings, one after another; whoever adds one is led here by the compiler.
fn next_standing(standing: Standing) -> Option<Standing> {
    match standing {
        Standing::Serving => Some(Standing::Trial),
        Standing::Trial => Some(Standing::Ejected { until: FAIL_TIMEOUT, cause: Cause::Attempts }),
        Standing::Ejected { cause: Cause::Attempts, .. } => {
            Some(Standing::Ejected { until: OUTLYING_UNTIL, cause: Cause::Outlier })
        }
        Standing::Ejected { cause: Cause::Outlier, .. } => Some(Standing::Failing),
        Standing::Failing => Some(Standing::Draining),
        Standing::Draining => None,
    }
}

/// All events, likewise.
fn next_event(event: Event) -> Option<Event> {
    match event {
        Event::CheckPassed => Some(Event::CheckFailed),
        Event::CheckFailed => Some(Event::AttemptFailed { others_serving: 1 }),
        Event::AttemptFailed { others_serving: 1.. } => Some(Event::AttemptFailed { others_serving: 0 }),
        Event::AttemptFailed { others_serving: 0 } => Some(Event::AttemptSucceeded),
        Event::AttemptSucceeded => Some(OUTLYING),
        Event::FoundOutlying { .. } => Some(Event::Drain),
        Event::Drain => Some(Event::Resume),
        Event::Resume => Some(Event::Tick),
        Event::Tick => None,
    }
}

/// What leads to a standing from the beginning, where one event of a kind decides.
fn events_to(standing: Standing) -> &'static [Event] {
    const FAILED: Event = Event::AttemptFailed { others_serving: 1 };
    match standing {
        Standing::Serving => &[],
        Standing::Trial => &[FAILED, Event::Tick],
        Standing::Ejected { cause: Cause::Attempts, .. } => &[FAILED],
        Standing::Ejected { cause: Cause::Outlier, .. } => &[OUTLYING],
        Standing::Failing => &[Event::CheckFailed],
        Standing::Draining => &[Event::Drain],
    }
}

fn name(standing: Standing) -> &'static str {
    match standing {
        Standing::Serving => "serving",
        Standing::Trial => "trial",
        Standing::Ejected { cause: Cause::Attempts, .. } => "ejected (attempts)",
        Standing::Ejected { cause: Cause::Outlier, .. } => "ejected (outlier)",
        Standing::Failing => "failing",
        Standing::Draining => "draining",
    }
}

/// An endpoint of which one event of a kind decides, in `standing`; the time.
fn endpoint_in(standing: Standing) -> (Health, Duration) {
    let one = NonZeroU32::MIN;
    let policy = Policy { fails_max: Some(one), fail_timeout: FAIL_TIMEOUT, rise: one, fall: one };
    let mut health = Health::new(policy);
    let mut now = Duration::ZERO;
    for event in events_to(standing) {
        if *event == Event::Tick {
            now = health.wakes_at().unwrap();
        }
        health.on(*event, now);
    }
    assert_eq!(health.standing(), standing);
    (health, now)
}

/// Every standing × every event, in the middle of it; and how an ejection ends with every event that comes then.
#[test]
fn every_event_in_every_standing() {
    let mut table = String::new();
    for standing in successors(Some(Standing::Serving), |standing| next_standing(*standing)) {
        for event in successors(Some(Event::CheckPassed), |event| next_event(*event)) {
            let (mut health, now) = endpoint_in(standing);
            let mut overdue = health.clone();
            let changed = health.on(event, now + SECOND);
            assert_eq!(changed.unwrap_or(standing), health.standing(), "{standing:?} {event:?}");
            assert_ne!(changed, Some(standing), "what is returned is a change");
            let event_name = match event {
                Event::AttemptFailed { others_serving } => format!("AttemptFailed, {others_serving} others"),
                Event::FoundOutlying { .. } => "FoundOutlying".to_owned(),
                _ => format!("{event:?}"),
            };
            let after = changed.map_or("-", name);
            write!(table, "{:<19}{event_name:<25}{after}", name(standing)).unwrap();
            if let Some(until) = overdue.wakes_at() {
                overdue.on(event, until);
                write!(table, "; when it is over: {}", name(overdue.standing())).unwrap();
            }
            table.push('\n');
        }
    }
    expect![[r#"
        serving            CheckPassed              -
        serving            CheckFailed              failing
        serving            AttemptFailed, 1 others  ejected (attempts)
        serving            AttemptFailed, 0 others  -
        serving            AttemptSucceeded         -
        serving            FoundOutlying            ejected (outlier)
        serving            Drain                    draining
        serving            Resume                   -
        serving            Tick                     -
        trial              CheckPassed              -
        trial              CheckFailed              failing
        trial              AttemptFailed, 1 others  ejected (attempts)
        trial              AttemptFailed, 0 others  ejected (attempts)
        trial              AttemptSucceeded         serving
        trial              FoundOutlying            -
        trial              Drain                    draining
        trial              Resume                   -
        trial              Tick                     -
        ejected (attempts) CheckPassed              -; when it is over: trial
        ejected (attempts) CheckFailed              failing; when it is over: failing
        ejected (attempts) AttemptFailed, 1 others  -; when it is over: trial
        ejected (attempts) AttemptFailed, 0 others  -; when it is over: trial
        ejected (attempts) AttemptSucceeded         -; when it is over: trial
        ejected (attempts) FoundOutlying            -; when it is over: trial
        ejected (attempts) Drain                    draining; when it is over: draining
        ejected (attempts) Resume                   -; when it is over: trial
        ejected (attempts) Tick                     -; when it is over: trial
        ejected (outlier)  CheckPassed              -; when it is over: serving
        ejected (outlier)  CheckFailed              failing; when it is over: failing
        ejected (outlier)  AttemptFailed, 1 others  -; when it is over: serving
        ejected (outlier)  AttemptFailed, 0 others  -; when it is over: serving
        ejected (outlier)  AttemptSucceeded         -; when it is over: serving
        ejected (outlier)  FoundOutlying            -; when it is over: ejected (outlier)
        ejected (outlier)  Drain                    draining; when it is over: draining
        ejected (outlier)  Resume                   -; when it is over: serving
        ejected (outlier)  Tick                     -; when it is over: serving
        failing            CheckPassed              serving
        failing            CheckFailed              -
        failing            AttemptFailed, 1 others  -
        failing            AttemptFailed, 0 others  -
        failing            AttemptSucceeded         -
        failing            FoundOutlying            -
        failing            Drain                    draining
        failing            Resume                   -
        failing            Tick                     -
        draining           CheckPassed              -
        draining           CheckFailed              -
        draining           AttemptFailed, 1 others  -
        draining           AttemptFailed, 0 others  -
        draining           AttemptSucceeded         -
        draining           FoundOutlying            -
        draining           Drain                    -
        draining           Resume                   serving
        draining           Tick                     -
    "#]]
    .assert_eq(&table);
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => Just(Event::CheckPassed),
        4 => Just(Event::CheckFailed),
        4 => (0_usize..2).prop_map(|others_serving| Event::AttemptFailed { others_serving }),
        2 => Just(Event::AttemptSucceeded),
        1 => (1_u32..400).prop_map(|second| Event::FoundOutlying { until: second * SECOND }),
        1 => Just(Event::Drain),
        1 => Just(Event::Resume),
        4 => Just(Event::Tick),
    ]
}

fn any_policy() -> impl Strategy<Value = Policy> {
    (0_u32..4, 1_u32..20, 1_u32..4, 1_u32..4).prop_map(|(fails_max, fail_timeout, rise, fall)| Policy {
        fails_max: NonZeroU32::new(fails_max),
        fail_timeout: fail_timeout * SECOND,
        rise: COUNT(rise),
        fall: COUNT(fall),
    })
}

proptest! {
    #[test]
    fn an_ejection_always_ends(policy in any_policy(), events in prop::collection::vec(any_event(), 0..200)) {
        let mut health = Health::new(policy);
        let mut now = Duration::ZERO;
        for event in events {
            now += SECOND;
            health.on(event, now);
        }
        let Standing::Ejected { until, cause } = health.standing() else {
            prop_assert_eq!(health.wakes_at(), None);
            return Ok(());
        };
        prop_assert!(cause == Cause::Outlier || until <= now + policy.fail_timeout);
        prop_assert_eq!(health.wakes_at(), Some(until));
        let returned = match cause {
            Cause::Attempts => Standing::Trial,
            Cause::Outlier => Standing::Serving,
        };
        prop_assert_eq!(health.on(Event::Tick, until.max(now)), Some(returned));
    }

    #[test]
    fn a_draining_endpoint_does_nothing_else_until_it_resumes(
        policy in any_policy(),
        before in prop::collection::vec(any_event(), 0..50),
        meanwhile in prop::collection::vec(any_event(), 0..50),
    ) {
        let mut health = Health::new(policy);
        for event in before.into_iter().chain([Event::Drain]) {
            health.on(event, SECOND);
        }
        for event in meanwhile.into_iter().filter(|event| *event != Event::Resume) {
            prop_assert_eq!(health.on(event, SECOND), None);
            prop_assert_eq!(health.standing(), Standing::Draining);
        }
        let resumed = health.on(Event::Resume, SECOND);
        prop_assert!(matches!(resumed, Some(Standing::Serving | Standing::Failing)), "{:?}", resumed);
    }

    #[test]
    fn a_standing_follows_from_what_is_returned(policy in any_policy(), events in prop::collection::vec(any_event(), 0..200)) {
        let mut health = Health::new(policy);
        let mut told = health.standing();
        for (event, second) in events.into_iter().zip(0_u32..) {
            let changed = health.on(event, second * SECOND);
            prop_assert_ne!(changed, Some(told));
            told = changed.unwrap_or(told);
            prop_assert_eq!(health.standing(), told);
        }
    }

    #[test]
    fn failed_attempts_never_take_out_the_last_that_serves(
        policy in any_policy(),
        attempts in prop::collection::vec(0_u64..5_000, 0..100),
    ) {
        let mut health = Health::new(policy);
        let mut now = Duration::ZERO;
        for pause in attempts {
            now += Duration::from_millis(pause);
            prop_assert_eq!(health.on(Event::AttemptFailed { others_serving: 0 }, now), None);
        }
    }
}
