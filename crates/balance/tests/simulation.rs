//! A service whose endpoints crash, err, slow down, leave and recover, over many seeds: health, outliers, selection and an
//! algorithm put together as their owner does.

use std::{num::NonZeroU32, time::Duration};

use phalanx_balance::{
    Algorithm, Share, Weight,
    algorithm::Candidates,
    health::{self, Event, Health, Standing},
    outlier::{self, Detector, Observed, Totals},
    selection::{self, Member, Mode, Role, Selection},
    slow_start,
};

const STEP: Duration = Duration::from_millis(50);
/// Requests in each step.
const REQUESTS: u32 = 10;
const SLOW_START: Duration = Duration::from_secs(5);
const PANIC_THRESHOLD: f64 = 0.5;
/// As long as faults come and go.
const TROUBLE: Duration = Duration::from_secs(120);
/// In which everything heals: longer than the longest ejection.
const CALM: Duration = Duration::from_secs(120);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Condition {
    Well,
    Crashed,
    Erring,
    Slow,
}

struct Endpoint {
    role: Role,
    condition: Condition,
    health: Health,
    serving_since: Duration,
    totals: Totals,
}

struct Simulation {
    random: fastrand::Rng,
    endpoints: Vec<Endpoint>,
    detector: Detector,
    now: Duration,
}

/// Those that are chosen, as an algorithm sees them.
struct Chosen<'a>(&'a Simulation, &'a [usize]);

impl Candidates for Chosen<'_> {
    fn count(&self) -> usize {
        self.1.len()
    }

    fn is_eligible(&self, _: usize) -> bool {
        true
    }

    fn base_weight(&self, _: usize) -> Weight {
        Weight::ONE
    }

    fn weight(&self, index: usize) -> Share {
        let endpoint = &self.0.endpoints[self.1[index]];
        slow_start::share(Weight::ONE, self.0.now.saturating_sub(endpoint.serving_since), SLOW_START)
    }

    fn in_flight(&self, _: usize) -> u32 {
        0
    }

    fn response_nanos(&self, _: usize) -> u64 {
        0
    }

    fn identity(&self, index: usize) -> u64 {
        self.1[index] as u64
    }
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let count = |count| NonZeroU32::new(count).expect("counts here are not zero");
        let policy = health::Policy {
            fails_max: Some(count(3)),
            fail_timeout: Duration::from_secs(5),
            rise: count(2),
            fall: count(3),
        };
        let endpoint = |role| Endpoint {
            role,
            condition: Condition::Well,
            health: Health::new(policy),
            serving_since: Duration::ZERO,
            totals: Totals::default(),
        };
        Self {
            random: fastrand::Rng::with_seed(seed),
            endpoints: [[Role::Primary; 5].as_slice(), &[Role::Backup; 2]]
                .concat()
                .into_iter()
                .map(endpoint)
                .collect(),
            detector: Detector::new(outlier::Policy {
                error_rate: 0.5,
                latency_factor: 5.0,
                volume: count(20),
                window: Duration::from_secs(5),
                ejection: Duration::from_secs(10),
                max_ejected: 0.4,
            }),
            now: Duration::ZERO,
        }
    }

    fn tell(&mut self, index: usize, event: Event) {
        let endpoint = &mut self.endpoints[index];
        if endpoint.health.on(event, self.now) == Some(Standing::Serving) {
            endpoint.serving_since = self.now;
        }
    }

    fn trouble(&mut self) {
        use Condition::{Crashed, Erring, Slow, Well};
        let index = self.random.usize(..self.endpoints.len());
        match self.random.u32(..60) {
            0 => self.tell(index, Event::Drain),
            1 => self.tell(index, Event::Resume),
            2..6 => self.endpoints[index].condition = [Well, Crashed, Erring, Slow][self.random.usize(..4)],
            _ => {}
        }
    }

    fn check(&mut self) {
        for index in 0..self.endpoints.len() {
            let has_crashed = self.endpoints[index].condition == Condition::Crashed;
            self.tell(index, if has_crashed { Event::CheckFailed } else { Event::CheckPassed });
        }
    }

    fn find_outliers(&mut self) {
        let observed: Vec<Observed> = (0..)
            .zip(&self.endpoints)
            .map(|(identity, endpoint)| Observed {
                identity,
                standing: endpoint.health.standing(),
                totals: endpoint.totals,
            })
            .collect();
        for verdict in self.detector.on_tick(&observed, self.now) {
            let index = usize::try_from(verdict.identity).expect("identities here are indices");
            self.tell(index, Event::FoundOutlying { until: self.now + verdict.ejected_for });
        }
    }

    fn select(&self) -> Selection {
        let members = self
            .endpoints
            .iter()
            .map(|endpoint| Member { role: endpoint.role, standing: endpoint.health.standing() });
        selection::select(&members.collect::<Vec<_>>(), PANIC_THRESHOLD)
    }

    /// Sends a request that ends at once to one of `chosen`.
    fn request(&mut self, algorithm: &mut Algorithm, chosen: &Selection) {
        let Some(picked) = algorithm.pick(&Chosen(self, &chosen.indices), 0) else { return };
        let index = chosen.indices[picked];
        let standing = self.endpoints[index].health.standing();
        match standing {
            Standing::Serving | Standing::Trial => {}
            Standing::Ejected { .. } | Standing::Failing => assert_eq!(chosen.mode, Mode::Panic),
            Standing::Draining => panic!("a request to an endpoint that drains"),
        }
        let serving = |endpoint: &&Endpoint| endpoint.health.standing() == Standing::Serving;
        let others_serving =
            self.endpoints.iter().filter(serving).count() - usize::from(standing == Standing::Serving);
        let endpoint = &mut self.endpoints[index];
        endpoint.totals.requests += 1;
        if endpoint.condition == Condition::Crashed {
            endpoint.totals.failures += 1;
            self.tell(index, Event::AttemptFailed { others_serving });
            return;
        }
        endpoint.totals.failures += u64::from(endpoint.condition == Condition::Erring);
        endpoint.totals.answered += 1;
        let millis = if endpoint.condition == Condition::Slow { 100 } else { 2 };
        endpoint.totals.response_time += Duration::from_millis(millis);
        self.tell(index, Event::AttemptSucceeded);
    }

    fn step(&mut self) {
        self.now += STEP;
        if self.now < TROUBLE {
            self.trouble();
        }
        for index in 0..self.endpoints.len() {
            self.tell(index, Event::Tick);
        }
        if self.now.subsec_millis() == 0 {
            self.check();
        }
        if self.now.subsec_millis().is_multiple_of(250) {
            self.find_outliers();
        }
        let mut algorithm = Algorithm::random(self.random.u64(..));
        for _ in 0..REQUESTS {
            let chosen = self.select();
            let is_left = |endpoint: &Endpoint| endpoint.health.standing() != Standing::Draining;
            assert_eq!(chosen.indices.is_empty(), !self.endpoints.iter().any(is_left));
            self.request(&mut algorithm, &chosen);
        }
    }

    fn standings(&self) -> Vec<Standing> {
        self.endpoints.iter().map(|endpoint| endpoint.health.standing()).collect()
    }
}

