//! Proposals of metrics that every pod has its own value of.
//!
//! A pod whose value is missing is counted so that it damps the change: as on its target (or using all that it requests)
//! where the others say down, as idle where they say up. One that is not up yet is counted as idle where they say up, and
//! not at all where they say down.

use crate::{
    group::{Groups, Scrutiny, group},
    metric::{Measured, MetricError},
    number,
    pod::{Pod, Requests, Samples},
    proposal::{Proposal, Situation},
};

/// A pod and its value, in thousandths.
type Entry<'a> = (&'a str, i64);

/// A metric through its target, and the metric itself.
#[derive(Clone, Copy)]
struct Usage {
    ratio: f64,
    measured: Measured,
}

impl Situation<'_> {
    /// By what the pods use of a resource as a share of what they request: a ratio of sums, in whole percent before it is
    /// compared with its target.
    pub(super) fn by_utilization(
        &self,
        scrutiny: Scrutiny,
        target: u32,
        samples: &Samples,
        requests: &Requests,
    ) -> Result<Proposal, MetricError> {
        let (groups, entries) = self.believed(scrutiny, samples)?;
        refuse_missing_request(self.pods, requests)?;
        // Whoever is missing is taken to use all that it requests, or as much as it should where that is more.
        let full = i64::from(target.max(100));
        let missing =
            |pod: &str| requests.get(pod).map_or(0, |request| number::narrow(product(*request, full) / 100));
        self.settle(&groups, entries, missing, |entries| utilization(entries, requests, target))
    }

    /// By the mean of the pods' values, in whole thousandths before it is compared with its target.
    pub(super) fn by_average(
        &self,
        scrutiny: Scrutiny,
        target: i64,
        samples: &Samples,
    ) -> Result<Proposal, MetricError> {
        let (groups, entries) = self.believed(scrutiny, samples)?;
        self.settle(&groups, entries, |_| target, |entries| average(entries, target))
    }

    /// The pods by how they count, and the samples to be believed.
    fn believed<'a>(
        &'a self,
        scrutiny: Scrutiny,
        samples: &'a Samples,
    ) -> Result<(Groups<'a>, Vec<Entry<'a>>), MetricError> {
        if samples.is_empty() {
            return Err(MetricError::NoSamples);
        }
        if self.pods.is_empty() {
            return Err(MetricError::NoPods);
        }
        let groups = group(self.pods, samples, scrutiny, self.now);
        let mut dropped: Vec<&str> = groups.ignored.iter().chain(&groups.unready).copied().collect();
        dropped.sort_unstable();
        let entries: Vec<_> = samples
            .iter()
            .map(|(pod, sample)| (pod.as_str(), sample.value_milli))
            .filter(|(pod, _)| dropped.binary_search(pod).is_err())
            .collect();
        if entries.is_empty() { Err(MetricError::NoneReady) } else { Ok((groups, entries)) }
    }

    fn settle<'a>(
        &self,
        groups: &Groups<'a>,
        mut entries: Vec<Entry<'a>>,
        missing: impl Fn(&str) -> i64,
        usage: impl Fn(&[Entry<'_>]) -> Result<Usage, MetricError>,
    ) -> Result<Proposal, MetricError> {
        let Usage { ratio, measured } = usage(&entries)?;
        let proposal = |replicas| Ok(Proposal { replicas, measured });
        let up_in_spite_of_unready = !groups.unready.is_empty() && ratio > 1.0;
        if !up_in_spite_of_unready && groups.missing.is_empty() {
            return proposal(if self.tolerance.covers(ratio) {
                self.replicas
            } else {
                // The pods that were measured, not those that are asked for: that the two agree is somebody else's work.
                number::replicas_up(ratio * number::count(groups.ready))
            });
        }
        // With a ratio of exactly one the missing say nothing in either direction, and are left out.
        if ratio < 1.0 {
            entries.extend(groups.missing.iter().map(|pod| (*pod, missing(pod))));
        } else if ratio > 1.0 {
            entries.extend(groups.missing.iter().map(|pod| (*pod, 0)));
        }
        if up_in_spite_of_unready {
            entries.extend(groups.unready.iter().map(|pod| (*pod, 0)));
        }
        let completed = usage(&entries)?.ratio;
        let turned = (ratio < 1.0 && completed > 1.0) || (ratio > 1.0 && completed < 1.0);
        if self.tolerance.covers(completed) || turned {
            return proposal(self.replicas);
        }
        let replicas = number::replicas_up(completed * number::count(entries.len()));
        // During a rollout there are more pods than replicas, and their number alone must not turn the direction.
        let contradicts =
            (completed < 1.0 && replicas > self.replicas) || (completed > 1.0 && replicas < self.replicas);
        proposal(if contradicts { self.replicas } else { replicas })
    }
}

/// Every pod counts here, also those that leave: what a pod should have requested does not depend on how it fares.
fn refuse_missing_request(pods: &[Pod], requests: &Requests) -> Result<(), MetricError> {
    match pods.iter().find(|pod| !requests.contains_key(&pod.name)) {
        Some(pod) => Err(MetricError::MissingRequest { pod: pod.name.clone() }),
        None => Ok(()),
    }
}

fn utilization(entries: &[Entry<'_>], requests: &Requests, target: u32) -> Result<Usage, MetricError> {
    let known = entries.iter().filter_map(|(pod, value)| Some((*value, *requests.get(*pod)?)));
    let (mut used, mut requested, mut count) = (0_i128, 0_i128, 0_i128);
    for (value, request) in known {
        used += i128::from(value);
        requested += i128::from(request);
        count += 1;
    }
    if requested == 0 {
        return Err(MetricError::NoneKnown);
    }
    let percent = (used * 100 / requested).clamp(i128::from(i32::MIN), i128::from(i32::MAX));
    let percent = i32::try_from(percent).unwrap_or(i32::MAX);
    let average_milli = number::narrow(used / count);
    Ok(Usage {
        ratio: f64::from(percent) / f64::from(target),
        measured: Measured::Utilization { percent, average_milli },
    })
}

fn average(entries: &[Entry<'_>], target: i64) -> Result<Usage, MetricError> {
    let count = i128::try_from(entries.len()).unwrap_or(i128::MAX);
    let sum: i128 = entries.iter().map(|(_, value)| i128::from(*value)).sum();
    let milli = number::narrow(sum.checked_div(count).ok_or(MetricError::NoSamples)?);
    Ok(Usage { ratio: number::float(milli) / number::float(target), measured: Measured::Average { milli } })
}

fn product(left: i64, right: i64) -> i128 {
    i128::from(left) * i128::from(right)
}
