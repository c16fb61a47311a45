//! Requests a second, from what the gateway counts: looked at once a second, and kept for whoever asks.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use phalanx_telemetry::DurationTotals;

/// How often the counts are looked at.
pub(super) const PERIOD: Duration = Duration::from_secs(1);

/// What was counted at one moment.
pub(super) struct Counts {
    /// Requests that each endpoint has been sent, by address.
    pub(super) endpoints: HashMap<String, u64>,
    pub(super) durations: DurationTotals,
}

/// Between the last two looks.
#[derive(Clone, Debug, Default)]
pub(super) struct Rates {
    /// By address.
    pub(super) endpoints: HashMap<String, f64>,
    /// Of requests that ended, over all routes.
    pub(super) requests_per_second: f64,
    pub(super) durations: DurationTotals,
}

/// The last look, and what came of it.
#[derive(Default)]
pub(super) struct Watch(Mutex<State>);

#[derive(Default)]
struct State {
    last: Option<(Instant, Counts)>,
    rates: Rates,
}

impl Watch {
    pub(super) fn rates(&self) -> Rates {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).rates.clone()
    }

    pub(super) fn look(&self, now: Instant, counts: Counts) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let State { last, rates } = &mut *state;
        if let Some((before, earlier)) = last {
            let elapsed = now.saturating_duration_since(*before).as_secs_f64();
            if elapsed > 0.0 {
                *rates = between(earlier, &counts, elapsed);
            }
        }
        *last = Some((now, counts));
    }
}

fn between(earlier: &Counts, later: &Counts, elapsed: f64) -> Rates {
    let durations = later.durations.since(&earlier.durations);
    let endpoints = later.endpoints.iter().map(|(address, count)| {
        // A port that another replica has now counts from zero again.
        let before = earlier.endpoints.get(address).filter(|before| *before <= count);
        (address.clone(), per_second(count - before.unwrap_or(&0), elapsed))
    });
    Rates {
        endpoints: endpoints.collect(),
        requests_per_second: per_second(durations.count(), elapsed),
        durations,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 53 bits")]
fn per_second(count: u64, elapsed: f64) -> f64 {
    count as f64 / elapsed
}

#[cfg(test)]
mod tests {
    use phalanx_telemetry::clock;

    use super::*;

    #[test]
    fn a_rate_is_what_came_between_two_looks() {
        let counts = |count: u64| Counts {
            endpoints: HashMap::from([("a".to_owned(), count), ("b".to_owned(), 10)]),
            durations: DurationTotals::default(),
        };
        let (watch, began) = (Watch::default(), clock::now());
        watch.look(began, counts(100));
        assert!(watch.rates().endpoints.is_empty(), "of one look nothing follows");
        watch.look(began + Duration::from_secs(2), counts(300));
        assert_eq!(watch.rates().endpoints, HashMap::from([("a".to_owned(), 100.0), ("b".to_owned(), 0.0)]));
        watch.look(began + Duration::from_secs(4), counts(20));
        assert_eq!(watch.rates().endpoints["a"], 10.0, "it counts from zero again");
        watch.look(began + Duration::from_secs(4), counts(40));
        assert_eq!(watch.rates().endpoints["a"], 10.0, "no time has passed");
    }
}
