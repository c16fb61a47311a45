//! The main thread of the model: standings, outliers, breaker, and the tables that come of them.

use std::time::Duration;

use phalanx_balance::{
    breaker::{self, CircuitBreaker},
    health::{Event, Health, Standing},
    outlier::{self, Detector, Observed},
    selection::{self, Member, Mode, Selection},
};

use crate::{endpoint::Endpoint, setup};

/// What a worker knows.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) standings: Vec<Standing>,
    /// How many trials each endpoint has had, the current one included.
    pub(crate) trials: Vec<u32>,
    pub(crate) serving_since: Vec<Duration>,
    pub(crate) is_selected: Vec<bool>,
    pub(crate) mode: Mode,
}

pub(crate) struct Control {
    health: Vec<Health>,
    detector: Detector,
    breaker: CircuitBreaker,
    pub(crate) table: Table,
    /// Since when each endpoint has stood as it does, the mode has been what it is, and the breaker.
    pub(crate) standing_since: Vec<Duration>,
    pub(crate) mode_since: Duration,
    pub(crate) breaker_since: Duration,
}

impl Control {
    pub(crate) fn new(endpoints: &[Endpoint]) -> Self {
        let count = endpoints.len();
        let mut control = Self {
            health: vec![Health::new(setup::HEALTH); count],
            detector: Detector::new(setup::OUTLIERS),
            breaker: CircuitBreaker::new(setup::BREAKER),
            table: Table {
                standings: vec![Standing::Serving; count],
                trials: vec![0; count],
                serving_since: vec![Duration::ZERO; count],
                is_selected: Vec::new(),
                mode: Mode::Normal,
            },
            standing_since: vec![Duration::ZERO; count],
            mode_since: Duration::ZERO,
            breaker_since: Duration::ZERO,
        };
        control.select(endpoints, Duration::ZERO);
        control
    }

    /// Tells the health of an endpoint what happened to it; how it stands, if that changed.
    pub(crate) fn tell(
        &mut self,
        index: usize,
        event: Event,
        endpoints: &[Endpoint],
        now: Duration,
    ) -> Option<Standing> {
        let standing = self.health[index].on(event, now)?;
        self.table.standings[index] = standing;
        self.standing_since[index] = now;
        match standing {
            Standing::Serving => self.table.serving_since[index] = now,
            Standing::Trial => self.table.trials[index] += 1,
            Standing::Ejected { .. } | Standing::Failing | Standing::Draining => {}
        }
        self.select(endpoints, now);
        Some(standing)
    }

    pub(crate) fn failed(&self, index: usize) -> Event {
        let serves = |other: usize| other != index && self.table.standings[other] == Standing::Serving;
        Event::AttemptFailed { others_serving: (0..self.health.len()).filter(|other| serves(*other)).count() }
    }

    /// Those that do much worse than others, and until when they should be out.
    pub(crate) fn outlying(&mut self, endpoints: &[Endpoint], now: Duration) -> Vec<(usize, Event)> {
        let observed: Vec<Observed> = endpoints
            .iter()
            .zip(&self.table.standings)
            .zip(0..)
            .map(|((endpoint, standing), identity)| Observed {
                identity,
                standing: *standing,
                totals: endpoint.totals,
            })
            .collect();
        let verdicts = self.detector.on_tick(&observed, now).into_iter();
        let index = |verdict: &outlier::Verdict| usize::try_from(verdict.identity).expect("it is an index");
        verdicts
            .map(|verdict| (index(&verdict), Event::FoundOutlying { until: now + verdict.ejected_for }))
            .collect()
    }

    /// Feeds the breaker; its state, if that changed.
    pub(crate) fn judge(&mut self, endpoints: &[Endpoint], now: Duration) -> Option<breaker::State> {
        let sum =
            |of: fn(&outlier::Totals) -> u64| endpoints.iter().map(|endpoint| of(&endpoint.totals)).sum();
        let totals = breaker::Totals {
            requests: sum(|totals| totals.requests),
            failures: sum(|totals| totals.failures),
        };
        let state = self.breaker.on(totals, now)?;
        self.breaker_since = now;
        Some(state)
    }

    /// Which requests the breaker lets through.
    pub(crate) fn breaker(&self) -> breaker::State {
        self.breaker.state()
    }

    fn select(&mut self, endpoints: &[Endpoint], now: Duration) {
        let members: Vec<Member> = endpoints
            .iter()
            .zip(&self.table.standings)
            .map(|(endpoint, standing)| Member { role: endpoint.role, standing: *standing })
            .collect();
        let Selection { indices, mode } = selection::select(&members, setup::PANIC_THRESHOLD);
        self.table.is_selected = (0..endpoints.len()).map(|index| indices.contains(&index)).collect();
        if self.table.mode != mode {
            self.table.mode = mode;
            self.mode_since = now;
        }
    }
}
