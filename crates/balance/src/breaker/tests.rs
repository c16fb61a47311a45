use proptest::prelude::*;

use super::*;

const TICK: Duration = Duration::from_millis(250);

fn policy() -> Policy {
    Policy {
        error_rate: 0.5,
        volume: NonZeroU32::new(20).unwrap(),
        window: Duration::from_secs(10),
        open: Duration::from_secs(5),
    }
}

fn totals(requests: u64, failures: u64) -> Totals {
    Totals { requests, failures }
}

/// A breaker whose owner ticks four times a second.
struct Ticked {
    breaker: CircuitBreaker,
    totals: Totals,
    now: Duration,
}

impl Ticked {
    fn new() -> Self {
        let mut breaker = CircuitBreaker::new(policy());
        assert_eq!(breaker.on(Totals::default(), Duration::ZERO), None);
        Self { breaker, totals: Totals::default(), now: Duration::ZERO }
    }

    /// One tick in which `requests` have ended, `failures` of them badly.
    fn tick(&mut self, requests: u64, failures: u64) -> Option<State> {
        self.now += TICK;
        self.totals.requests += requests;
        self.totals.failures += failures;
        self.breaker.on(self.totals, self.now)
    }

    fn opened() -> Self {
        let mut ticked = Self::new();
        assert!(matches!(ticked.tick(20, 20), Some(State::Open { .. })));
        ticked
    }

    fn half_opened() -> Self {
        let mut ticked = Self::opened();
        ticked.wait_until_half_open();
        ticked
    }

    /// How long it takes.
    fn wait_until_half_open(&mut self) -> Duration {
        let began = self.now;
        while !matches!(self.breaker.state(), State::HalfOpen { .. }) {
            assert!(self.now < began + Duration::from_secs(60), "{:?}", self.breaker);
            self.tick(0, 0);
        }
        self.now - began
    }
}

fn letter(state: State) -> char {
    match state {
        State::Closed => 'C',
        State::Open { .. } => 'O',
        State::HalfOpen { .. } => 'H',
    }
}

/// Every state × every event: what ends in one tick, and how long after the one before it comes.
#[test]
fn every_event_in_every_state() {
    let tick = TICK;
    let long = Duration::from_secs(5);
    for (state, ended, after, expected) in [
        ('C', (0, 0), tick, None),
        ('C', (19, 19), tick, None),
        ('C', (20, 9), tick, None),
        ('C', (20, 10), tick, Some('O')),
        ('C', (20, 20), long, Some('O')),
        ('O', (0, 0), tick, None),
        ('O', (100, 0), tick, None),
        ('O', (100, 100), tick, None),
        ('O', (0, 0), long, Some('H')),
        ('O', (100, 100), long, Some('H')),
        ('H', (0, 0), tick, None),
        ('H', (2, 0), tick, None),
        ('H', (3, 0), tick, Some('C')),
        ('H', (1, 1), tick, Some('O')),
        ('H', (3, 1), tick, Some('O')),
        ('H', (0, 0), long, Some('H')),
        ('H', (2, 0), long, Some('H')),
        ('H', (3, 0), long, Some('C')),
        ('H', (1, 1), long, Some('O')),
    ] {
        let mut ticked = match state {
            'C' => Ticked::new(),
            'O' => Ticked::opened(),
            _ => Ticked::half_opened(),
        };
        assert_eq!(letter(ticked.breaker.state()), state);
        ticked.now += after - TICK;
        let changed = ticked.tick(ended.0, ended.1);
        assert_eq!(changed.map(letter), expected, "{state} {ended:?} {after:?}");
        assert!(changed.is_none_or(|changed| changed == ticked.breaker.state()));
    }
}

/// The same for totals that shrink, of requests or of failures: no news in any state.
#[test]
fn an_endpoint_that_goes_with_its_counts_is_no_news() {
    for fewer in [totals(0, 0), totals(0, 25), totals(100, 0)] {
        for mut ticked in [Ticked::new(), Ticked::opened(), Ticked::half_opened()] {
            let before = letter(ticked.breaker.state());
            ticked.breaker.seen = Some(totals(50, 20));
            ticked.now += TICK;
            ticked.breaker.on(fewer, ticked.now);
            assert_eq!(letter(ticked.breaker.state()), before, "{fewer:?}");
            ticked.totals = fewer;
            ticked.tick(0, 0);
            assert_eq!(letter(ticked.breaker.state()), before, "{fewer:?}");
        }
    }
}

#[test]
fn what_was_counted_before_the_first_event_does_not_matter() {
    let mut breaker = CircuitBreaker::new(policy());
    assert_eq!(breaker.on(totals(1_000, 1_000), TICK), None);
    assert_eq!(breaker.on(totals(1_019, 1_019), 2 * TICK), None);
    assert!(matches!(breaker.on(totals(1_020, 1_020), 3 * TICK), Some(State::Open { .. })));
}

#[test]
fn it_opens_longer_each_time_in_a_row() {
    let mut ticked = Ticked::opened();
    for seconds in [5, 10, 20, 40, 40, 40] {
        assert_eq!(ticked.wait_until_half_open(), Duration::from_secs(seconds));
        assert!(matches!(ticked.tick(1, 1), Some(State::Open { .. })));
    }
    ticked.wait_until_half_open();
    assert_eq!(ticked.tick(3, 0), Some(State::Closed));
    assert!(matches!(ticked.tick(20, 20), Some(State::Open { .. })));
    assert_eq!(ticked.wait_until_half_open(), Duration::from_secs(5));
}