#[test]
fn whatever_happens_requests_go_where_they_may_and_everyone_returns() {
    for seed in 0..20 {
        println!("seed {seed}");
        let mut simulation = Simulation::new(seed);
        while simulation.now < TROUBLE {
            simulation.step();
        }
        for index in 0..simulation.endpoints.len() {
            simulation.endpoints[index].condition = Condition::Well;
            simulation.tell(index, Event::Resume);
        }
        while simulation.now < TROUBLE + CALM {
            simulation.step();
        }
        let primaries = &simulation.standings()[..5];
        assert_eq!(primaries, [Standing::Serving; 5]);
        assert_eq!(simulation.select(), Selection { indices: vec![0, 1, 2, 3, 4], mode: Mode::Normal });
    }
}

#[test]
fn an_endpoint_that_errs_or_is_slow_gets_next_to_nothing_while_others_do_well() {
    for condition in [Condition::Crashed, Condition::Erring, Condition::Slow] {
        for seed in 0..10 {
            println!("seed {seed}, {condition:?}");
            let mut simulation = Simulation::new(seed);
            simulation.now = TROUBLE;
            simulation.endpoints[2].condition = condition;
            while simulation.now < TROUBLE + CALM {
                simulation.step();
            }
            let all: u64 = simulation.endpoints.iter().map(|endpoint| endpoint.totals.requests).sum();
            let bad = simulation.endpoints[2].totals.requests;
            assert!(bad * 50 < all, "{bad} of {all}");
        }
    }
}
