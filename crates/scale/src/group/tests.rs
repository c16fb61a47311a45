use super::*;

const NOW: Duration = Duration::from_secs(10_000);
const STARTUP: Startup = Startup {
    cpu_initialization: Duration::from_secs(120),
    initial_readiness_delay: Duration::from_secs(10),
};

fn ago(seconds: u64) -> Duration {
    NOW - Duration::from_secs(seconds)
}

fn pod(started: u64, readiness: Option<Readiness>) -> Pod {
    Pod {
        name: "a".to_owned(),
        phase: Phase::Running,
        leaving: Leaving::No,
        started: Some(ago(started)),
        readiness,
    }
}

fn ready(since: u64) -> Option<Readiness> {
    Some(Readiness::Ready { since: ago(since) })
}

fn unready(since: u64) -> Option<Readiness> {
    Some(Readiness::Unready { since: ago(since) })
}

/// A letter for the group that the pod is in: Ready, Unready, Missing or Ignored.
fn letter(pod: Pod, sample: Option<(u64, u64)>, scrutiny: Scrutiny) -> char {
    let sample = sample.map(|(age, window)| Sample {
        value_milli: 1,
        taken: ago(age),
        window: Duration::from_secs(window),
    });
    let samples = sample.map(|sample| ("a".to_owned(), sample)).into_iter().collect();
    let pods = [pod];
    let groups = group(&pods, &samples, scrutiny, NOW);
    match (groups.ready, &groups.unready[..], &groups.missing[..], &groups.ignored[..]) {
        (1, [], [], []) => 'R',
        (0, ["a"], [], []) => 'U',
        (0, [], ["a"], []) => 'M',
        (0, [], [], ["a"]) => 'I',
        _ => panic!("{groups:?}"),
    }
}

fn cpu(pod: Pod, sample: Option<(u64, u64)>) -> char {
    letter(pod, sample, Scrutiny::Startup(STARTUP))
}

#[test]
fn every_phase_with_and_without_a_sample_and_while_it_leaves() {
    let phases = [Phase::Pending, Phase::Running, Phase::Succeeded, Phase::Failed, Phase::Unknown];
    let row = |leaving, sample| -> String {
        phases
            .map(|phase| letter(Pod { phase, leaving, ..pod(9_000, None) }, sample, Scrutiny::None))
            .iter()
            .collect()
    };
    assert_eq!(row(Leaving::No, Some((0, 60))), "URRIR");
    assert_eq!(row(Leaving::No, None), "UMMIM");
    assert_eq!(row(Leaving::Yes, Some((0, 60))), "IIIII");
    assert_eq!(row(Leaving::Yes, None), "IIIII");
}

#[test]
fn while_it_initializes_a_pod_must_be_ready_for_a_whole_window() {
    assert_eq!(cpu(pod(119, unready(119)), Some((0, 60))), 'U');
    assert_eq!(cpu(pod(119, ready(59)), Some((0, 60))), 'U');
    assert_eq!(cpu(pod(119, ready(60)), Some((0, 60))), 'R');
    assert_eq!(cpu(pod(119, ready(90)), Some((31, 60))), 'U');
    // The period is over at its very end.
    assert_eq!(cpu(pod(120, ready(59)), Some((0, 60))), 'R');
}

#[test]
fn later_only_a_pod_that_was_never_ready_is_doubted() {
    assert_eq!(cpu(pod(600, unready(600)), Some((0, 60))), 'U');
    assert_eq!(cpu(pod(600, unready(591)), Some((0, 60))), 'U');
    assert_eq!(cpu(pod(600, unready(590)), Some((0, 60))), 'R');
    assert_eq!(cpu(pod(600, unready(5)), Some((0, 60))), 'R');
}

#[test]
fn what_is_not_known_of_a_pod_is_held_against_it() {
    assert_eq!(cpu(pod(600, None), Some((0, 60))), 'U');
    assert_eq!(cpu(Pod { started: None, ..pod(600, ready(500)) }, Some((0, 60))), 'U');
    // But only where readiness is looked at, and only after the sample was asked for.
    assert_eq!(letter(pod(600, None), Some((0, 60)), Scrutiny::None), 'R');
    assert_eq!(cpu(pod(600, None), None), 'M');
}

#[test]
fn times_at_the_ends_of_their_range_do_not_overflow() {
    let since = Duration::MAX;
    let last = Pod { started: Some(Duration::MAX), ..pod(0, Some(Readiness::Ready { since })) };
    assert_eq!(cpu(last, Some((0, 60))), 'U');
}
