//! One service in the loop of the fleet: observed → plan → act.
//!
//! ```text
//! board, members ─→ Rollout::plan ─→ admit ─→ start tasks, cancel stops ─→ board, events
//! ```
//!
//! Invariant: what is planned is done before the replicas are looked at again, so every plan is good for what it was made of.
//! Elsewhere: the plan (`phalanx_scale::rollout`), the tasks (`crate::crew`), orders ([`take`]), who waits for whom
//! (`crate::dependencies`).

mod members;
mod take;
#[cfg(test)]
mod tests;

use std::{
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use phalanx_config::{Replicas, ReplicasLimit, ServiceName};
use phalanx_scale::rollout::{Actions, Observed, Reasons, Rollout, Status, Version};
use phalanx_telemetry::clock;
use tokio::task::JoinError;
use tracing::{error, info};

use self::members::{Members, Stage};
use crate::{
    balancer::Balancer,
    crew::{Crew, Place},
    events::{self, EventKind, EventLog},
    fleet::Settings,
    replica::{Seat, instance},
    state::{AutoscaleState, RevisionState, RolledBack, RolloutState, RolloutStatus, Shown},
    template::Template,
};

/// One service.
pub(crate) struct Service {
    /// Its number in the fleet and on the board.
    pub(crate) index: usize,
    pub(crate) name: ServiceName,
    pub(crate) members: Members,
    settings: Settings,
    rollout: Rollout<Arc<Template>>,
    /// When the clock of the rollout began.
    began: Instant,
    /// What the file says of the number of replicas.
    replicas_in_file: u32,
    limit: ReplicasLimit,
    autoscale: Option<AutoscaleState>,
    rolled_back: Option<RolledBack>,
    /// What was last shown.
    reason: String,
    status: RolloutStatus,
    /// Whether something was ordered of which the end has not been told.
    awaits_end: bool,
    /// Whether it was ever complete.
    pub(crate) has_arrived: bool,
}

impl Service {
    pub(crate) fn new(
        index: usize,
        name: ServiceName,
        replicas: Replicas,
        settings: Settings,
        now: Instant,
    ) -> Self {
        let (desired, limit) = (replicas.replicas, replicas.limit);
        let policy = replicas.rollout;
        let template = Arc::new(Template::new(replicas, settings));
        Self {
            index,
            name,
            members: Members::default(),
            settings,
            rollout: Rollout::new(policy, desired, template, Duration::ZERO),
            began: now,
            replicas_in_file: desired,
            limit,
            autoscale: None,
            rolled_back: None,
            reason: String::new(),
            status: RolloutStatus::Waiting,
            awaits_end: true,
            has_arrived: false,
        }
    }

    /// Shows that it waits for `others` to be complete.
    pub(crate) fn wait_for<B: Balancer>(&mut self, others: &[ServiceName], crew: &Crew<B>) {
        let others: Vec<_> = others.iter().map(|name| format!("`{name}`")).collect();
        let reason = format!("waits for {} to be complete", others.join(", "));
        if reason != self.reason {
            events::tell(crew.events(), &self.name, EventKind::Waiting, reason.as_str());
        }
        self.reason = reason;
        self.show(crew, RolloutCounts::default());
    }

    /// Brings it further; when it has to be done again although nothing has happened.
    pub(crate) fn tend<B: Balancer>(&mut self, crew: &mut Crew<B>, now: Instant) -> Option<Instant> {
        if self.status == RolloutStatus::Waiting {
            // Nothing was done until here, so nothing of the deadline is spent.
            self.rollout.begin_at(now - self.began);
        }
        loop {
            let replicas = crew.with_board(self.index, |board| self.members.observed(board, self.began));
            let observed = Observed { generation: self.rollout.generation(), replicas };
            let (plan, reasons) = self.rollout.plan(&observed, now - self.began);
            let wakes_at = plan.wakes_at();
            let actions = self.rollout.admit(plan).expect("nothing happens between a plan and its admission");
            self.note(&reasons, crew.events());
            if actions.is_empty() {
                self.show(crew, RolloutCounts::of(&reasons));
                return wakes_at.map(|at| self.began + at);
            }
            self.act(&actions, crew, now);
        }
    }

    /// Lets the task of a member begin, or begin again.
    fn start<B: Balancer>(&self, ordinal: u32, restarts: u32, crew: &mut Crew<B>) {
        let Some(member) = self.members.get(ordinal) else { return };
        let template = self.rollout.template(member.version);
        let template = template.expect("a version stays in the history while a member has it");
        let place = Place { service: self.index, ordinal };
        let revision = self.revision_of(member.version);
        let seat = Seat { ordinal, revision, restarts };
        crew.start(place, &self.name, seat, Arc::clone(template), member.stop.clone());
    }

    /// Has it cleared up after a member whose task was lost. It keeps its place, and its next task pauses like one that crashed.
    pub(crate) fn lose<B: Balancer>(&mut self, ordinal: u32, error: &JoinError, crew: &mut Crew<B>) {
        let now = clock::now();
        let Some(member) = self.members.get_mut(ordinal) else { return };
        let template = self.rollout.template(member.version);
        let back_off = template.expect("a version stays in the history while a member has it").rules.back_off;
        let pause = member.losses.count(now.saturating_duration_since(member.since), &back_off, ordinal);
        // Should clearing up be what fails, all that is left is to wait.
        let is_cleared_up = mem::replace(&mut member.stage, Stage::Recovering) == Stage::Recovering;
        let last = crew.with_board(self.index, |board| {
            board.iter().find(|state| state.ordinal == ordinal && !is_cleared_up).cloned()
        });
        let stop = member.stop.clone();
        let instance = instance(&self.name, ordinal);
        error!(service = %self.name, %instance, %error, ?pause, "a replica is lost to a fault in phalanx");
        let reason = format!("{error}; starts again in {pause:.1?}");
        crew.events().record(&self.name, Some(&instance), EventKind::Lost, reason);
        crew.recover(Place { service: self.index, ordinal }, &self.name, last, pause, stop);
    }

    /// Gives the place of a member that was lost to its next task.
    pub(crate) fn start_again<B: Balancer>(&mut self, ordinal: u32, crew: &mut Crew<B>, now: Instant) {
        let Some(member) = self.members.get_mut(ordinal) else { return };
        (member.stage, member.since) = (Stage::Living, now);
        let restarts = crew.with_board(self.index, |board| {
            board.iter().find(|state| state.ordinal == ordinal).map_or(0, |state| state.restarts)
        });
        self.start(ordinal, restarts + 1, crew);
    }

    /// Takes note of why a plan is what it is.
    fn note(&mut self, reasons: &Reasons, events: &EventLog) {
        let line = reasons.to_string();
        if let Some(from) = reasons.rolled_back_from {
            let why = format!("it came no further: {}", self.reason);
            events::tell(events, &self.name, EventKind::RolledBack, format!("from revision {from}: {why}"));
            self.rolled_back = Some(RolledBack { from: from.get(), why });
            self.awaits_end = true;
        }
        let status = shown(reasons.status);
        if status == RolloutStatus::Stalled && self.status != RolloutStatus::Stalled {
            events::tell(events, &self.name, EventKind::RolloutStalled, line.as_str());
        }
        if status == RolloutStatus::Complete {
            self.has_arrived = true;
            if self.awaits_end {
                self.awaits_end = false;
                events::tell(events, &self.name, EventKind::RolloutComplete, line.as_str());
            }
        }
        (self.status, self.reason) = (status, line);
    }

    fn act<B: Balancer>(&mut self, actions: &Actions, crew: &mut Crew<B>, now: Instant) {
        for start in &actions.start {
            for _ in 0..start.count.get() {
                let ordinal = self.members.enlist(start.version, now);
                self.start(ordinal, 0, crew);
                self.tell_of_member(ordinal, EventKind::Started, crew.events());
            }
        }
        for id in &actions.stop {
            if let Some(ordinal) = self.members.tell_to_stop(*id) {
                self.tell_of_member(ordinal, EventKind::Stopping, crew.events());
            }
        }
    }

    fn tell_of_member(&self, ordinal: u32, kind: EventKind, events: &EventLog) {
        let (service, instance, reason) = (&self.name, instance(&self.name, ordinal), self.reason.as_str());
        match kind {
            EventKind::Stopping => info!(%service, %instance, reason, "replica is told to stop"),
            _ => info!(%service, %instance, reason, "replica comes"),
        }
        events.record(service, Some(&instance), kind, reason);
    }

    fn show<B: Balancer>(&self, crew: &Crew<B>, counts: RolloutCounts) {
        let RolloutCounts { updated, available, total, draining } = counts;
        let rollout = RolloutState {
            revision: self.rollout.current().revision.get(),
            status: self.status,
            reason: self.reason.clone(),
            updated,
            available,
            total,
            draining,
            rolled_back: self.rolled_back.clone(),
            history: self.history(),
        };
        let (desired, autoscale) = (self.rollout.desired(), self.autoscale.clone());
        let shown = Shown { desired, limit: self.limit, rollout, autoscale };
        crew.board().show(&self.name, shown, |ordinal| {
            self.members.get(ordinal).map(|member| self.revision_of(member.version))
        });
    }

    fn history(&self) -> Vec<RevisionState> {
        let mut before: Option<&Template> = None;
        let current = self.rollout.current().version;
        let states = self.rollout.history().map(|entry| RevisionState {
            revision: entry.revision.get(),
            command: Arc::clone(&entry.template.command_line),
            changed: entry.template.changed_since(before.replace(&entry.template)),
            is_current: entry.version == current,
            replicas: self.members.count(entry.version),
        });
        states.collect()
    }

    fn revision_of(&self, version: Version) -> u64 {
        let entry = self.rollout.history().find(|entry| entry.version == version);
        entry.map_or(0, |entry| entry.revision.get())
    }
}

/// How many replicas there are, as it is shown.
#[derive(Clone, Copy, Debug, Default)]
struct RolloutCounts {
    updated: u32,
    available: u32,
    total: u32,
    draining: u32,
}

impl RolloutCounts {
    fn of(reasons: &Reasons) -> Self {
        let counts = &reasons.counts;
        Self {
            updated: counts.new,
            available: counts.new_available.saturating_add(counts.old_available),
            total: counts.new.saturating_add(counts.old),
            draining: counts.draining,
        }
    }
}

fn shown(status: Status) -> RolloutStatus {
    match status {
        Status::Progressing { .. } => RolloutStatus::Progressing,
        Status::Stalled { .. } => RolloutStatus::Stalled,
        Status::Complete => RolloutStatus::Complete,
        Status::Adjusting => RolloutStatus::Adjusting,
        Status::Paused => RolloutStatus::Paused,
    }
}
