//! Rolling updates as a Kubernetes Deployment makes them: which replicas start and which stop next, so that enough are available
//! all the while and there are never too many.
//!
//! ```text
//! orders (scale, roll_to, undo, …) ─┐
//! observed replicas, time ──────────┴→ plan → admit → actions, which the executor carries out before it looks again
//! ```
//!
//! Invariants: available replicas are stopped only while more than `min_available` are; none is started at `max_total`; a
//! version that never becomes available takes the place of none that is. Every plan is good for one [`Generation`], and no
//! actions come out of one that is older.
//! Elsewhere: the number of replicas (the autoscaler), processes, probes and pauses after crashes (`phalanx-fleet`).
//! Cannot fail: what is observed may be anything, and numbers that do not fit saturate.
//!
//! Time is the time since the owner began, as a [`Duration`].

mod amount;
mod course;
mod fenceposts;
mod history;
mod observed;
mod order;
mod plan;
mod policy;
mod progress;
mod reasons;
mod share;
mod step;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use self::{
    amount::{IntOrPercent, NoAmount},
    fenceposts::{Fenceposts, fenceposts},
    history::{EARLIER_MAX, Entry, Record, Revision, Target, UndoError, Version},
    observed::{Counts, Observed, Replica, ReplicaId, Standing},
    plan::{Actions, Generation, Plan, StalePlan, Start},
    policy::{Ceiling, NoPatience, OnStall, Pace, PaceError, Patience, Policy},
    reasons::{Reason, Reasons, Status},
};
use self::{
    course::{Course, Finding, Measure, Origin},
    history::History,
    observed::View,
    plan::Sharing,
    share::{share, sizes},
    step::{Aim, Step, roll},
};

/// The replicas of one service as they should be, and the way there. `T` is what a replica is started from.
#[derive(Clone, Debug)]
pub struct Rollout<T> {
    policy: Policy,
    desired: u32,
    history: History<T>,
    course: Course,
    sharing: Sharing,
    generation: Generation,
}

/// What an order for a template has led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is the current one already.
    None,
    /// It gets a first revision.
    Added(Revision),
    /// A version in the history has it, and gets another revision.
    Readopted(Revision),
}

/// A paused rollout begins nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the rollout is paused: resume it first")]
pub struct Paused;

impl<T> Rollout<T> {
    /// A service that has no replicas yet.
    #[must_use]
    pub fn new(policy: Policy, desired: u32, template: T, now: Duration) -> Self {
        Self {
            policy,
            desired,
            history: History::new(template),
            course: Course::begun(Origin::Ordered, now),
            sharing: Sharing::Done,
            generation: Generation::default(),
        }
    }

    /// What replicas are observed under, and plans made for.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// How many replicas there should be.
    #[must_use]
    pub fn desired(&self) -> u32 {
        self.desired
    }

    /// What is rolled out.
    #[must_use]
    pub fn current(&self) -> &Entry<T> {
        self.history.current()
    }

    /// What was rolled out, by revision, the current one last.
    pub fn history(&self) -> impl Iterator<Item = &Entry<T>> {
        self.history.entries()
    }

    /// What a replica of `version` is started from. Every version that a plan starts has one.
    #[must_use]
    pub fn template(&self, version: Version) -> Option<&T> {
        self.history.entries().find(|entry| entry.version == version).map(|entry| &entry.template)
    }

