//! What must hold whatever happens, counted naively.

use std::{collections::HashMap, time::Duration};

use phalanx_balance::{breaker, health::Standing, selection::Mode};

use crate::{control::Control, request::Ending, setup};

/// Requests and paid retries of one worker, by second.
#[derive(Default)]
pub(crate) struct Ledger {
    seconds: Vec<(u32, u32)>,
}

impl Ledger {
    pub(crate) fn deposited(&mut self, now: Duration) {
        self.second(now).0 += 1;
    }

    pub(crate) fn retried(&mut self, now: Duration) {
        self.second(now).1 += 1;
    }

    fn second(&mut self, now: Duration) -> &mut (u32, u32) {
        let second = usize::try_from(now.as_secs()).expect("runs are short");
        self.seconds.resize(self.seconds.len().max(second + 1), (0, 0));
        &mut self.seconds[second]
    }

    /// In any seconds, retries are within what their requests and those of the ten seconds before allow, and the floor.
    pub(crate) fn assert_within_budget(&self) {
        for from in 0..self.seconds.len() {
            for to in from + 1..=self.seconds.len() {
                let requests: u32 =
                    self.seconds[from.saturating_sub(10)..to].iter().map(|second| second.0).sum();
                let retries: u32 = self.seconds[from..to].iter().map(|second| second.1).sum();
                let floor = setup::RETRIES_PER_SECOND_MIN * (to - from + 10) as f64;
                let allowed = setup::RETRY_RATIO * f64::from(requests) + floor;
                assert!(
                    f64::from(retries) <= allowed + 1e-6,
                    "{retries} retries from second {from} to {to}, {allowed} are allowed"
                );
            }
        }
    }
}

/// An attempt begins: the endpoint must be one that may get it, as far as the worker can know.
pub(crate) fn assert_may_get_requests(control: &Control, endpoint: usize, now: Duration) {
    let is_known = |since: Duration| now - since > setup::MESSAGE_MAX;
    if !is_known(control.standing_since[endpoint]) {
        return;
    }
    match control.table.standings[endpoint] {
        Standing::Serving | Standing::Trial => {}
        Standing::Draining => panic!("a request to endpoint {endpoint}, which drains"),
        standing @ (Standing::Ejected { .. } | Standing::Failing) => {
            let panics = control.table.mode == Mode::Panic || !is_known(control.mode_since);
            assert!(panics, "a request to endpoint {endpoint}, which is {standing:?}");
        }
    }
}

/// The first or another attempt of a request that is not exempt begins: the breaker must let it.
#[derive(Default)]
pub(crate) struct Trials {
    since: Duration,
    sent: u32,
}

impl Trials {
    pub(crate) fn assert_may_pass(&mut self, control: &Control) {
        match control.breaker() {
            breaker::State::Closed => {}
            breaker::State::Open { .. } => panic!("a request while the breaker is open"),
            breaker::State::HalfOpen { .. } => {
                if self.since != control.breaker_since {
                    *self = Self { since: control.breaker_since, sent: 0 };
                }
                self.sent += 1;
                assert!(self.sent <= breaker::TRIALS, "{} requests while it is half open", self.sent);
            }
        }
    }
}

/// How often each thing happened, to see that everything does.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Seen {
    pub(crate) endings: HashMap<Ending, u32>,
    pub(crate) healed_endings: HashMap<Ending, u32>,
    pub(crate) retries: u32,
    pub(crate) refused_retries: u32,
    pub(crate) called: u32,
    pub(crate) trials: u32,
    pub(crate) panics: u32,
    pub(crate) outliers: u32,
    pub(crate) openings: u32,
}

impl Seen {
    pub(crate) fn ended(&mut self, ending: Ending, came_at: Duration) {
        *self.endings.entry(ending).or_default() += 1;
        if came_at >= setup::HEALED_AT {
            *self.healed_endings.entry(ending).or_default() += 1;
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (ending, count) in &other.endings {
            *self.endings.entry(*ending).or_default() += count;
        }
        self.retries += other.retries;
        self.refused_retries += other.refused_retries;
        self.called += other.called;
        self.trials += other.trials;
        self.panics += other.panics;
        self.outliers += other.outliers;
        self.openings += other.openings;
    }
}
