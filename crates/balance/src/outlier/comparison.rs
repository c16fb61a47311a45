//! Which endpoint does worst, compared with all others.

use std::time::Duration;

use super::{OutlierCause, Policy, Totals};

/// How much longer than the others an endpoint must take, however small their times are: less is not worth an ejection.
const LATENCY_MARGIN: Duration = Duration::from_millis(5);
/// An endpoint that fails this often is no measure for how long answers take: errors are often quick.
const ERROR_RATE_OF_A_MEASURE: f64 = 0.5;

/// An endpoint that serves, with enough requests to be compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judged {
    pub(super) identity: u64,
    /// Within the window.
    pub(super) totals: Totals,
}

/// The index of the one that is an outlier most of all, if any is. Errors come before latency: whoever fails quickly makes the
/// others look slow.
pub(super) fn worst(judged: &[Judged], policy: &Policy) -> Option<(usize, OutlierCause)> {
    most_failing(judged, policy).or_else(|| slowest(judged, policy))
}

fn most_failing(judged: &[Judged], policy: &Policy) -> Option<(usize, OutlierCause)> {
    let (requests, failures) = judged.iter().fold((0, 0), |(requests, failures), one| {
        (requests + one.totals.requests, failures + one.totals.failures)
    });
    let rates = judged.iter().map(|Judged { totals, .. }| {
        let own = error_rate(totals.failures, totals.requests);
        (own, error_rate(failures - totals.failures, requests - totals.requests))
    });
    let (index, (own, others)) = rates
        .enumerate()
        .filter(|(_, (own, others))| *own >= policy.error_rate && *others < own / 2.0)
        .filter(|_| judged.len() > 1)
        .max_by(|(_, a), (_, b)| a.0.total_cmp(&b.0))?;
    Some((index, OutlierCause::ErrorRate { own, others }))
}

/// Zero without requests. Never above one, although failures may have been counted a moment later than requests.
fn error_rate(failures: u64, requests: u64) -> f64 {
    if requests == 0 { 0.0 } else { (failures as f64 / requests as f64).min(1.0) }
}

fn slowest(judged: &[Judged], policy: &Policy) -> Option<(usize, OutlierCause)> {
    let mut means: Vec<(Duration, usize)> = judged
        .iter()
        .enumerate()
        .filter_map(|(index, one)| Some((mean(&one.totals, policy)?, index)))
        .collect();
    means.sort_unstable();
    // Whoever takes longest has the largest distance from the others, whose median is the smallest then.
    let (own, index) = means.pop()?;
    let others = median(&means)?;
    let is_outlier = own.as_secs_f64() >= policy.latency_factor * others.as_secs_f64()
        && own.saturating_sub(others) >= LATENCY_MARGIN;
    is_outlier.then_some((index, OutlierCause::Latency { own, others }))
}

/// The mean response time, where it can be compared.
fn mean(totals: &Totals, policy: &Policy) -> Option<Duration> {
    let rate_max = policy.error_rate.min(ERROR_RATE_OF_A_MEASURE);
    let is_measure = totals.answered >= u64::from(policy.volume.get())
        && error_rate(totals.failures, totals.requests) < rate_max;
    is_measure.then(|| totals.response_time.div_f64(totals.answered as f64))
}

/// The median of what is sorted; between the two in the middle, half way.
fn median(sorted: &[(Duration, usize)]) -> Option<Duration> {
    let (upper, _) = sorted.get(sorted.len() / 2)?;
    let (lower, _) = sorted.get((sorted.len() - 1) / 2)?;
    Some((*lower + *upper) / 2)
}
