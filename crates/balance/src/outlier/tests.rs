use proptest::prelude::*;

use super::*;

const TICK: Duration = Duration::from_millis(250);
const SECOND: Duration = Duration::from_secs(1);

fn policy() -> Policy {
    Policy {
        error_rate: 0.5,
        latency_factor: 5.0,
        volume: NonZeroU32::new(20).unwrap(),
        window: 10 * SECOND,
        ejection: 30 * SECOND,
        max_ejected: 0.5,
    }
}

/// What an endpoint does with every tick in which it serves.
#[derive(Clone, Copy, Debug)]
struct Behaviour {
    requests: u64,
    failures: u64,
    millis: u64,
}

const WELL: Behaviour = Behaviour { requests: 10, failures: 0, millis: 10 };
const FAILS: Behaviour = Behaviour { failures: 10, ..WELL };
const FAILS_MOSTLY: Behaviour = Behaviour { failures: 8, ..WELL };
const SLOW: Behaviour = Behaviour { millis: 60, ..WELL };

/// A service whose endpoints behave as they do, and are ejected as the detector says.
struct Service {
    detector: Detector,
    behaviours: Vec<Behaviour>,
    observed: Vec<Observed>,
    now: Duration,
}

impl Service {
    fn new(behaviours: &[Behaviour]) -> Self {
        let observed = (0..behaviours.len() as u64).map(|identity| Observed {
            identity,
            standing: Standing::Serving,
            totals: Totals::default(),
        });
        Self {
            detector: Detector::new(policy()),
            observed: observed.collect(),
            behaviours: behaviours.to_vec(),
            now: Duration::ZERO,
        }
    }

    fn tick(&mut self) -> Vec<Verdict> {
        self.now += TICK;
        for (endpoint, behaviour) in self.observed.iter_mut().zip(&self.behaviours) {
            if matches!(endpoint.standing, Standing::Ejected { until, .. } if until <= self.now) {
                endpoint.standing = Standing::Serving;
            }
            if endpoint.standing == Standing::Serving {
                endpoint.totals.requests += behaviour.requests;
                endpoint.totals.failures += behaviour.failures;
                endpoint.totals.answered += behaviour.requests;
                endpoint.totals.response_time += Duration::from_millis(behaviour.requests * behaviour.millis);
            }
        }
        let verdicts = self.detector.on_tick(&self.observed, self.now);
        for verdict in &verdicts {
            let endpoint =
                self.observed.iter_mut().find(|endpoint| endpoint.identity == verdict.identity).unwrap();
            let until = self.now + verdict.ejected_for;
            endpoint.standing = Standing::Ejected { until, cause: Cause::Outlier };
        }
        verdicts
    }

    /// The verdicts of a while: on which endpoint, when, for how long, and why.
    fn run(&mut self, duration: Duration) -> Vec<String> {
        let mut log = Vec::new();
        let end = self.now + duration;
        while self.now < end {
            for Verdict { identity, cause, ejected_for } in self.tick() {
                log.push(format!("{identity} at {:?} for {ejected_for:?}: {cause}", self.now));
            }
        }
        log
    }
}

fn check(behaviours: &[Behaviour], expected: &[&str]) {
    assert_eq!(Service::new(behaviours).run(20 * SECOND), expected);
}

#[test]
fn one_that_fails_more_than_the_others_is_out() {
    check(&[WELL, FAILS, WELL], &["1 at 750ms for 30s: fails 100 % of its requests, the others 0 %"]);
    check(&[WELL, FAILS_MOSTLY], &["1 at 750ms for 30s: fails 80 % of its requests, the others 0 %"]);
}

#[test]
fn one_that_is_much_slower_than_the_others_is_out() {
    check(&[WELL, WELL, SLOW, WELL], &["2 at 750ms for 30s: takes 60 ms on average, the others 10 ms"]);
}

#[test]
fn what_all_do_takes_nobody_out() {
    for behaviour in [WELL, FAILS, SLOW] {
        check(&[behaviour; 4], &[]);
    }
    // Others that fail half as often.
    check(&[FAILS, Behaviour { failures: 5, ..WELL }], &[]);
}

#[test]
fn small_times_that_differ_by_much_take_nobody_out() {
    let quick = |millis: u64| Behaviour { millis, ..WELL };
    check(&[quick(0), quick(4), quick(0)], &[]);
    let slower = "1 at 750ms for 30s: takes 5 ms on average, the others 0 ms";
    check(&[quick(0), quick(5), quick(0)], &[slower]);
}

