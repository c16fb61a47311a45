//! One case of kind `reconcile`, raw and checked.

use std::time::Duration;

use serde::Deserialize;

use crate::{
    decide::{Decision, Observed, decide},
    metric::{Goal, Metric, Reading, Resource, Scope, Target},
    pod::{Requests, Samples},
    policy::{DOWNSCALE_WINDOW_DEFAULT, Policy, PolicyFaults, Wanted},
    scenario::{
        NOW,
        entry::{self, BehaviorEntry, ChangeEntry, PodEntry, RecommendationEntry, ToleranceEntry},
    },
    state::State,
};

/// Everything that one decision depends on, as it is written.
#[derive(Clone, Debug, Deserialize)]
pub struct Case {
    #[serde(default = "one")]
    min: u32,
    max: u32,
    spec_replicas: u32,
    status_replicas: Option<u32>,
    tolerance: Option<ToleranceEntry>,
    cpu_initialization_period_s: Option<u64>,
    initial_readiness_delay_s: Option<u64>,
    downscale_window_s: Option<u64>,
    behavior: Option<BehaviorEntry>,
    recommendations: Option<Vec<RecommendationEntry>>,
    #[serde(default)]
    scale_up_events: Vec<ChangeEntry>,
    #[serde(default)]
    scale_down_events: Vec<ChangeEntry>,
    metrics: Vec<MetricEntry>,
    #[serde(default)]
    pods: Vec<PodEntry>,
    #[serde(default)]
    samples_of_unknown_pods_milli: Vec<i64>,
}

#[derive(Clone, Debug, Deserialize)]
struct MetricEntry {
    #[serde(rename = "type")]
    kind: MetricKind,
    name: Option<String>,
    resource: Option<String>,
    container: Option<String>,
    target_utilization_percent: Option<u32>,
    target_average_milli: Option<i64>,
    target_value_milli: Option<i64>,
    values_milli: Option<Vec<i64>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum MetricKind {
    ResourceUtilization,
    ResourceAverageValue,
    PodsAverageValue,
    ObjectValue,
    ObjectAverageValue,
    ExternalValue,
    ExternalAverageValue,
    Broken,
}

/// Why a scenario cannot be decided.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// A metric does not say what it should be.
    #[error("metrics[{index}]: {key} is missing")]
    NoTarget {
        /// Which, from 0.
        index: usize,
        /// What would say it.
        key: &'static str,
    },
    /// No such policy.
    #[error(transparent)]
    Policy(#[from] PolicyFaults),
}

impl Case {
    /// Decides.
    ///
    /// # Errors
    /// If the case does not make sense.
    pub fn decide(&self) -> Result<Decision, ScenarioError> {
        let policy = self.policy()?;
        Ok(decide(&policy, &mut self.state(), &self.observed(), NOW))
    }

    /// What is wanted.
    ///
    /// # Errors
    /// If it does not make sense.
    pub fn policy(&self) -> Result<Policy, ScenarioError> {
        let downscale_window = self.downscale_window_s.map_or(DOWNSCALE_WINDOW_DEFAULT, Duration::from_secs);
        let metrics = self.metrics.iter().enumerate().map(|(index, metric)| metric.metric(index));
        let wanted = Wanted {
            min: self.min,
            max: self.max,
            metrics: metrics.collect::<Result<_, _>>()?,
            tolerance: self.tolerance.map(Into::into).unwrap_or_default(),
            startup: entry::startup(self.cpu_initialization_period_s, self.initial_readiness_delay_s),
            downscale_window,
            behavior: self.behavior.as_ref().map(|behavior| behavior.behavior(downscale_window)),
        };
        Ok(Policy::try_from(wanted)?)
    }

    /// What is remembered.
    #[must_use]
    pub fn state(&self) -> State {
        let changes = entry::changes(&self.scale_up_events, &self.scale_down_events);
        match &self.recommendations {
            Some(recommendations) => {
                State::resumed(recommendations.iter().copied().map(Into::into).collect(), changes)
            }
            None => State::fresh(changes),
        }
    }

    /// What is observed.
    #[must_use]
    pub fn observed(&self) -> Observed {
        let (pods, samples, requests) = entry::pods(&self.pods, &self.samples_of_unknown_pods_milli);
        let readings = self.metrics.iter().map(|metric| metric.reading(&samples, &requests));
        Observed {
            replicas: self.spec_replicas,
            replicas_existing: self.status_replicas.unwrap_or(self.spec_replicas),
            crashing: 0,
            pods,
            readings: readings.collect(),
        }
    }
}

impl MetricEntry {
    fn metric(&self, index: usize) -> Result<Metric, ScenarioError> {
        let name = self.name.clone().unwrap_or_else(|| self.name_default().to_owned());
        let missing = |key| ScenarioError::NoTarget { index, key };
        let average = || self.target_average_milli.ok_or_else(|| missing("target_average_milli"));
        let value = || self.target_value_milli.ok_or_else(|| missing("target_value_milli"));
        let percent = || self.target_utilization_percent.ok_or_else(|| missing("target_utilization_percent"));
        let resource = || Resource::from(self.resource.as_deref().unwrap_or("cpu"));
        let scope = if self.container.is_some() { Scope::Container } else { Scope::Pod };
        let target = match self.kind {
            MetricKind::ResourceUtilization => {
                Target::Utilization { resource: resource(), scope, percent: percent()? }
            }
            MetricKind::ResourceAverageValue => {
                Target::ResourceAverage { resource: resource(), scope, milli: average()? }
            }
            MetricKind::PodsAverageValue => Target::PodsAverage { milli: average()? },
            MetricKind::ObjectValue => Target::Object(Goal::Value(value()?)),
            MetricKind::ObjectAverageValue => Target::Object(Goal::AverageValue(average()?)),
            MetricKind::ExternalValue => Target::External(Goal::Value(value()?)),
            MetricKind::ExternalAverageValue => Target::External(Goal::AverageValue(average()?)),
            MetricKind::Broken => Target::Unknown,
        };
        Ok(Metric { name, target })
    }

    fn name_default(&self) -> &str {
        match self.kind {
            MetricKind::ResourceUtilization | MetricKind::ResourceAverageValue => {
                self.resource.as_deref().unwrap_or("cpu")
            }
            MetricKind::PodsAverageValue => "pods metric",
            MetricKind::ObjectValue | MetricKind::ObjectAverageValue => "object metric",
            MetricKind::ExternalValue | MetricKind::ExternalAverageValue => "external metric",
            MetricKind::Broken => "broken metric",
        }
    }

    fn reading(&self, samples: &Samples, requests: &Requests) -> Reading {
        match self.kind {
            MetricKind::ResourceUtilization => {
                Reading::Resource { samples: samples.clone(), requests: requests.clone() }
            }
            MetricKind::ResourceAverageValue | MetricKind::PodsAverageValue => Reading::Pods(samples.clone()),
            MetricKind::ObjectValue
            | MetricKind::ObjectAverageValue
            | MetricKind::ExternalValue
            | MetricKind::ExternalAverageValue => {
                Reading::Values(self.values_milli.clone().unwrap_or_default())
            }
            MetricKind::Broken => Reading::Failed("broken".to_owned()),
        }
    }
}

fn one() -> u32 {
    1
}
