//! A shard at run time: its servers, what is known of them, and who waits for that to change.
//!
//! Invariant: probes and failed statements change the survey under one lock, and every change is published as one view before
//! the lock is given back, so views never go back.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use phalanx_shard::read::{PrimaryCap, Withdrawal};
use phalanx_telemetry::clock;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::{
    address::ServerUrl,
    member::Member,
    survey::{LagBounds, Survey},
    view::View,
};
use crate::{Settings, ShardId, backend::Probe};

/// Between two questions to all replicas for the sake of a write. Fifty processes ask a replica 500 times a second then, at most.
const LOOK_PAUSE_MILLIS: u64 = 100;

/// A server's place in a shard.
pub(crate) struct Place {
    pub(crate) url: ServerUrl,
    pub(crate) member: Arc<Member>,
    /// Wakes whoever probes it.
    pub(crate) hint: Notify,
}

/// One shard, until its servers change: then another takes its place.
pub(crate) struct ShardState {
    pub(crate) id: ShardId,
    pub(crate) places: Vec<Place>,
    /// Cancelled when another state has taken the place of this one.
    pub(crate) retired: CancellationToken,
    survey: Mutex<Survey>,
    view: watch::Sender<Arc<View>>,
    fallbacks: Mutex<PrimaryCap>,
    /// When all replicas were last asked for the sake of a write, in milliseconds since `begun`.
    replicas_looked_at: AtomicU64,
    begun: Instant,
}

impl ShardState {
    /// A shard of which nothing is known but what `before`, the state that it replaces, has found out.
    pub(crate) fn new(
        id: ShardId,
        servers: Vec<(ServerUrl, Arc<Member>)>,
        settings: &Settings,
        before: Option<&Self>,
    ) -> Self {
        let places: Vec<Place> =
            servers.into_iter().map(|(url, member)| Place { url, member, hint: Notify::new() }).collect();
        let health = phalanx_balance::health::Policy {
            fails_max: None,
            fail_timeout: Duration::ZERO,
            rise: settings.rise,
            fall: settings.fall,
        };
        let lag = LagBounds { age_max: settings.lag_age_max, bytes_max: settings.lag_bytes_max };
        let mut survey = Survey::new(places.len(), health, lag);
        if let Some(before) = before {
            survey.inherit(&before.survey());
        }
        let cap = PrimaryCap::new(
            settings.fallback_percent_max,
            settings.fallbacks_per_second,
            settings.fallbacks_kept_max,
        );
        let members: Vec<Arc<Member>> = places.iter().map(|place| Arc::clone(&place.member)).collect();
        Self {
            id,
            places,
            retired: CancellationToken::new(),
            survey: Mutex::new(survey),
            view: watch::Sender::new(Arc::new(View::unknown(&members))),
            fallbacks: Mutex::new(cap),
            replicas_looked_at: AtomicU64::new(0),
            begun: clock::now(),
        }
    }

    /// What is known at the moment.
    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.borrow())
    }

    /// The views from the next one on.
    pub(crate) fn views(&self) -> watch::Receiver<Arc<View>> {
        self.view.subscribe()
    }

    /// A server answered a probe, or did not.
    pub(crate) fn probed(&self, index: usize, outcome: Option<Probe>) {
        let now = self.elapsed();
        let mut survey = self.survey();
        match outcome {
            Some(probe) => survey.answered(index, probe, now),
            None => survey.failed(index, now),
        }
        self.publish(&survey);
    }

    /// A statement failed in a way that makes the server worth a question at once.
    pub(crate) fn look_at(&self, member: &Arc<Member>) {
        if let Some(place) = self.places.iter().find(|place| Arc::ptr_eq(&place.member, member)) {
            place.hint.notify_one();
        }
    }

    /// A write was seen at one replica: how far the others are is worth a question, though not as often as there are writes.
    pub(crate) fn look_at_replicas(&self) {
        let now = u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX);
        let before = self.replicas_looked_at.load(Ordering::Relaxed);
        if now.saturating_sub(before) < LOOK_PAUSE_MILLIS {
            return;
        }
        let looked_at = &self.replicas_looked_at;
        // Of several that come at once, one asks.
        if looked_at.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.view().replicas.iter().for_each(|replica| self.look_at(&replica.member));
        }
    }

    /// A server that was thought to be the primary refused a write: it gets no more of them until it was asked again.
    pub(crate) fn refused_writes(&self, member: &Arc<Member>) {
        let index = self.places.iter().position(|place| Arc::ptr_eq(&place.member, member));
        if let Some(index) = index {
            let mut survey = self.survey();
            survey.refused_writes(index);
            self.publish(&survey);
        }
    }

    /// Somebody has written on this timeline: a primary of an older one is none any more.
    pub(crate) fn heard_of(&self, timeline: u32) {
        let mut survey = self.survey();
        survey.heard_of(timeline);
        self.publish(&survey);
    }

    /// A read that has to see a position begins: part of a fallback to the primary is earned by it.
    pub(crate) fn earn_fallback(&self) {
        let now = self.elapsed();
        self.fallbacks.lock().unwrap_or_else(PoisonError::into_inner).deposit(now);
    }

    /// Whether a read for which no replica is far enough may go to the primary.
    pub(crate) fn may_fall_back(&self) -> bool {
        let now = self.elapsed();
        let mut fallbacks = self.fallbacks.lock().unwrap_or_else(PoisonError::into_inner);
        fallbacks.withdraw(now) == Withdrawal::Granted
    }

    fn survey(&self) -> MutexGuard<'_, Survey> {
        self.survey.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, survey: &Survey) {
        let conclusion = survey.conclusion();
        if conclusion.primary.is_none() && self.view.borrow().primary.is_some() {
            // Whoever has taken over is among the others.
            for place in &self.places {
                place.hint.notify_one();
            }
        }
        self.view.send_modify(|view| {
            let next = view.next(&conclusion);
            next.log_changes(view, self.id);
            // Before anybody can see the view: whom it names takes writes.
            next.hand_over_writes();
            *view = Arc::new(next);
        });
    }

    fn elapsed(&self) -> Duration {
        clock::now().saturating_duration_since(self.begun)
    }
}