#[test]
fn the_worst_is_out_first_and_never_more_than_may_be() {
    check(
        &[WELL, SLOW, FAILS_MOSTLY, WELL, FAILS, WELL],
        &[
            "4 at 750ms for 30s: fails 100 % of its requests, the others 16 %",
            "2 at 750ms for 30s: fails 80 % of its requests, the others 0 %",
            "1 at 750ms for 30s: takes 60 ms on average, the others 10 ms",
        ],
    );
    check(
        &[FAILS, WELL, FAILS_MOSTLY],
        &["0 at 750ms for 30s: fails 100 % of its requests, the others 40 %"],
    );
}

#[test]
fn errors_that_come_quickly_do_not_make_the_others_look_slow() {
    let quick_errors = Behaviour { millis: 0, ..FAILS };
    check(&[WELL, quick_errors, quick_errors, quick_errors], &[]);
}

#[test]
fn who_has_few_requests_is_neither_judged_nor_compared_with() {
    let rare = |behaviour: Behaviour| Behaviour { requests: 0, failures: 0, ..behaviour };
    check(&[WELL, rare(FAILS), WELL], &[]);
    check(&[rare(WELL), FAILS, rare(WELL)], &[]);
    check(&[FAILS], &[]);
}

#[test]
fn each_ejection_in_a_row_is_longer_and_peace_makes_them_shorter() {
    let mut service = Service::new(&[WELL, FAILS]);
    let fails = |verdict: &str, percent: u32| {
        vec![format!("1 at {verdict}: fails {percent} % of its requests, the others 0 %")]
    };
    assert_eq!(service.run(30 * SECOND), fails("750ms for 30s", 100));
    assert_eq!(service.run(60 * SECOND), fails("31s for 60s", 100));
    assert_eq!(service.run(60 * SECOND), fails("91.25s for 90s", 100));
    assert_eq!(service.run(60 * SECOND), fails("181.5s for 120s", 100));
    service.behaviours[1] = WELL;
    // It is back at 301.5 s; of its four ejections three are forgiven by 331.5 s.
    assert_eq!(service.run(120 * SECOND), Vec::<String>::new());
    service.behaviours[1] = FAILS;
    assert_eq!(service.run(20 * SECOND), fails("335s for 60s", 54));
}

#[test]
fn ejections_in_a_row_lengthen_the_next_up_to_ten_times() {
    let mut service = Service::new(&[WELL, FAILS]);
    let lengths: Vec<u64> = std::iter::repeat_with(|| service.tick())
        .flatten()
        .map(|verdict| verdict.ejected_for.as_secs())
        .take(12)
        .collect();
    assert_eq!(lengths, [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300]);
}

#[test]
fn who_was_out_for_anything_is_judged_by_what_comes_after() {
    let mut service = Service::new(&[WELL, FAILS]);
    // Counting begins with the first tick: these are 10 requests of 20.
    service.run(2 * TICK);
    service.observed[1].standing = Standing::Failing;
    service.run(TICK);
    service.observed[1].standing = Standing::Serving;
    let returned = "1 at 1.25s for 30s: fails 100 % of its requests, the others 0 %";
    assert_eq!(service.run(10 * SECOND), [returned]);
}

#[test]
fn peace_begins_anew_when_it_was_out_for_anything() {
    let mut service = Service::new(&[WELL, FAILS]);
    service.run(SECOND);
    service.behaviours[1] = WELL;
    // Back at 30.75 s, it serves twice, each time for less than a window.
    service.run(38 * SECOND);
    service.observed[1].standing = Standing::Failing;
    service.run(TICK);
    service.observed[1].standing = Standing::Serving;
    service.run(3 * SECOND);
    service.behaviours[1] = FAILS;
    let in_a_row = "1 at 45.25s for 60s: fails 50 % of its requests, the others 0 %";
    assert_eq!(service.run(10 * SECOND), [in_a_row]);
}

#[test]
fn totals_that_begin_anew_are_no_requests() {
    let mut service = Service::new(&[WELL, Behaviour { requests: 100, ..WELL }]);
    service.run(TICK);
    service.observed[1].totals = Totals { requests: 50, failures: 50, ..Totals::default() };
    service.behaviours[1] = Behaviour { requests: 0, failures: 0, millis: 0 };
    assert_eq!(service.run(5 * SECOND), Vec::<String>::new());
}