#[test]
fn it_closes_with_an_empty_window() {
    let mut ticked = Ticked::half_opened();
    assert_eq!(ticked.tick(3, 0), Some(State::Closed));
    // With the three of the trial it would be the volume.
    assert_eq!(ticked.tick(19, 19), None);
}

#[test]
fn permits_are_renewed_and_results_add_up() {
    let mut ticked = Ticked::half_opened();
    for passed in [1, 0, 1, 0] {
        assert_eq!(ticked.tick(passed, 0), None);
        ticked.now += policy().open - TICK;
        let until = ticked.now + TICK + policy().open;
        assert_eq!(ticked.tick(0, 0), Some(State::HalfOpen { permits: TRIALS, until }));
    }
    assert_eq!(ticked.tick(1, 0), Some(State::Closed));
}

#[test]
fn failures_count_for_a_whole_window() {
    let mut ticked = Ticked::new();
    assert_eq!(ticked.tick(19, 19), None);
    ticked.now += policy().window - TICK;
    assert!(matches!(ticked.tick(1, 1), Some(State::Open { .. })));
}

#[test]
fn old_failures_are_forgotten() {
    let mut ticked = Ticked::new();
    assert_eq!(ticked.tick(19, 19), None);
    ticked.now += policy().window + policy().window / 10;
    assert_eq!(ticked.tick(1, 1), None);
    assert_eq!(ticked.tick(18, 18), None);
    assert_eq!(ticked.breaker.state(), State::Closed);
}

/// What ends in a tick, and how many of them badly; and, rarely, that ticks come late.
fn ticks(requests_max: u64) -> impl Strategy<Value = Vec<(u64, u64, u32)>> {
    let tick = (0..=requests_max).prop_flat_map(|requests| {
        (Just(requests), 0..=requests, prop_oneof![20 => Just(0_u32), 1 => 1_u32..60])
    });
    prop::collection::vec(tick, 1..200)
}

proptest! {
    #[test]
    fn it_never_opens_below_the_volume_or_the_rate(ticks in ticks(4)) {
        let mut ticked = Ticked::new();
        let mut history: Vec<(Duration, u64, u64)> = Vec::new();
        let mut closed_at = Duration::ZERO;
        for (requests, failures, late) in ticks {
            ticked.now += late * TICK;
            let before = ticked.breaker.state();
            let after = ticked.tick(requests, failures).unwrap_or(before);
            if before == State::Closed {
                history.push((ticked.now, requests, failures));
            }
            match (before, after) {
                (State::Closed, State::Open { until }) => {
                    prop_assert_eq!(until, ticked.now + policy().open);
                    // Counted naively over the longest time that the window may span.
                    let oldest = ticked.now.saturating_sub(policy().window + policy().window / 10).max(closed_at);
                    let counted: u64 = history.iter().filter(|(at, ..)| *at >= oldest).map(|(_, requests, _)| requests).sum();
                    prop_assert!(counted >= u64::from(policy().volume.get()), "{} requests", counted);
                    let failed: u64 = history.iter().filter(|(at, ..)| *at >= oldest).map(|(.., failures)| failures).sum();
                    prop_assert!(failed >= u64::from(policy().volume.get()) / 2, "{} failures", failed);
                }
                (State::HalfOpen { .. }, State::Closed) => {
                    closed_at = ticked.now;
                    history.clear();
                }
                _ => {}
            }
        }
    }

    #[test]
    fn it_opens_within_window_and_tick_when_everything_fails(before in ticks(4), volume in 20_u64..200) {
        let mut ticked = Ticked::new();
        // As long as few fail, whatever else happens.
        for (requests, failures, late) in before {
            ticked.now += late * TICK;
            prop_assert_eq!(ticked.tick(requests, failures.min(requests / 4)), None);
        }
        let began = ticked.now;
        let ticks = u64::try_from(policy().window.as_millis() / TICK.as_millis()).unwrap();
        let mut ended = 0;
        let opened = (1..=ticks + 1).find_map(|tick| {
            let requests = volume * tick / ticks - ended;
            ended += requests;
            ticked.tick(requests, requests)
        });
        prop_assert!(matches!(opened, Some(State::Open { .. })), "{:?}", ticked.breaker);
        prop_assert!(ticked.now <= began + policy().window + TICK);
    }

    #[test]
    fn it_closes_eventually_when_everything_succeeds(before in ticks(40)) {
        let mut ticked = Ticked::new();
        for (requests, failures, late) in before {
            ticked.now += late * TICK;
            ticked.tick(requests, failures);
        }
        let began = ticked.now;
        let permits_of = |state| if let State::HalfOpen { permits, .. } = state { permits } else { 0 };
        let mut permits = permits_of(ticked.breaker.state());
        while ticked.breaker.state() != State::Closed {
            prop_assert!(ticked.now < began + 9 * policy().open, "{:?}", ticked.breaker);
            let ended = permits.min(1);
            permits -= ended;
            if let Some(changed) = ticked.tick(u64::from(ended), 0) {
                permits = permits_of(changed);
            }
        }
    }
}
