//! What a run of the model is made of. Times are short, so that much happens in little time.

use std::{num::NonZeroU32, time::Duration};

use phalanx_admission::{GradientLimit, Queue, gradient_limit};
use phalanx_balance::{Algorithm, Weight, breaker, health, outlier, selection::Role};

use crate::endpoint::{Condition, Endpoint};

pub(crate) const HEALTH: health::Policy = health::Policy {
    fails_max: Some(count(3)),
    fail_timeout: Duration::from_secs(1),
    rise: count(1),
    fall: count(2),
};
pub(crate) const OUTLIERS: outlier::Policy = outlier::Policy {
    error_rate: 0.5,
    latency_factor: 5.0,
    volume: count(5),
    window: Duration::from_secs(2),
    ejection: Duration::from_millis(800),
    max_ejected: 0.5,
};
pub(crate) const BREAKER: breaker::Policy = breaker::Policy {
    error_rate: 0.7,
    volume: count(20),
    window: Duration::from_secs(1),
    open: Duration::from_millis(500),
};
pub(crate) const PANIC_THRESHOLD: f64 = 0.5;
pub(crate) const SLOW_START: Duration = Duration::from_secs(1);

pub(crate) const ATTEMPTS_MAX: u32 = 3;
/// Low, because only resets are repeated at a price, and those that reset are ejected soon.
pub(crate) const RETRY_RATIO: f64 = 0.01;
pub(crate) const RETRIES_PER_SECOND_MIN: f64 = 0.1;
pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(600);
pub(crate) const QUEUE_TIMEOUT: Duration = Duration::from_millis(300);

pub(crate) const TICK: Duration = Duration::from_millis(250);
pub(crate) const CHECK: Duration = Duration::from_millis(500);
/// How often somebody who waits looks for room by himself.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(100);
pub(crate) const SWEEP: Duration = Duration::from_millis(100);
/// Within this long every worker has the newest table, and the main thread every report.
pub(crate) const MESSAGE_MAX: Duration = Duration::from_millis(3);

/// Faults come and go until here.
pub(crate) const CALM_AT: Duration = Duration::from_secs(10);
/// From here on everything has healed, whatever happened before.
pub(crate) const HEALED_AT: Duration = Duration::from_secs(20);
/// No request comes any more.
pub(crate) const LAST_REQUEST_AT: Duration = Duration::from_secs(22);
/// None can still be on its way.
pub(crate) const END: Duration = Duration::from_secs(26);

const fn count(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).expect("counts here are not zero")
}

/// What differs from seed to seed.
pub(crate) struct Setup {
    pub(crate) workers: usize,
    pub(crate) endpoints: Vec<(Role, Weight)>,
    in_flight_max: u32,
    limit: Option<gradient_limit::Policy>,
    queue: Option<NonZeroU32>,
    algorithm: u64,
    seed: u64,
}

impl Setup {
    pub(crate) fn new(seed: u64, random: &mut fastrand::Rng) -> Self {
        let primaries = random.usize(1..=5);
        let backups = random.usize(..=2);
        let weight =
            |random: &mut fastrand::Rng| Weight::try_from(random.u16(1..=3)).expect("it is at least 1");
        let roles = [vec![Role::Primary; primaries], vec![Role::Backup; backups]].concat();
        Self {
            workers: random.usize(1..=3),
            endpoints: roles.into_iter().map(|role| (role, weight(random))).collect(),
            in_flight_max: [6, 12, u32::MAX][random.usize(..3)],
            limit: [None, Some((2, 20)), Some((4, 100))][random.usize(..3)].map(|(min, max)| {
                gradient_limit::Policy { min: count(min), max: count(max), tolerance: 1.5 }
            }),
            queue: [None, Some(count(5)), Some(count(40))][random.usize(..3)],
            // Each in its turn, so that few seeds reach all.
            algorithm: seed % 7,
            seed,
        }
    }

    pub(crate) fn endpoints(&self) -> Vec<Endpoint> {
        let endpoint = |(role, weight): &(Role, Weight)| Endpoint {
            role: *role,
            weight: *weight,
            condition: Condition::Well,
            in_flight: 0,
            in_flight_max: self.in_flight_max,
            totals: outlier::Totals::default(),
            trial_taken: 0,
            trial_request: None,
        };
        self.endpoints.iter().map(endpoint).collect()
    }

    pub(crate) fn algorithm(&self, worker: usize) -> Algorithm {
        let weights = || self.endpoints.iter().map(|(_, weight)| *weight);
        let seed = self.seed + worker as u64;
        match self.algorithm {
            0 => Algorithm::round_robin(weights(), worker),
            1 => Algorithm::least_connections(weights(), worker),
            2 => Algorithm::least_response_time(weights(), worker),
            3 => Algorithm::power_of_two(seed),
            4 => Algorithm::Hash,
            5 => Algorithm::BoundedHash,
            _ => Algorithm::random(seed),
        }
    }

    pub(crate) fn limit(&self) -> Option<GradientLimit> {
        self.limit.map(|policy| GradientLimit::new(policy, self.seed))
    }

    pub(crate) fn queue(&self) -> Option<Queue> {
        self.queue.map(|waiting_max| Queue::new(waiting_max, QUEUE_TIMEOUT))
    }
}