#[test]
fn who_has_left_is_forgotten() {
    let mut service = Service::new(&[WELL, FAILS]);
    assert_eq!(service.run(40 * SECOND).len(), 2, "out twice in a row");
    let left = service.observed.pop().unwrap();
    service.tick();
    service.observed.push(Observed { standing: Standing::Serving, ..left });
    let again = "1 at 41s for 30s: fails 100 % of its requests, the others 0 %";
    assert_eq!(service.run(10 * SECOND), [again]);
}

fn any_totals() -> impl Strategy<Value = Totals> {
    (0_u64..100, 0_u64..=10, 0_u64..=10, 0_u64..100).prop_map(|(requests, failed, answered, millis)| Totals {
        requests,
        failures: requests * failed / 10,
        answered: requests * answered / 10,
        response_time: Duration::from_millis(millis * requests * answered / 10),
    })
}

fn any_standing() -> impl Strategy<Value = Standing> {
    let ejected = |cause| Standing::Ejected { until: 100 * SECOND, cause };
    prop_oneof![
        8 => Just(Standing::Serving),
        1 => Just(ejected(Cause::Outlier)),
        1 => Just(ejected(Cause::Attempts)),
        1 => Just(Standing::Draining),
    ]
}

/// Those that the rule names, word for word, among `judged`.
fn outlying(judged: &[(u64, Totals)]) -> Vec<u64> {
    let rate = |totals: &Totals| totals.failures as f64 / totals.requests as f64;
    let mean = |totals: &Totals| totals.response_time.as_secs_f64() / totals.answered as f64;
    let is_timed = |totals: &Totals| rate(totals) < 0.5 && totals.answered >= 20;
    let fails = |own: &Totals, others: &[Totals]| {
        let sum = |count: fn(&Totals) -> u64| others.iter().map(count).sum::<u64>() as f64;
        let pooled = sum(|other| other.failures) / sum(|other| other.requests);
        rate(own) >= 0.5 && pooled < rate(own) / 2.0
    };
    let is_slow = |own: &Totals, others: &[Totals]| {
        let mut means: Vec<f64> = others.iter().filter(|other| is_timed(other)).map(mean).collect();
        means.sort_by(f64::total_cmp);
        let Some(last) = means.len().checked_sub(1) else { return false };
        let median = f64::midpoint(means[last / 2], means[last.div_ceil(2)]);
        // Durations are whole nanoseconds.
        is_timed(own) && mean(own) >= 5.0 * median - 1e-8 && mean(own) - median >= 0.005 - 1e-8
    };
    let is_outlier = |(identity, own): &&(u64, Totals)| {
        let others: Vec<Totals> =
            judged.iter().filter(|(other, _)| other != identity).map(|(_, totals)| *totals).collect();
        !others.is_empty() && (fails(own, &others) || is_slow(own, &others))
    };
    judged.iter().filter(is_outlier).map(|(identity, _)| *identity).collect()
}

proptest! {
    #[test]
    fn those_are_found_that_the_rule_names(
        endpoints in prop::collection::vec((any_standing(), any_totals()), 1..8),
        percent in 0_usize..=100,
    ) {
        let mut detector = Detector::new(Policy { max_ejected: percent as f64 / 100.0, ..policy() });
        let seen = |totals: fn(Totals) -> Totals| -> Vec<Observed> {
            (0..).zip(&endpoints)
                .map(|(identity, (standing, all))| Observed { identity, standing: *standing, totals: totals(*all) })
                .collect()
        };
        prop_assert_eq!(detector.on_tick(&seen(|_| Totals::default()), SECOND), vec![]);
        let verdicts = detector.on_tick(&seen(|totals| totals), 2 * SECOND);

        let out = endpoints.iter().filter(|(standing, _)| matches!(standing, Standing::Ejected { cause: Cause::Outlier, .. }));
        let room = (endpoints.len() * percent / 100).min(endpoints.len() - 1).saturating_sub(out.count());
        let mut judged: Vec<(u64, Totals)> = (0..).zip(&endpoints)
            .filter(|(_, (standing, totals))| *standing == Standing::Serving && totals.requests >= 20)
            .map(|(identity, (_, totals))| (identity, *totals))
            .collect();
        for verdict in &verdicts {
            prop_assert!(outlying(&judged).contains(&verdict.identity), "{:?}", verdict);
            judged.retain(|(identity, _)| *identity != verdict.identity);
        }
        prop_assert!(verdicts.len() <= room);
        prop_assert!(verdicts.is_empty() || !judged.is_empty(), "nobody serves that was compared with them");
        prop_assert!(verdicts.len() == room || outlying(&judged).is_empty(), "{:?} not found", outlying(&judged));
    }
}
