//! Stories of answers: what is done after each, as text.

use super::*;

const NEGATIVE: Failure = Failure::NoRecords;
const ABSENT: Failure = Failure::NoSuchName;
const REFUSED: Failure = Failure::Refused("Server Failure");
const TIMEOUT: Failure = Failure::Timeout;

const POLICY: Policy = Policy {
    ttl: Duration::from_secs(1)..=Duration::from_mins(5),
    pause: Duration::from_secs(1)..=Duration::from_secs(30),
    endpoints_max: 4,
};

/// Addresses that end so, of a family, or why there are none.
type Told<'a> = Result<&'a [u8], Failure>;

/// An answer about the host `a`, or about targets, with its time to live.
#[derive(Clone)]
struct Answer {
    targets: Result<Vec<Target>, Failure>,
    hosts: Vec<(&'static str, HostAnswer)>,
    ttl: Option<u64>,
}

fn addresses(v4: Told<'_>, v6: Told<'_>) -> HostAnswer {
    let v4 = v4.map(|ends| ends.iter().map(|end| IpAddr::from([10, 0, 0, *end])).collect());
    let v6 =
        v6.map(|ends| ends.iter().map(|end| IpAddr::from([0, 0, 0, 0, 0, 0, 0, u16::from(*end)])).collect());
    Addresses { v4, v6 }
}

fn host(v4: Told<'_>, v6: Told<'_>, ttl: Option<u64>) -> Answer {
    Answer { targets: Ok(vec![Target::alone("a", 80)]), hosts: vec![("a", addresses(v4, v6))], ttl }
}

fn target(host: &str, port: u16, role: Role, weight: u16) -> Target {
    Target { host: host.to_owned(), port, role, weight }
}

/// What is done after each answer; every one comes when it has been asked for.
fn check<const N: usize>(story: [(Answer, &str); N]) {
    let (mut known, mut now) = (Known::default(), Duration::ZERO);
    for (step, (answer, expected)) in story.into_iter().enumerate() {
        let hosts = answer.hosts.into_iter().map(|(name, addresses)| (name.to_owned(), addresses));
        let ttl = answer.ttl.map(Duration::from_secs);
        let observed = Observed { targets: answer.targets, hosts: hosts.collect(), ttl };
        let plan = plan(&POLICY, &known, observed, now, 1.0);
        assert_eq!(shown(&plan, now), expected, "step {step}");
        (known, now) = (plan.known, plan.ask_at);
    }
}

fn shown(plan: &Plan, now: Duration) -> String {
    let mut words = Vec::new();
    words.extend(plan.admitted.iter().map(|Endpoint { address, weight, role }| {
        let weight = if *weight == 1 { String::new() } else { format!("*{weight}") };
        let role = if *role == Role::Backup { " backup" } else { "" };
        format!("+{address}{weight}{role}")
    }));
    words.extend(plan.withdrawn.iter().map(|address| format!("-{address}")));
    words.extend(plan.notices.iter().map(|notice| format!("{notice:?}")));
    words.push(format!("{:?}", plan.ask_at - now));
    words.join(", ")
}

#[test]
fn addresses_come_stay_and_go() {
    check([
        (host(Ok(&[2, 1]), Ok(&[1]), Some(30)), "+10.0.0.1:80, +10.0.0.2:80, +[::1]:80, 30s"),
        (host(Ok(&[1, 2]), Ok(&[1]), Some(30)), "30s"),
        (host(Ok(&[2, 3]), Ok(&[1]), Some(20)), "+10.0.0.3:80, -10.0.0.1:80, 20s"),
        (host(Ok(&[2, 3]), Err(NEGATIVE), Some(20)), "-[::1]:80, 20s"),
        (host(Err(ABSENT), Ok(&[7]), Some(20)), "+[::7]:80, -10.0.0.2:80, -10.0.0.3:80, 20s"),
    ]);
}

#[test]
fn the_time_to_live_is_kept_within_bounds() {
    check([
        (host(Ok(&[1]), Err(NEGATIVE), Some(0)), "+10.0.0.1:80, 1s"),
        (host(Ok(&[1]), Err(NEGATIVE), Some(1)), "1s"),
        (host(Ok(&[1]), Err(NEGATIVE), Some(299)), "299s"),
        (host(Ok(&[1]), Err(NEGATIVE), Some(u64::from(u32::MAX))), "300s"),
        (host(Ok(&[1]), Err(NEGATIVE), None), "300s"),
    ]);
}

#[test]
fn what_fails_changes_nothing_and_is_asked_again_after_growing_pauses() {
    for failure in [NEGATIVE, ABSENT, REFUSED, TIMEOUT] {
        let fails = || host(Err(failure.clone()), Err(failure.clone()), None);
        check([
            (fails(), &format!("Failing({failure:?}), 1s")),
            (host(Ok(&[1, 2]), Err(NEGATIVE), Some(60)), "+10.0.0.1:80, +10.0.0.2:80, Recovered, 60s"),
            (fails(), &format!("Failing({failure:?}), 1s")),
            (fails(), "2s"),
            (fails(), "4s"),
            (fails(), "8s"),
            (fails(), "16s"),
            (fails(), "30s"),
            (fails(), "30s"),
            (host(Ok(&[2]), Err(NEGATIVE), Some(60)), "-10.0.0.1:80, Recovered, 60s"),
            (fails(), &format!("Failing({failure:?}), 1s")),
        ]);
    }
}

#[test]
fn a_pause_is_spread_and_never_too_short_or_too_long() {
    for (failures, jitter, expected) in [
        (1, 0.0, 1.0),
        (1, 1.0, 1.0),
        (3, 0.0, 2.0),
        (3, 0.5, 3.0),
        (3, 1.0, 4.0),
        (6, 0.0, 15.0),
        (6, 1.0, 30.0),
        (u32::MAX, 1.0, 30.0),
    ] {
        let known = Known { failures_in_a_row: failures - 1, ..Known::default() };
        let observed = Observed { targets: Err(TIMEOUT), hosts: BTreeMap::new(), ttl: None };
        let asked_at = plan(&POLICY, &known, observed, Duration::ZERO, jitter).ask_at;
        assert_eq!(asked_at.as_secs_f64(), expected, "{failures} failures, jitter {jitter}");
    }
}

#[test]
fn another_reason_is_told_and_the_same_is_not() {
    check([
        (host(Err(NEGATIVE), Err(NEGATIVE), None), "Failing(NoRecords), 1s"),
        (host(Err(NEGATIVE), Err(TIMEOUT), None), "Failing(Timeout), 2s"),
        (host(Err(TIMEOUT), Err(NEGATIVE), None), "4s"),
        (host(Err(ABSENT), Err(ABSENT), None), "Failing(NoSuchName), 8s"),
    ]);
}

#[test]
fn a_family_that_fails_keeps_its_addresses_and_the_other_goes_on() {
    check([
        (host(Ok(&[1]), Ok(&[1, 2]), Some(60)), "+10.0.0.1:80, +[::1]:80, +[::2]:80, 60s"),
        (
            host(Ok(&[2]), Err(REFUSED), Some(60)),
            "+10.0.0.2:80, -10.0.0.1:80, Failing(Refused(\"Server Failure\")), 1s",
        ),
        (host(Err(TIMEOUT), Ok(&[2]), Some(60)), "-[::1]:80, Failing(Timeout), 2s"),
        // What was told ends before the pause does.
        (host(Err(TIMEOUT), Ok(&[2]), Some(3)), "3s"),
        (host(Ok(&[2]), Err(NEGATIVE), Some(60)), "-[::2]:80, Recovered, 60s"),
    ]);
}

#[test]
fn a_service_has_targets_with_roles_and_weights() {
    let targets = |heavy| {
        vec![
            target("a", 80, Role::Primary, heavy),
            target("b", 81, Role::Primary, 1),
            target("c", 80, Role::Backup, 1),
        ]
    };
    let none = || Err(NEGATIVE);
    let hosts = || {
        vec![
            ("a", addresses(Ok(&[9]), none())),
            ("b", addresses(Ok(&[2]), none())),
            ("c", addresses(Ok(&[1]), none())),
        ]
    };
    check([
        (
            Answer { targets: Ok(targets(5)), hosts: hosts(), ttl: Some(9) },
            "+10.0.0.2:81, +10.0.0.9:80*5, +10.0.0.1:80 backup, 9s",
        ),
        (Answer { targets: Ok(targets(5)), hosts: hosts(), ttl: Some(9) }, "9s"),
        (Answer { targets: Ok(targets(6)), hosts: hosts(), ttl: Some(9) }, "+10.0.0.9:80*6, 9s"),
        (
            Answer { targets: Ok(vec![target("c", 80, Role::Primary, 1)]), hosts: hosts(), ttl: Some(9) },
            "+10.0.0.1:80, -10.0.0.2:81, -10.0.0.9:80, 9s",
        ),
        (Answer { targets: Err(ABSENT), hosts: Vec::new(), ttl: None }, "Failing(NoSuchName), 1s"),
        (
            Answer { targets: Ok(vec![target("c", 80, Role::Primary, 1)]), hosts: hosts(), ttl: Some(9) },
            "Recovered, 9s",
        ),
    ]);
}

#[test]
fn a_target_that_fails_keeps_its_addresses_as_long_as_it_is_one() {
    let both = || Ok(vec![target("a", 80, Role::Primary, 1), target("b", 80, Role::Primary, 1)]);
    let a = || ("a", addresses(Ok(&[1]), Err(NEGATIVE)));
    let b_gone = || ("b", addresses(Err(ABSENT), Err(ABSENT)));
    let b = ("b", addresses(Ok(&[2]), Err(NEGATIVE)));
    check([
        (Answer { targets: both(), hosts: vec![a(), b], ttl: Some(9) }, "+10.0.0.1:80, +10.0.0.2:80, 9s"),
        (Answer { targets: both(), hosts: vec![a(), b_gone()], ttl: Some(9) }, "Failing(NoSuchName), 1s"),
        (
            Answer { targets: Ok(vec![target("a", 80, Role::Primary, 1)]), hosts: vec![a()], ttl: Some(9) },
            "-10.0.0.2:80, Recovered, 9s",
        ),
    ]);
}

#[test]
fn of_one_address_told_twice_the_higher_rank_holds() {
    let targets = vec![
        target("a", 80, Role::Primary, 2),
        target("b", 80, Role::Primary, 3),
        target("c", 80, Role::Backup, 9),
    ];
    let same = || addresses(Ok(&[1]), Err(NEGATIVE));
    let hosts = vec![("a", same()), ("b", same()), ("c", same())];
    check([(Answer { targets: Ok(targets), hosts, ttl: Some(9) }, "+10.0.0.1:80*3, 9s")]);
}

#[test]
fn of_too_many_the_first_are_taken_and_it_is_told_once() {
    let first_four = "+10.0.0.1:80, +10.0.0.2:80, +10.0.0.3:80, +10.0.0.4:80";
    check([
        (
            host(Ok(&[4, 3, 5, 2, 1]), Err(NEGATIVE), Some(9)),
            &format!("{first_four}, TooMany {{ excess: 1 }}, 9s"),
        ),
        (host(Ok(&[6, 4, 5, 3, 2, 1]), Err(NEGATIVE), Some(9)), "9s"),
        (host(Ok(&[4, 3, 2, 1]), Err(NEGATIVE), Some(9)), "9s"),
        (host(Ok(&[4, 3, 2, 1]), Ok(&[1]), Some(9)), "TooMany { excess: 1 }, 9s"),
    ]);
    // A backup with a lower address does not displace a primary, and a host that was not asked for is missed.
    let targets = || {
        vec![
            target("a", 80, Role::Primary, 1),
            target("b", 80, Role::Backup, 1),
            target("c", 80, Role::Backup, 1),
        ]
    };
    let hosts =
        vec![("a", addresses(Ok(&[6, 7, 8, 9]), Err(NEGATIVE))), ("b", addresses(Ok(&[1]), Err(NEGATIVE)))];
    let primaries = "+10.0.0.6:80, +10.0.0.7:80, +10.0.0.8:80, +10.0.0.9:80";
    check([(
        Answer { targets: Ok(targets()), hosts, ttl: Some(9) },
        &format!("{primaries}, TooMany {{ excess: 2 }}, 9s"),
    )]);
}
