use proptest::prelude::*;

use super::*;

const USUAL: Duration = Duration::from_millis(10);

fn policy(min: u32, max: u32) -> Policy {
    let count = |count| NonZeroU32::new(count).unwrap();
    Policy { min: count(min), max: count(max), tolerance: 1.5 }
}

/// A service that takes for every answer what a test says.
struct Served {
    limit: GradientLimit,
    now: Duration,
}

impl Served {
    fn new(policy: Policy) -> Self {
        Self { limit: GradientLimit::new(policy, 7), now: Duration::ZERO }
    }

    /// One of which the usual response time is known, before the first probe.
    fn known(policy: Policy) -> Self {
        let mut served = Self::new(policy);
        served.answer(policy.min.get() + FIRST_ANSWERS, USUAL, 1);
        assert!(matches!(served.limit.phase, Phase::Following { .. }));
        served
    }

    fn answer(&mut self, count: u32, response_time: Duration, in_flight: u32) {
        for _ in 0..count {
            self.now += Duration::from_millis(1);
            self.limit.answered(response_time, in_flight, self.now);
        }
    }

    /// Answers that come while the limit is in use.
    fn busy(&mut self, count: u32, response_time: Duration) {
        for _ in 0..count {
            self.answer(1, response_time, self.limit.limit());
        }
    }

    fn probe_at(&self) -> Duration {
        match self.limit.phase {
            Phase::Following { probe_at, .. } => probe_at,
            phase => panic!("{phase:?}"),
        }
    }
}

#[test]
fn the_minimum_gets_in_until_the_usual_time_is_known() {
    let mut served = Served::new(policy(8, 100));
    assert_eq!(served.limit.admits(7), Admission::Admitted);
    assert_eq!(served.limit.admits(8), Admission::Refused);
    served.busy(8 + FIRST_ANSWERS, USUAL);
    served.busy(3_000, USUAL);
    assert_eq!(served.limit.limit(), 100);
    assert_eq!(served.limit.admits(99), Admission::Admitted);
    assert_eq!(served.limit.admits(100), Admission::Refused);
}

#[test]
fn the_first_answers_are_not_taken_for_usual() {
    let mut served = Served::new(policy(8, 100));
    served.busy(8, Duration::from_nanos(1));
    served.busy(FIRST_ANSWERS, USUAL);
    served.busy(3_000, USUAL);
    assert_eq!(served.limit.limit(), 100);
}

#[test]
fn what_is_not_used_does_not_grow() {
    let mut served = Served::known(policy(8, 1_000));
    served.busy(300, USUAL);
    let limit = served.limit.limit();
    assert!(limit > 20, "{limit}");
    served.answer(10_000, USUAL, limit / 2 - 1);
    assert_eq!(served.limit.limit(), limit);
    served.answer(100, USUAL, limit / 2 + 1);
    assert!(served.limit.limit() > limit);
}

#[test]
fn a_service_within_its_tolerance_keeps_its_limit_and_a_slow_one_does_not() {
    let mut served = Served::known(policy(8, 100));
    served.busy(3_000, USUAL);
    served.busy(1_000, USUAL.mul_f64(1.4));
    assert_eq!(served.limit.limit(), 100);
    served.busy(690, USUAL.mul_f64(3.0));
    assert_eq!(served.limit.limit(), 8);
}

#[test]
fn requests_without_an_answer_count_as_slow() {
    let mut served = Served::known(policy(8, 100));
    served.busy(3_000, USUAL);
    for _ in 0..1_500 {
        served.limit.dropped(served.limit.limit(), served.now);
    }
    assert_eq!(served.limit.limit(), 8);
}

#[test]
fn one_answer_that_takes_a_minute_is_not_news() {
    let mut served = Served::known(policy(8, 100));
    served.busy(3_000, USUAL);
    served.busy(1, Duration::from_secs(60));
    for _ in 0..200 {
        served.busy(1, USUAL);
        assert_eq!(served.limit.limit(), 100);
    }
}

