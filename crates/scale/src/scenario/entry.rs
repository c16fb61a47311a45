//! The parts that scenarios are written in. Their fields are what the JSON says; each turns into what it means.

use std::time::Duration;

use serde::Deserialize;

use crate::{
    behavior::{Amount, Behavior, Rate, Rules, Select},
    events::EventLog,
    group::Startup,
    pod::{Leaving, Phase, Pod, Readiness, Requests, Sample, Samples},
    policy::DOWNSCALE_WINDOW_DEFAULT,
    rate::Changes,
    scenario::ago,
    stabilize::Recommendation,
    tolerance::Tolerance,
};

/// A pod, its request and its sample.
#[derive(Clone, Debug, Deserialize)]
pub struct PodEntry {
    name: String,
    phase: PhaseEntry,
    #[serde(default)]
    deleted: bool,
    ready: Option<bool>,
    started_s_ago: Option<f64>,
    ready_changed_s_ago: Option<f64>,
    request_milli: Option<i64>,
    sample: Option<SampleEntry>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
enum PhaseEntry {
    Pending,
    Running,
    Succeeded,
    Failed,
    Unknown,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct SampleEntry {
    value_milli: i64,
    age_s: Option<f64>,
    #[serde(default)]
    window_s: f64,
}

/// A tolerance.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct ToleranceEntry {
    down: f64,
    up: f64,
}

/// The rules of one direction; what is absent is filled in as Kubernetes does.
#[derive(Clone, Debug, Deserialize)]
pub struct RulesEntry {
    stabilization_window_s: Option<u64>,
    select: Option<SelectEntry>,
    policies: Option<Vec<RateEntry>>,
    tolerance: Option<f64>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
enum SelectEntry {
    Max,
    Min,
    Disabled,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct RateEntry {
    #[serde(rename = "type")]
    kind: RateKindEntry,
    value: u32,
    period_s: u64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
enum RateKindEntry {
    Pods,
    Percent,
}

/// Rules for both directions.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct BehaviorEntry {
    /// For more replicas.
    pub scale_up: Option<RulesEntry>,
    /// For fewer.
    pub scale_down: Option<RulesEntry>,
}

/// A change of the past.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct ChangeEntry {
    change: u32,
    s_ago: f64,
}

/// A proposal of the past.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct RecommendationEntry {
    replicas: u32,
    s_ago: f64,
}

/// The pods of a scenario and what was read of them. Samples of pods that nobody knows get names that nobody has.
#[must_use]
pub fn pods(entries: &[PodEntry], unknown_milli: &[i64]) -> (Vec<Pod>, Samples, Requests) {
    let known = entries.iter().filter_map(|pod| Some((pod.name.clone(), pod.sample?.sample())));
    let unknown = unknown_milli.iter().enumerate().map(|(index, value_milli)| {
        let entry = SampleEntry { value_milli: *value_milli, age_s: Some(0.0), window_s: 60.0 };
        (format!("unknown pod {index}"), entry.sample())
    });
    let requests = entries.iter().filter_map(|pod| Some((pod.name.clone(), pod.request_milli?)));
    (entries.iter().map(PodEntry::pod).collect(), known.chain(unknown).collect(), requests.collect())
}

/// How young pods are doubted; what is absent is as in Kubernetes.
#[must_use]
pub fn startup(cpu_initialization_period_s: Option<u64>, initial_readiness_delay_s: Option<u64>) -> Startup {
    let default = Startup::default();
    Startup {
        cpu_initialization: cpu_initialization_period_s
            .map_or(default.cpu_initialization, Duration::from_secs),
        initial_readiness_delay: initial_readiness_delay_s
            .map_or(default.initial_readiness_delay, Duration::from_secs),
    }
}

/// Changes of the past in both directions.
#[must_use]
pub fn changes(up: &[ChangeEntry], down: &[ChangeEntry]) -> Changes {
    let log =
        |entries: &[ChangeEntry]| EventLog::of(entries.iter().map(|entry| (entry.change, ago(entry.s_ago))));
    Changes { up: log(up), down: log(down) }
}

impl PodEntry {
    fn pod(&self) -> Pod {
        // A condition whose last change nobody knows has been as it is for ever.
        let since = self.ready_changed_s_ago.map_or(Duration::ZERO, ago);
        let readiness = |ready| if ready { Readiness::Ready { since } } else { Readiness::Unready { since } };
        Pod {
            name: self.name.clone(),
            phase: self.phase.phase(),
            leaving: if self.deleted { Leaving::Yes } else { Leaving::No },
            started: self.started_s_ago.map(ago),
            readiness: self.ready.map(readiness),
        }
    }
}

impl PhaseEntry {
    fn phase(self) -> Phase {
        match self {
            Self::Pending => Phase::Pending,
            Self::Running => Phase::Running,
            Self::Succeeded => Phase::Succeeded,
            Self::Failed => Phase::Failed,
            Self::Unknown => Phase::Unknown,
        }
    }
}

impl SampleEntry {
    fn sample(self) -> Sample {
        Sample {
            value_milli: self.value_milli,
            taken: self.age_s.map_or(Duration::ZERO, ago),
            window: Duration::try_from_secs_f64(self.window_s).unwrap_or_default(),
        }
    }
}

impl RulesEntry {
    fn rules(&self, default: Rules) -> Rules {
        Rules {
            window: self.stabilization_window_s.map_or(default.window, Duration::from_secs),
            select: self.select.map_or(default.select, SelectEntry::select),
            rates: self
                .policies
                .as_ref()
                .map_or(default.rates, |policies| policies.iter().map(|policy| policy.rate()).collect()),
            tolerance: self.tolerance,
        }
    }
}

impl SelectEntry {
    fn select(self) -> Select {
        match self {
            Self::Max => Select::Max,
            Self::Min => Select::Min,
            Self::Disabled => Select::Disabled,
        }
    }
}

impl RateEntry {
    fn rate(self) -> Rate {
        let amount = match self.kind {
            RateKindEntry::Pods => Amount::Replicas(self.value),
            RateKindEntry::Percent => Amount::Percent(self.value),
        };
        Rate { amount, period: Duration::from_secs(self.period_s) }
    }
}

impl BehaviorEntry {
    /// The rules; where none are given for going down, or no window, it is held for `downscale_window`.
    #[must_use]
    pub fn behavior(&self, downscale_window: Duration) -> Behavior {
        let filled = |rules: &Option<RulesEntry>, default: Rules| match rules {
            Some(rules) => rules.rules(default),
            None => default,
        };
        Behavior {
            up: filled(&self.scale_up, Rules::up_default()),
            down: filled(&self.scale_down, Rules::down_default(downscale_window)),
        }
    }

    /// The rules where nobody says how long going down is held.
    #[must_use]
    pub fn behavior_default_window(&self) -> Behavior {
        self.behavior(DOWNSCALE_WINDOW_DEFAULT)
    }
}

impl From<ToleranceEntry> for Tolerance {
    fn from(entry: ToleranceEntry) -> Self {
        Self { down: entry.down, up: entry.up }
    }
}

impl From<RecommendationEntry> for Recommendation {
    fn from(entry: RecommendationEntry) -> Self {
        Self { replicas: entry.replicas, at: ago(entry.s_ago) }
    }
}
