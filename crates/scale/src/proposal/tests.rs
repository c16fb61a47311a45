//! Proposals in tables: each row is a set of pods, what they use, and what comes of it.

use super::*;
use crate::{
    metric::{Goal, Scope},
    pod::{Leaving, Phase, Readiness, Sample},
};

const NOW: Duration = Duration::from_secs(100_000);

/// A pod in one letter and a number: `r` ready with this sample, `m` without one, `p` pending, `f` failed.
fn situation(pods: &str) -> (Vec<Pod>, Reading) {
    let (mut all, mut samples, mut requests) = (Vec::new(), Vec::new(), Vec::new());
    for (index, pod) in pods.split_whitespace().enumerate() {
        let (kind, value) = pod.split_at(1);
        let name = index.to_string();
        let phase = match kind {
            "p" => Phase::Pending,
            "f" => Phase::Failed,
            _ => Phase::Running,
        };
        let since = Duration::ZERO;
        all.push(Pod {
            name: name.clone(),
            phase,
            leaving: Leaving::No,
            started: Some(since),
            readiness: Some(Readiness::Ready { since }),
        });
        if let Ok(value_milli) = value.parse() {
            samples.push((name.clone(), Sample { value_milli, taken: NOW, window: Duration::ZERO }));
        }
        requests.push((name, 100));
    }
    let reading = Reading::Resource {
        samples: samples.into_iter().collect(),
        requests: requests.into_iter().collect(),
    };
    (all, reading)
}

fn propose(target: &Target, pods: &str, replicas: u32) -> Result<u32, MetricError> {
    let (pods, reading) = situation(pods);
    let reading = match (target, reading) {
        (Target::PodsAverage { .. }, Reading::Resource { samples, .. }) => Reading::Pods(samples),
        (_, reading) => reading,
    };
    let situation = Situation {
        replicas,
        replicas_existing: replicas,
        pods: &pods,
        tolerance: Tolerance::default(),
        startup: Startup::default(),
        now: NOW,
    };
    situation.propose(target, &reading).map(|proposal| proposal.replicas)
}

fn cpu(percent: u32) -> Target {
    Target::Utilization { resource: Resource::Cpu, scope: Scope::Pod, percent }
}

const AVERAGE: Target = Target::PodsAverage { milli: 100 };

#[test]
fn missing_and_unready_pods_damp_a_change() {
    for (pods, replicas, expected) in [
        // All there.
        ("r200 r200", 2, 4),
        ("r110 r110", 2, 2),
        ("r111 r111", 2, 3),
        ("r90 r90 r90", 3, 3),
        ("r50 r50", 2, 1),
        ("r0 r0", 2, 0),
        // Missing: idle on the way up, on the target on the way down, nothing at all on it.
        ("r300 m", 2, 3),
        ("r120 m", 2, 2),
        ("r10 m", 2, 2),
        ("r10 r10 r10 m", 4, 2),
        ("r100 m m m", 4, 4),
        // Unready: idle on the way up, not there on the way down.
        ("r300 p", 2, 3),
        ("r120 p", 2, 2),
        ("r10 p", 2, 1),
        ("r200 p999", 2, 2),
        // Whoever failed is not there.
        ("r200 f999", 1, 2),
        // Surge pods must not turn the direction.
        ("r60 r60 m", 2, 2),
        ("r250 m m m m", 9, 9),
    ] {
        assert_eq!(propose(&cpu(100), pods, replicas), Ok(expected), "cpu: {pods}");
        assert_eq!(propose(&AVERAGE, pods, replicas), Ok(expected), "average: {pods}");
    }
}

#[test]
fn whoever_is_missing_uses_all_it_requests_or_its_target_where_that_is_more() {
    // 10 % of 50: the missing one counts as 100 %, which is above the target, and the direction would turn.
    assert_eq!(propose(&cpu(50), "r10 m", 2), Ok(2));
    assert_eq!(propose(&cpu(50), "r10 r10 r10 m", 4), Ok(3));
    // 10 % of 200: it counts as 200 %.
    assert_eq!(propose(&cpu(200), "r10 r10 r10 m", 4), Ok(2));
}