#[test]
fn a_slow_service_is_not_probed() {
    let mut served = Served::new(policy(8, 100));
    served.busy(8 + FIRST_ANSWERS, Duration::from_secs(1));
    served.busy(3_000, Duration::from_secs(1));
    assert_eq!(served.limit.admits(100), Admission::Refused);
    served.now = served.probe_at();
    served.busy(1, Duration::from_secs(1));
    assert_eq!(served.limit.limit(), 100);
}

#[test]
fn an_idle_service_keeps_its_limit() {
    let mut random = fastrand::Rng::with_seed(3);
    let mut served = Served::known(policy(8, 100));
    served.busy(3_000, USUAL);
    served.answer(100, USUAL, 1);
    for _ in 0..100_000 {
        let response_time = USUAL.mul_f64(-2.0 * (1.0 - random.f64()).ln());
        served.answer(1, response_time, 1 + random.u32(..8));
        // Nobody comes who would be refused.
        assert_eq!(served.limit.limit(), 100);
    }
}

#[test]
fn a_probe_comes_only_where_somebody_was_refused() {
    let mut served = Served::known(policy(8, 100));
    served.busy(3_000, USUAL);
    served.now = served.probe_at();
    served.busy(1, USUAL);
    assert_eq!(served.limit.limit(), 100);
    served.now = served.probe_at();
    assert_eq!(served.limit.admits(100), Admission::Refused);
    served.busy(1, USUAL);
    assert_eq!(served.limit.limit(), 8);
    served.busy(3_000, USUAL);
    assert_eq!(served.limit.limit(), 100);
}

#[test]
fn a_probe_finds_what_has_become_usual() {
    let mut served = Served::known(policy(8, 100));
    let usual = |served: &Served| match served.limit.phase {
        Phase::Following { usual_seconds, .. } => usual_seconds,
        phase => panic!("{phase:?}"),
    };
    for expected in [0.011, 0.012, 0.013] {
        served.now = served.probe_at();
        assert_eq!(served.limit.admits(100), Admission::Refused);
        // Those that were sent before it began.
        served.busy(1, USUAL * 8);
        served.busy(20, USUAL * 8);
        served.busy(500, USUAL.mul_f64(1.5));
        assert!((usual(&served) - expected).abs() < 0.001, "{}", usual(&served));
    }
}

#[test]
fn a_service_that_got_faster_is_known_to_be_at_once() {
    let mut served = Served::known(policy(8, 100));
    served.busy(3_000, USUAL);
    served.busy(1_000, USUAL / 10);
    served.busy(690, USUAL / 2);
    assert_eq!(served.limit.limit(), 8);
}

proptest! {
    #[test]
    fn the_limit_stays_within_its_bounds(
        answers in prop::collection::vec((0_u64..1_000_000_000, 0_u32..2_000, 0_u64..100_000_000, 0_u32..40), 1..200),
        min in 1_u32..50,
        more in 0_u32..500,
        seed in any::<u64>(),
    ) {
        let policy = policy(min, min + more);
        let mut limit = GradientLimit::new(policy, seed);
        let mut now = Duration::ZERO;
        for (response_nanos, in_flight, passed, repeated) in answers {
            for _ in 0..=repeated {
                now += Duration::from_nanos(passed);
                match response_nanos % 10 {
                    0 => limit.dropped(in_flight, now),
                    _ => limit.answered(Duration::from_nanos(response_nanos), in_flight, now),
                }
                prop_assert!((min..=min + more).contains(&limit.limit()), "{:?}", limit);
                prop_assert_eq!(limit.admits(in_flight) == Admission::Admitted, in_flight < limit.limit());
            }
        }
    }
}

#[test]
fn a_probe_ends_although_nobody_is_answered() {
    let mut served = Served::known(policy(8, 100));
    served.busy(3_000, USUAL);
    assert_eq!(served.limit.admits(100), Admission::Refused);
    served.now = served.probe_at();
    served.limit.tick(served.now);
    assert_eq!(served.limit.limit(), 8);
    served.now += Duration::from_secs(10);
    served.limit.tick(served.now);
    assert!(served.limit.limit() > 8);
}
