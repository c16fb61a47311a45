//! A policy in a file, with the keys of `[service.NAME.autoscale]`, or by flags.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, anyhow, ensure};
use phalanx_scale::{
    Policy, Tolerance, Wanted,
    behavior::{Amount, Behavior, Rate, Rules, Select},
    group::Startup,
    metric::{Metric, Resource, Scope, Target},
    policy::DOWNSCALE_WINDOW_DEFAULT,
    simulation::Plan,
};
use serde::Deserialize;

use super::{file, milli};
use crate::cli::SimulateArguments;

/// Between two decisions, as in Kubernetes.
const INTERVAL_DEFAULT: Duration = Duration::from_secs(15);
const CPU_PERCENT_DEFAULT: u32 = 80;

/// What a file says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPolicy {
    min: Option<u32>,
    max: u32,
    interval: Option<String>,
    tolerance: Option<f64>,
    metrics: Option<Vec<RawMetric>>,
    scale_up: Option<RawRules>,
    scale_down: Option<RawRules>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMetric {
    cpu_percent: Option<u32>,
    requests_per_second: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRules {
    stabilization: Option<String>,
    policies: Option<Vec<RawRate>>,
    select: Option<RawSelect>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRate {
    percent: Option<u32>,
    replicas: Option<u32>,
    period: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawSelect {
    Max,
    Min,
    Disabled,
}

/// The plan of a file.
pub(super) fn read(path: &Path) -> anyhow::Result<Plan> {
    let text = file::read(path)?;
    parse(&text).with_context(|| path.display().to_string())
}

/// The plan that the flags describe.
pub(super) fn of_flags(arguments: &SimulateArguments) -> anyhow::Result<Plan> {
    let requests = arguments.requests_per_second.map(requests_metric);
    let cpu = match (arguments.cpu_percent, &requests) {
        (None, Some(_)) => None,
        (percent, _) => Some(cpu_metric(percent.unwrap_or(CPU_PERCENT_DEFAULT))),
    };
    let metrics = cpu.into_iter().chain(requests).collect();
    plan(arguments.min, arguments.max, metrics, Tolerance::default(), None, INTERVAL_DEFAULT)
}

fn parse(text: &str) -> anyhow::Result<Plan> {
    let raw: RawPolicy = toml::from_str(text)?;
    let metrics = match raw.metrics {
        Some(metrics) => metrics.iter().enumerate().map(|(index, metric)| metric.metric(index)).collect(),
        None => Ok(vec![cpu_metric(CPU_PERCENT_DEFAULT)]),
    };
    let tolerance = raw
        .tolerance
        .map_or_else(Tolerance::default, |tolerance| Tolerance { down: tolerance, up: tolerance });
    let interval = raw.interval.as_deref().map(|text| duration("interval", text)).transpose()?;
    let behavior = behavior(raw.scale_up, raw.scale_down)?;
    plan(raw.min.unwrap_or(1), raw.max, metrics?, tolerance, behavior, interval.unwrap_or(INTERVAL_DEFAULT))
}

fn plan(
    min: u32,
    max: u32,
    metrics: Vec<Metric>,
    tolerance: Tolerance,
    behavior: Option<Behavior>,
    interval: Duration,
) -> anyhow::Result<Plan> {
    let wanted = Wanted {
        min,
        max,
        metrics,
        tolerance,
        startup: Startup::default(),
        downscale_window: DOWNSCALE_WINDOW_DEFAULT,
        behavior,
    };
    Ok(Plan::new(Policy::try_from(wanted)?, interval)?)
}

/// Without either there are no rules, and as soon as there is one the other has its defaults.
fn behavior(up: Option<RawRules>, down: Option<RawRules>) -> anyhow::Result<Option<Behavior>> {
    if up.is_none() && down.is_none() {
        return Ok(None);
    }
    let filled = |rules: Option<RawRules>, default: Rules, key| match rules {
        Some(rules) => rules.rules(default).with_context(|| format!("`{key}`")),
        None => Ok(default),
    };
    Ok(Some(Behavior {
        up: filled(up, Rules::up_default(), "scale_up")?,
        down: filled(down, Rules::down_default(DOWNSCALE_WINDOW_DEFAULT), "scale_down")?,
    }))
}

impl RawMetric {
    fn metric(&self, index: usize) -> anyhow::Result<Metric> {
        match (self.cpu_percent, self.requests_per_second) {
            (Some(percent), None) => Ok(cpu_metric(percent)),
            (None, Some(requests)) => {
                let requests = milli(&requests.to_string());
                requests.map(requests_metric).with_context(|| format!("`metrics[{index}]`: not a rate"))
            }
            _ => Err(anyhow!("`metrics[{index}]`: give one of `cpu_percent` and `requests_per_second`")),
        }
    }
}

impl RawRules {
    fn rules(self, default: Rules) -> anyhow::Result<Rules> {
        let window = self.stabilization.as_deref().map(|text| duration("stabilization", text)).transpose()?;
        let rates = self.policies.map(|policies| policies.iter().map(RawRate::rate).collect()).transpose()?;
        Ok(Rules {
            window: window.unwrap_or(default.window),
            select: self.select.map_or(default.select, RawSelect::select),
            rates: rates.unwrap_or(default.rates),
            tolerance: None,
        })
    }
}

impl RawRate {
    fn rate(&self) -> anyhow::Result<Rate> {
        let amount = match (self.percent, self.replicas) {
            (Some(percent), None) => Amount::Percent(percent),
            (None, Some(replicas)) => Amount::Replicas(replicas),
            _ => return Err(anyhow!("a policy has one of `percent` and `replicas`")),
        };
        Ok(Rate { amount, period: duration("period", &self.period)? })
    }
}

impl RawSelect {
    fn select(self) -> Select {
        match self {
            Self::Max => Select::Max,
            Self::Min => Select::Min,
            Self::Disabled => Select::Disabled,
        }
    }
}

fn cpu_metric(percent: u32) -> Metric {
    let target = Target::Utilization { resource: Resource::Cpu, scope: Scope::Pod, percent };
    Metric { name: "cpu".to_owned(), target }
}

fn requests_metric(milli: i64) -> Metric {
    Metric { name: "requests".to_owned(), target: Target::PodsAverage { milli } }
}

fn duration(key: &str, text: &str) -> anyhow::Result<Duration> {
    let duration = phalanx_config::parse_duration(text).map_err(|fault| anyhow!("`{key}` {fault}"))?;
    ensure!(duration >= Duration::from_secs(1) || key == "stabilization", "`{key}` must be at least 1s");
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        format!("{:#}", parse(text).map(|_| ()).unwrap_err())
    }

    #[test]
    fn what_is_absent_has_its_default() {
        let default = of_flags_like(1, 4, CPU_PERCENT_DEFAULT);
        assert_eq!(parse("max = 4").unwrap(), default);
        assert_eq!(
            parse("min = 1\nmax = 4\ninterval = '15s'\nmetrics = [ { cpu_percent = 80 } ]").unwrap(),
            default
        );
    }

    fn of_flags_like(min: u32, max: u32, percent: u32) -> Plan {
        plan(min, max, vec![cpu_metric(percent)], Tolerance::default(), None, INTERVAL_DEFAULT).unwrap()
    }

    #[test]
    fn rules_of_one_direction_bring_the_defaults_of_the_other() {
        let rules = parse(
            "max = 4\nscale_up = { policies = [ { replicas = 4, period = '15s' }, { percent = 100, period = '15s' } ] }",
        );
        assert_eq!(
            rules.unwrap(),
            parse("max = 4\nscale_down = { stabilization = '300s', select = 'max' }").unwrap()
        );
    }

    #[test]
    fn faults_are_told() {
        for (text, told) in [
            ("max = 'x'", "line 1, column 7"),
            ("max = 4\nmaxx = 5", "unknown field `maxx`"),
            ("", "missing field `max`"),
            ("max = 4\nmin = 5", "max must not be below min"),
            ("max = 10001", "max must be at most 10000 to be simulated"),
            ("max = 4\nmetrics = []", "at least one metric is needed"),
            (
                "max = 4\nmetrics = [ {} ]",
                "`metrics[0]`: give one of `cpu_percent` and `requests_per_second`",
            ),
            ("max = 4\nmetrics = [ { requests_per_second = -1 } ]", "`metrics[0]`: not a rate"),
            ("max = 4\nmetrics = [ { memory_percent = 1 } ]", "unknown field `memory_percent`"),
            ("max = 4\ninterval = '15'", "`interval`"),
            ("max = 4\ninterval = '0s'", "`interval` must be at least 1s"),
            ("max = 4\nscale_up = { policies = [ { period = '1s' } ] }", "`scale_up`: a policy has one of"),
            ("max = 4\nscale_up = { policies = [] }", "scaling up needs at least one policy"),
            ("max = 4\nscale_up = { stabilization = '2h' }", "a stabilization window must be at most 3600s"),
        ] {
            assert!(fault(text).contains(told), "{text}: {}", fault(text));
        }
    }
}
