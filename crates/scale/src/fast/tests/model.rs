//! Fast decisions against a naive model that keeps everything, and what must hold of all of them.

use proptest::prelude::*;

use super::*;

/// What is observed at one decision, 1 to 4 s after the one before.
#[derive(Clone, Debug)]
struct Step {
    after: u64,
    milli: Option<i64>,
    ready_share: u32,
    crashing: u32,
    traffic: Traffic,
}

fn step() -> impl Strategy<Value = Step> {
    // Mostly small or large values that last, so that windows fill and panics begin and end.
    let milli = prop_oneof![
        4 => (0_i64..400).prop_map(|value| Some(value * 1_000)),
        1 => (0_i64..4_000).prop_map(|value| Some(value * 1_000)),
        2 => Just(Some(0)),
        1 => Just(None),
        1 => any::<i64>().prop_map(Some),
    ];
    let traffic = prop_oneof![Just(Traffic::Some), Just(Traffic::None), Just(Traffic::Unknown)];
    let crashing = prop_oneof![4 => Just(0), 1 => 0_u32..4];
    (1_u64..5, milli, 0_u32..=4, crashing, traffic).prop_map(
        |(after, milli, ready_share, crashing, traffic)| Step {
            after,
            milli,
            ready_share,
            crashing,
            traffic,
        },
    )
}

fn short_windows(min: u32) -> Wanted {
    Wanted { stable_window: at(10), panic_window: at(3), idle: at(14), ..wanted(min) }
}

/// All there was, in the simplest words.
struct Naive {
    values: Vec<(u64, i64)>,
    missing: Vec<u64>,
    began: u64,
    panicked: Option<u64>,
    busy: u64,
}

impl Naive {
    fn mean(&self, window: u64, now: u64) -> Option<i64> {
        let within: Vec<_> = self.values.iter().filter(|(second, _)| second + window > now).collect();
        let sum: i128 = within.iter().map(|(_, milli)| i128::from(*milli)).sum();
        let count = i128::try_from(within.len()).unwrap();
        (count > 0).then(|| i64::try_from(sum / count).unwrap())
    }

    fn asks(milli: i64) -> u32 {
        // No float can be exact here, and no sum can overflow.
        u32::try_from((i128::from(milli.max(0)) + 99_999) / 100_000)
            .unwrap_or(crate::REPLICAS_MAX)
            .min(crate::REPLICAS_MAX)
    }

    fn decide(&mut self, wanted: &Wanted, replicas: u32, ready: u32, step: &Step, now: u64) -> u32 {
        match step.milli {
            Some(milli) => self.values.push((now, milli)),
            None => self.missing.push(now),
        }
        if step.traffic != Traffic::None {
            self.busy = now;
        }
        let newest = step.milli;
        let Some(newest) = newest else {
            let wakes = replicas == 0 && step.traffic == Traffic::Some;
            return if wakes { 1 } else { replicas }.clamp(wanted.min, wanted.max);
        };
        // Of those that crash as many are asked for again as are needed.
        let beside = |needed: u32| (u64::from(needed) + u64::from(step.crashing.min(needed))).min(1 << 30);
        let asks = |milli| u32::try_from(beside(Self::asks(milli))).unwrap();
        let stable = asks(self.mean(10, now).unwrap());
        let burst = asks(self.mean(3, now).unwrap().max(newest));
        if u64::from(burst) >= 2 * u64::from(ready.max(1)) {
            self.panicked = Some(now);
        } else if self.panicked.is_some_and(|panicked| now > panicked + 10) {
            self.panicked = None;
        }
        if !(wanted.min..=wanted.max).contains(&replicas) {
            return replicas.clamp(wanted.min, wanted.max);
        }
        let mut to = match self.panicked {
            Some(_) => stable.max(burst).max(replicas),
            None if burst < replicas => stable.max(burst),
            None => stable.max(replicas.min(burst)),
        };
        // Since the last missing value, or the beginning, there must have been a whole window.
        let read_since = self.values.iter().map(|(second, _)| *second);
        let last_missing = self.missing.last().copied();
        let read_since =
            read_since.filter(|second| last_missing.is_none_or(|missing| *second > missing)).min();
        if to < replicas {
            to = if read_since.is_some_and(|since| now - since >= 10) {
                to.max(replicas / 2)
            } else {
                replicas
            };
        }
        let idle = now >= self.busy.max(self.began) + 14;
        if to == 0 && replicas > 0 && !idle {
            to = 1;
        }
        if to == 0 && replicas == 0 && step.traffic == Traffic::Some {
            to = 1;
        }
        to.min(ready.max(1) * 1_000).clamp(wanted.min, wanted.max)
    }
}

fn ready(replicas: u32, share: u32) -> u32 {
    replicas * share / 4
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn decisions_are_those_of_the_naive_model(
        min in 0_u32..3, replicas in 0_u32..25, steps in prop::collection::vec(step(), 1..60),
    ) {
        let wanted = short_windows(min);
        let policy = policy(wanted.clone());
        let mut state = State::default();
        let mut now = 1_000;
        let mut naive = Naive { values: Vec::new(), missing: Vec::new(), began: now + steps[0].after, panicked: None, busy: 0 };
        let mut replicas = replicas;
        for step in &steps {
            now += step.after;
            let ready = ready(replicas, step.ready_share);
            let observed = Observed { replicas, ready, crashing: step.crashing, readings: vec![step.milli], traffic: step.traffic };
            let decision = decide(&policy, &mut state, &observed, at(now));
            let expected = naive.decide(&wanted, replicas, ready, step, now);
            prop_assert_eq!(decision.replicas, expected, "at {}: {}", now, decision.reasons);
            replicas = decision.replicas;
        }
    }

    /// What is promised whatever happens.
    #[test]
    fn promises_hold(
        min in 0_u32..3, replicas in 0_u32..25, steps in prop::collection::vec(step(), 1..60),
    ) {
        let wanted = short_windows(min);
        let policy = policy(wanted.clone());
        let mut state = State::default();
        let (mut now, mut replicas, mut last_request, mut last_missing) = (1_000, replicas, None, None);
        for step in &steps {
            now += step.after;
            let ready = ready(replicas, step.ready_share);
            let observed = Observed { replicas, ready, crashing: step.crashing, readings: vec![step.milli], traffic: step.traffic };
            let decision = decide(&policy, &mut state, &observed, at(now));
            if step.traffic != Traffic::None {
                last_request = Some(now);
            }
            if step.milli.is_none() {
                last_missing = Some(now);
            }
            let (from, to) = (replicas, decision.replicas);
            prop_assert!((wanted.min..=wanted.max).contains(&to));
            if to < from && from <= wanted.max {
                prop_assert!(decision.reasons.panic_until.is_none(), "never down in a panic");
                prop_assert!(last_missing.is_none_or(|missing| now - missing >= 10), "never down on missing values");
                prop_assert!(to >= from / 2, "never more than half");
                prop_assert!(to > 0 || last_request.is_none_or(|request| now - request >= 14), "not idle yet");
            }
            replicas = to;
        }
    }
}
