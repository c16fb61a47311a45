//! A decision as `phalanx autoscale explain` shows it, to people and to programs.

use std::fmt::Write as _;

use phalanx_scale::{
    Decision, Reasons,
    metric::Measured,
    reasons::{Cause, Condition, Course, Limiting, MetricReason, Pass, Status},
};
use serde::Serialize;

/// What is shown. Its field names are the JSON that programs read.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    replicas: u32,
    replicas_before: u32,
    /// All of it as one line, as the log has it.
    reason: String,
    course: &'static str,
    metrics: Vec<MetricReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proposed: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stabilized: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limited: Option<LimitReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cooldown: Option<CooldownReport>,
    conditions: Vec<ConditionReport>,
}

#[derive(Debug, Serialize)]
struct MetricReport {
    name: String,
    wins: bool,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    proposed: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    utilization_percent: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_milli: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_utilization_percent: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_milli: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct LimitReport {
    reason: &'static str,
    by: String,
    to: u32,
}

#[derive(Debug, Serialize)]
struct CooldownReport {
    cause: &'static str,
    seconds_left: f64,
}

#[derive(Debug, Serialize)]
struct ConditionReport {
    #[serde(rename = "type")]
    kind: &'static str,
    status: bool,
    reason: &'static str,
}

impl Report {
    pub(super) fn of(decision: &Decision) -> Self {
        let reasons = &decision.reasons;
        let pass = match reasons.course {
            Course::Measured(pass) => Some(pass),
            Course::Paused | Course::AboveMax | Course::BelowMin | Course::Blind => None,
        };
        let wins = |index| pass.is_some_and(|pass| pass.winner == index);
        let metrics = reasons.metrics.iter().enumerate();
        Self {
            replicas: decision.replicas,
            replicas_before: reasons.from,
            reason: reasons.to_string(),
            course: course(reasons.course),
            metrics: metrics.map(|(index, metric)| MetricReport::of(metric, wins(index))).collect(),
            proposed: pass.map(|pass| pass.proposed),
            stabilized: pass.map(|pass| pass.stabilized.replicas),
            limited: pass.and_then(LimitReport::of),
            cooldown: CooldownReport::of(reasons),
            conditions: reasons.conditions().into_iter().map(ConditionReport::of).collect(),
        }
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = format!("replicas: {}\n{}\n", self.replicas, self.reason);
        for metric in &self.metrics {
            let _ = writeln!(
                text,
                "  metric      {}{}",
                metric.reason,
                if metric.wins { "  ← wins" } else { "" }
            );
        }
        if let Some(proposed) = self.proposed {
            let _ = writeln!(text, "  proposed    {proposed}");
        }
        if let Some(stabilized) = self.stabilized {
            let _ = writeln!(text, "  stabilized  {stabilized}");
        }
        if let Some(LimitReport { reason, by, to }) = &self.limited {
            let _ = writeln!(text, "  limited     {to} by {by} ({reason})");
        }
        if let Some(CooldownReport { cause, seconds_left }) = self.cooldown {
            let _ = writeln!(text, "  cooldown    {seconds_left}s left ({cause})");
        }
        for ConditionReport { kind, status, reason } in &self.conditions {
            let status = if *status { "True" } else { "False" };
            let _ = writeln!(text, "  condition   {kind}={status} {reason}");
        }
        text
    }
}

impl MetricReport {
    fn of(reason: &MetricReason, wins: bool) -> Self {
        let measured = reason.outcome.as_ref().ok().map(|proposal| proposal.measured);
        Self {
            name: reason.metric.name.clone(),
            wins,
            reason: reason.to_string(),
            proposed: reason.outcome.as_ref().ok().map(|proposal| proposal.replicas),
            utilization_percent: measured.and_then(Measured::percent),
            value_milli: measured.map(Measured::milli),
            target_utilization_percent: reason.metric.target.percent(),
            target_milli: reason.metric.target.milli(),
            error: reason.outcome.as_ref().err().map(ToString::to_string),
        }
    }
}

impl LimitReport {
    fn of(pass: Pass) -> Option<Self> {
        let limiting = pass.limiting;
        if limiting == Limiting::Nothing {
            return None;
        }
        let to = limiting.apply(pass.stabilized.replicas);
        Some(Self { reason: limiting.name(), by: limiting.to_string(), to })
    }
}

impl CooldownReport {
    fn of(reasons: &Reasons) -> Option<Self> {
        let cooldown = reasons.cooldown()?;
        let cause = match cooldown.cause {
            Cause::Window => "stabilization window",
            Cause::Rate => "rate",
        };
        Some(Self { cause, seconds_left: cooldown.left.as_secs_f64() })
    }
}

impl ConditionReport {
    fn of(condition: Condition) -> Self {
        Self { kind: condition.kind, status: condition.status == Status::True, reason: condition.reason }
    }
}

fn course(course: Course) -> &'static str {
    match course {
        Course::Paused => "paused",
        Course::AboveMax => "above_max",
        Course::BelowMin => "below_min",
        Course::Blind => "metrics_failed",
        Course::Measured(_) => "measured",
    }
}