    /// Goes about it in another way.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
        self.generation.advance();
    }

    /// Wants another number of replicas, also while it is paused.
    pub fn scale(&mut self, desired: u32) {
        if desired == self.desired {
            return;
        }
        self.course.rebase(self.desired, desired);
        self.desired = desired;
        self.sharing = Sharing::Due;
        self.generation.advance();
    }

    /// Wants replicas of this template. While it is paused, it waits.
    pub fn roll_to(&mut self, template: T, now: Duration) -> Change
    where
        T: PartialEq,
    {
        if self.history.current().template == template {
            return Change::None;
        }
        let change = match self.history.readopt(&template) {
            Some(revision) => Change::Readopted(revision),
            None => {
                self.history.add(template);
                Change::Added(self.history.current().revision)
            }
        };
        self.begin(Origin::Ordered, now);
        change
    }

    /// Wants another replica in place of each, from the same template.
    ///
    /// # Errors
    /// While it is paused.
    pub fn restart(&mut self, now: Duration) -> Result<Revision, Paused>
    where
        T: Clone,
    {
        if self.course.is_paused() {
            return Err(Paused);
        }
        self.history.add(self.history.current().template.clone());
        self.begin(Origin::Ordered, now);
        Ok(self.history.current().revision)
    }

    /// Wants an earlier version back. Replicas that are left of it stay.
    ///
    /// # Errors
    /// When there is none, and while it is paused.
    pub fn undo(&mut self, target: Target, now: Duration) -> Result<Revision, UndoError> {
        if self.course.is_paused() {
            return Err(UndoError::Paused);
        }
        let revision = self.history.undo(target)?;
        self.begin(Origin::Ordered, now);
        Ok(revision)
    }

    /// Has the time until it stalls begin at `now`: what was ordered until here could not be begun.
    pub fn begin_at(&mut self, now: Duration) {
        if let Course::Underway { .. } = self.course {
            self.course = Course::begun(Origin::Ordered, now);
        }
    }

    /// Whether it waits for [`Self::resume`].
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.course.is_paused()
    }

    /// Replaces no more replicas until [`Self::resume`].
    pub fn pause(&mut self) {
        self.course = Course::Paused;
        self.generation.advance();
    }

    /// Goes on after [`Self::pause`]; the time until it stalls begins anew.
    pub fn resume(&mut self, now: Duration) {
        if self.course.is_paused() {
            self.course = Course::begun(Origin::Ordered, now);
            self.generation.advance();
        }
    }

    /// What should be done next, and why.
    pub fn plan(&mut self, observed: &Observed, now: Duration) -> (Plan, Reasons) {
        let is_current = observed.generation == self.generation;
        let rolled_back_from = if is_current { self.take_note(observed, now) } else { None };

        let view = self.view(observed, now);
        let ((actions, reason), sharing) = if is_current {
            self.step(&view)
        } else {
            ((Actions::default(), Reason::Outdated), self.sharing)
        };
        let reasons = Reasons {
            revision: self.history.current().revision,
            desired: self.desired,
            counts: view.counts,
            reason,
            status: self.course.status(self.measure(view.counts, now)),
            rolled_back_from,
        };
        let generation = if is_current { self.generation } else { observed.generation };
        (Plan { generation, actions, sharing, wakes_at: self.wakes_at(&view) }, reasons)
    }

    /// Turns a plan into what is to be done. Whoever gets it does it, all of it, before the replicas are observed again.
    ///
    /// # Errors
    /// When replicas or orders have changed since the plan was made. Nothing is done, and another plan is made.
    pub fn admit(&mut self, plan: Plan) -> Result<Actions, StalePlan> {
        if plan.generation != self.generation {
            return Err(StalePlan { planned: plan.generation, reached: self.generation });
        }
        self.sharing = plan.sharing;
        if !plan.actions.is_empty() {
            self.generation.advance();
        }
        Ok(plan.actions)
    }

    /// Notes how far the current version is, and turns back from it if it has stalled and that is wanted: from which revision.
    fn take_note(&mut self, observed: &Observed, now: Duration) -> Option<Revision> {
        self.history.prune(|version| observed.replicas.iter().any(|replica| replica.version == version));
        let measure = self.measure(self.view(observed, now).counts, now);
        match self.course.on(measure) {
            Finding::Nothing => None,
            Finding::Proven => {
                self.history.prove();
                None
            }
            Finding::Failed => self.roll_back(now),
        }
    }

    fn roll_back(&mut self, now: Duration) -> Option<Revision> {
        let from = self.history.current().revision;
        match self.policy.on_stall {
            OnStall::Hold => return None,
            OnStall::RollBack => self.history.undo_to_proven()?,
        };
        self.begin(Origin::RolledBack, now);
        Some(from)
    }

    /// Sets out for the current version, at once or when it is resumed.
    fn begin(&mut self, origin: Origin, now: Duration) {
        if !self.course.is_paused() {
            self.course = Course::begun(origin, now);
        }
        self.generation.advance();
    }

    /// The next step, and what is left to share after it.
    fn step(&self, view: &View<'_>) -> (Step, Sharing) {
        let posts = self.policy.pace.fenceposts(self.desired);
        let version = self.history.current().version;
        let aim = Aim { version, desired: self.desired, posts, ceiling: self.policy.ceiling };
        if let Some(step) = self.share(&aim, view) {
            // Where those that drain count there may be room for a part only, and the rest is to be shared as well.
            let is_whole = view.counts.draining == 0 || aim.ceiling == Ceiling::Live;
            return (step, if is_whole { Sharing::Done } else { self.sharing });
        }
        match self.course {
            Course::Paused => ((Actions::default(), Reason::Paused), Sharing::Done),
            Course::Underway { .. } | Course::Arrived => (roll(&aim, view), Sharing::Done),
        }
    }

    /// The step that follows the desired number and replaces nothing, if one is due: after [`Self::scale`], and while nothing is
    /// rolled out.
    fn share(&self, aim: &Aim, view: &View<'_>) -> Option<Step> {
        let (is_rescaled, is_paused) = (self.sharing == Sharing::Due, self.course.is_paused());
        if !is_rescaled && !is_paused {
            return None;
        }
        let mut sizes = sizes(view);
        // Nobody could start more of what is not in the history.
        sizes.retain(|version, _| self.template(*version).is_some());
        if sizes.is_empty() {
            sizes.insert(aim.version, 0);
        }
        let counts = &view.counts;
        let target = if self.desired == 0 || sizes.len() == 1 {
            self.desired
        } else if !is_rescaled {
            counts.live().clamp(self.desired, aim.posts.max_total)
        } else if counts.new == self.desired && counts.new_available == self.desired && !is_paused {
            // The others are not needed any more.
            return None;
        } else {
            aim.posts.max_total
        };
        share(aim, view, &sizes, target)
    }

    /// When time alone makes a difference: a replica has been ready for long enough, or the rollout stalls.
    fn wakes_at(&self, view: &View<'_>) -> Option<Duration> {
        let available = view.live().filter_map(|replica| replica.available_at(view.min_ready));
        let stalls_at = self.course.stalls_at(self.policy.patience.deadline());
        available.chain(stalls_at).filter(|at| *at > view.now).min()
    }

    fn view<'a>(&self, observed: &'a Observed, now: Duration) -> View<'a> {
        View::new(observed, self.history.current().version, self.policy.patience.min_ready(), now)
    }

    fn measure(&self, counts: Counts, now: Duration) -> Measure {
        Measure { desired: self.desired, deadline: self.policy.patience.deadline(), counts, now }
    }
}
