//! A balancer that writes down what it is asked, and lets a test look on.

use std::{collections::HashSet, future, net::SocketAddr, sync::Mutex};

use phalanx_config::ServiceName;
use phalanx_fleet::{Balancer, Withdrawal};

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Admit(SocketAddr),
    Withdraw(SocketAddr),
    Drained(SocketAddr),
}

/// What the recorder does when it is asked.
pub(crate) enum Reaction {
    Acknowledge,
    /// Never answers.
    Hang,
}

type OnAsked = Box<dyn Fn(Asked) -> Reaction + Send + Sync>;

pub(crate) struct Recorder {
    asked: Mutex<Vec<Asked>>,
    reasons: Mutex<Vec<Withdrawal>>,
    on_asked: OnAsked,
}

impl Recorder {
    pub(crate) fn new(on_asked: impl Fn(Asked) -> Reaction + Send + Sync + 'static) -> Self {
        Self { asked: Mutex::default(), reasons: Mutex::default(), on_asked: Box::new(on_asked) }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Why endpoints were withdrawn, in the order in which they were.
    pub(crate) fn reasons(&self) -> Vec<Withdrawal> {
        self.reasons.lock().unwrap().clone()
    }

    /// How many replicas got requests, after each change of that.
    pub(crate) fn serving(&self) -> Vec<usize> {
        let mut serving = HashSet::new();
        let mut counts = Vec::new();
        for asked in self.asked() {
            let is_changed = match asked {
                Asked::Admit(address) => serving.insert(address),
                Asked::Withdraw(address) => serving.remove(&address),
                Asked::Drained(_) => false,
            };
            if is_changed {
                counts.push(serving.len());
            }
        }
        counts
    }

    fn write_down(&self, asked: Asked) {
        let mut all = self.asked.lock().unwrap();
        // The fleet may ask on whether an endpoint is drained; that is one question.
        if !matches!(asked, Asked::Drained(_)) || !all.contains(&asked) {
            all.push(asked);
        }
    }

    async fn record(&self, asked: Asked) {
        self.write_down(asked);
        match (self.on_asked)(asked) {
            Reaction::Acknowledge => (),
            Reaction::Hang => future::pending().await,
        }
    }
}

impl Balancer for Recorder {
    async fn admit(&self, service: &ServiceName, instance: &str, address: SocketAddr) {
        assert!(instance.starts_with(&format!("{service}-")), "{instance}");
        self.record(Asked::Admit(address)).await;
    }

    async fn withdraw(&self, _: &ServiceName, address: SocketAddr, reason: Withdrawal) {
        self.reasons.lock().unwrap().push(reason);
        self.record(Asked::Withdraw(address)).await;
    }

    async fn drained(&self, _: &ServiceName, address: SocketAddr) {
        self.record(Asked::Drained(address)).await;
    }
}
