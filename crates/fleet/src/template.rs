//! What the replicas of a revision are started from.
//!
//! Invariant: two templates are equal if replicas of the one would do as well as those of the other. How many there are and how
//! they are replaced is no part of that.

use std::{collections::BTreeSet, sync::Arc};

use phalanx_config::{Replicas, ReplicasLimit, Span};
use phalanx_scale::rollout::Policy;

use crate::{fleet::Settings, life::Rules};

/// What a replica is started from.
#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) replicas: Replicas,
    pub(crate) rules: Arc<Rules>,
    /// The command in one line, for people.
    pub(crate) command_line: Arc<str>,
    /// All that makes a difference to a replica.
    essence: Replicas,
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.essence == other.essence
    }
}

impl Template {
    pub(crate) fn new(replicas: Replicas, settings: Settings) -> Self {
        let rules = Rules {
            startup: replicas.startup.clone(),
            readiness: replicas.readiness.clone(),
            liveness: replicas.liveness.clone(),
            drain_deadline: settings.drain_deadline,
            shutdown_grace: replicas.shutdown_grace,
            back_off: replicas.back_off,
        };
        // Whatever else the file says of replicas is said to each of them.
        let essence = Replicas {
            command_span: Span::default(),
            replicas: 0,
            limit: ReplicasLimit::Machine,
            rollout: Policy::default(),
            depends_on: Vec::new(),
            autoscale: None,
            // What they say is in `env`.
            env_files: Vec::new(),
            ..replicas.clone()
        };
        let command_line = replicas.command.join(" ").into();
        Self { replicas, rules: Arc::new(rules), command_line, essence }
    }

    /// In which keys of the file it differs from the one before it. Values are not told: there are secrets among them.
    pub(crate) fn changed_since(&self, before: Option<&Self>) -> String {
        let Some(before) = before else { return "the first".to_owned() };
        let (new, old) = (&self.essence, &before.essence);
        if new == old {
            return "nothing: a restart".to_owned();
        }
        let names: BTreeSet<_> = new.env.keys().chain(old.env.keys()).collect();
        let env = names.into_iter().filter(|name| new.env.get(*name) != old.env.get(*name));
        let mut changed: Vec<_> = env.map(|name| format!("env.{name}")).collect();
        for (key, is_changed) in [
            ("command", new.command != old.command),
            ("probes.startup", new.startup != old.startup),
            ("probes.readiness", new.readiness != old.readiness),
            ("probes.liveness", new.liveness != old.liveness),
            ("back_off", new.back_off != old.back_off),
            ("resources", new.resources.requests != old.resources.requests),
            ("limits", new.resources.limits != old.resources.limits),
            ("shutdown_grace", new.shutdown_grace != old.shutdown_grace),
        ] {
            changed.extend(is_changed.then(|| key.to_owned()));
        }
        if changed.is_empty() { "other keys".to_owned() } else { changed.join(", ") }
    }
}
