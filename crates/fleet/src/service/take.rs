//! Orders, as one service takes them.
//!
//! Invariant: an order that is refused has changed nothing.

use std::{num::NonZeroU64, sync::Arc, time::Instant};

use phalanx_config::Replicas;
use phalanx_scale::rollout::{Change, Revision, Target};

use super::Service;
use crate::{
    events::{self, EventKind, EventLog},
    orders::{Accepted, Goal, OrderError, Request},
    state::AutoscaleState,
    template::Template,
};

impl Service {
    /// Takes an order; its effect shows once the service is tended.
    pub(crate) fn take(
        &mut self,
        request: Request,
        events: &EventLog,
        now: Instant,
    ) -> Result<Accepted, OrderError> {
        let goal = match request {
            Request::Scale(replicas) => {
                self.scale(replicas, EventKind::Scaled, "ordered", events)?;
                Goal::Number
            }
            Request::Autoscale(decided) => {
                self.autoscale(decided, events)?;
                Goal::Number
            }
            Request::Restart => {
                self.rollout.restart(now - self.began)?;
                self.begun("a restart", events);
                Goal::Revision
            }
            Request::Undo(revision) => {
                self.undo(revision, events, now)?;
                Goal::Revision
            }
            Request::Pause => {
                if !self.rollout.is_paused() {
                    self.rollout.pause();
                    events::tell(events, &self.name, EventKind::Paused, "ordered");
                }
                Goal::Reached
            }
            Request::Resume => {
                if self.rollout.is_paused() {
                    self.rollout.resume(now - self.began);
                    self.awaits_end = true;
                    events::tell(events, &self.name, EventKind::Resumed, "ordered");
                }
                Goal::Revision
            }
            Request::RollTo(replicas) => self.roll_to(*replicas, events, now)?,
        };
        Ok(Accepted {
            service: self.name.clone(),
            revision: self.rollout.current().revision.get(),
            desired: self.rollout.desired(),
            goal,
        })
    }

    fn scale(
        &mut self,
        replicas: u32,
        kind: EventKind,
        why: &str,
        events: &EventLog,
    ) -> Result<(), OrderError> {
        if replicas > self.limit.max() {
            return Err(OrderError::TooMany { replicas, limit: self.limit });
        }
        let before = self.rollout.desired();
        if replicas != before {
            self.rollout.scale(replicas);
            self.awaits_end = true;
            let reason = match kind {
                // Its own words begin with both numbers.
                EventKind::Autoscaled => why.to_owned(),
                _ => format!("from {before} to {replicas}: {why}"),
            };
            events::tell(events, &self.name, kind, reason);
        }
        Ok(())
    }

    fn autoscale(&mut self, decided: AutoscaleState, events: &EventLog) -> Result<(), OrderError> {
        self.scale(decided.desired, EventKind::Autoscaled, &decided.line, events)?;
        self.autoscale = Some(decided);
        Ok(())
    }

    fn undo(&mut self, revision: Option<u64>, events: &EventLog, now: Instant) -> Result<(), OrderError> {
        let known = || self.rollout.history().map(|entry| entry.revision.get()).collect();
        let target = match revision.map(NonZeroU64::new) {
            None => Target::Previous,
            Some(Some(revision)) => Target::Revision(Revision::from(revision)),
            Some(None) => return Err(OrderError::UnknownRevision { revision: 0, known: known() }),
        };
        let known = known();
        self.rollout.undo(target, now - self.began).map_err(|error| OrderError::of_undo(error, known))?;
        let back_to = match revision {
            Some(revision) => format!("back to what revision {revision} was"),
            None => "back to what was before".to_owned(),
        };
        self.begun(&back_to, events);
        Ok(())
    }

    fn roll_to(&mut self, replicas: Replicas, events: &EventLog, now: Instant) -> Result<Goal, OrderError> {
        let (in_file, limit, policy) = (replicas.replicas, replicas.limit, replicas.rollout);
        // Whoever has scaled by hand means that still, as long as the file does not say something else than before.
        let is_rescaled = in_file != self.replicas_in_file;
        let desired = if is_rescaled { in_file } else { self.rollout.desired() };
        if desired > limit.max() {
            return Err(OrderError::TooMany { replicas: desired, limit });
        }
        (self.replicas_in_file, self.limit) = (in_file, limit);
        if replicas.autoscale.is_none() {
            self.autoscale = None;
        }
        self.rollout.set_policy(policy);
        self.scale(desired, EventKind::Scaled, "the file says so", events)?;
        let template = Arc::new(Template::new(replicas, self.settings));
        let changed = template.changed_since(Some(&self.rollout.current().template));
        match self.rollout.roll_to(template, now - self.began) {
            Change::None => {}
            Change::Added(_) | Change::Readopted(_) => self.begun(&format!("another {changed}"), events),
        }
        Ok(Goal::Revision)
    }

    /// A revision was ordered.
    fn begun(&mut self, what: &str, events: &EventLog) {
        self.rolled_back = None;
        self.awaits_end = true;
        let reason = format!("revision {}: {what}", self.rollout.current().revision);
        events::tell(events, &self.name, EventKind::RolloutBegun, reason);
    }
}