#[test]
fn a_reading_that_tells_nothing_is_an_error() {
    assert_eq!(propose(&cpu(50), "m m", 2), Err(MetricError::NoSamples));
    assert_eq!(propose(&cpu(50), "p10 f10", 2), Err(MetricError::NoneReady));
    assert_eq!(propose(&cpu(50), "p10 m", 2), Err(MetricError::NoneReady));
    assert_eq!(propose(&Target::External(Goal::Value(1)), "r1", 1), Err(MetricError::NotRead));
    assert_eq!(propose(&Target::Unknown, "r1", 1), Err(MetricError::UnknownSource));
}

#[test]
fn a_request_must_be_known_of_every_pod_even_one_that_failed() {
    let (pods, reading) = situation("r10 f");
    let Reading::Resource { samples, mut requests } = reading else { unreachable!() };
    requests.remove("1");
    let situation = Situation {
        replicas: 1,
        replicas_existing: 1,
        pods: &pods,
        tolerance: Tolerance::default(),
        startup: Startup::default(),
        now: NOW,
    };
    let missing = Err(MetricError::MissingRequest { pod: "1".to_owned() });
    let propose =
        |requests| situation.propose(&cpu(50), &Reading::Resource { samples: samples.clone(), requests });
    assert_eq!(propose(requests.clone()), missing);
    requests.extend([("0".to_owned(), 0), ("1".to_owned(), 0)]);
    assert_eq!(propose(requests), Err(MetricError::NoneKnown), "nothing is a share of nothing");
}

fn total(target: &Target, values: &[i64], replicas: u32, pods: &str) -> Result<(u32, i64), MetricError> {
    let (pods, _) = situation(pods);
    let situation = Situation {
        replicas,
        replicas_existing: replicas,
        pods: &pods,
        tolerance: Tolerance::default(),
        startup: Startup::default(),
        now: NOW,
    };
    let proposal = situation.propose(target, &Reading::Values(values.to_vec()))?;
    Ok((proposal.replicas, proposal.measured.milli()))
}

#[test]
fn values_of_no_pod_are_spread_over_those_that_serve() {
    let value = |target| Target::External(Goal::Value(target));
    assert_eq!(total(&value(100), &[100, 150], 2, "r r p"), Ok((5, 250)));
    assert_eq!(total(&value(100), &[110], 2, "r r"), Ok((2, 110)));
    // From nothing there is no tolerance and nobody to spread over.
    assert_eq!(total(&value(100), &[1], 0, ""), Ok((1, 1)));
    assert_eq!(total(&value(100), &[0], 0, ""), Ok((0, 0)));
    assert_eq!(total(&value(100), &[250], 2, ""), Err(MetricError::NoPods));
    assert_eq!(total(&value(100), &[100], 2, ""), Ok((2, 100)), "on its target nobody needs to be there");
    assert_eq!(total(&value(100), &[], 2, "r"), Err(MetricError::NoSamples));
    assert_eq!(total(&Target::Object(Goal::Value(100)), &[1, 2], 2, "r"), Err(MetricError::NotRead));
}

#[test]
fn values_for_each_pod_go_by_those_that_exist() {
    let share = |target| Target::External(Goal::AverageValue(target));
    assert_eq!(total(&share(100), &[250], 2, ""), Ok((3, 125)));
    assert_eq!(total(&share(100), &[220], 2, ""), Ok((2, 110)));
    assert_eq!(total(&share(100), &[250], 0, ""), Ok((3, i64::MAX)));
    assert_eq!(total(&share(100), &[0], 0, ""), Ok((0, 0)));
}

#[test]
fn sums_at_the_end_of_their_range_stop_there() {
    let most = i64::MAX;
    assert_eq!(
        total(&Target::External(Goal::Value(1)), &[most, most], 3, "r r r"),
        Ok((i32::MAX.unsigned_abs(), most))
    );
    assert_eq!(
        total(&Target::External(Goal::AverageValue(1)), &[most], 3, ""),
        Ok((i32::MAX.unsigned_abs(), most)),
        "an outside sum at its end is not shared"
    );
    let third = 3_074_457_345_618_258_432;
    assert_eq!(
        total(&Target::Object(Goal::AverageValue(1)), &[most], 3, ""),
        Ok((i32::MAX.unsigned_abs(), third))
    );
    assert_eq!(total(&Target::External(Goal::Value(1)), &[i64::MIN, i64::MIN], 3, "r"), Ok((0, i64::MIN)));
    assert_eq!(propose(&cpu(1), "r9223372036854775807 r9223372036854775807", 2), Ok(i32::MAX.unsigned_abs()));
    assert_eq!(propose(&AVERAGE, "r-9223372036854775808 r-9223372036854775808", 2), Ok(0));
}
