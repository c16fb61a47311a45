//! Reads the file again, and changes what can be changed while everything runs: how replicas are started, and how many.
//!
//! Invariant: a file that is missing, faulty, or says something else about what cannot be changed changes nothing at all, and
//! the reason is told.
//! Elsewhere: how replicas are replaced (`phalanx-fleet`); who asks for it (HUP, `crate::up::control`).

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use phalanx_admin::control::Refusal;
use phalanx_config::{Config, Replicas, Service, ServiceName, Source, Span};
use phalanx_fleet::{Accepted, AutoscalerHandle, FleetHandle};

use super::{control, replicated};
use crate::{
    config_file::{self, Origin},
    exit::Failure,
};

/// Reads the file again for what runs of it.
pub(super) struct Reloader {
    file: Option<PathBuf>,
    /// As it was read last, as far as it is in force.
    running: Mutex<Config>,
    left_out: BTreeSet<ServiceName>,
    fleet: FleetHandle,
    /// Where there are replicas.
    autoscaler: Option<AutoscalerHandle>,
}

impl Reloader {
    pub(super) fn new(
        config: Config,
        origin: &Origin,
        left_out: BTreeSet<ServiceName>,
        fleet: FleetHandle,
        autoscaler: Option<AutoscalerHandle>,
    ) -> Self {
        let file = match origin {
            Origin::File(path) => Some(path.clone()),
            Origin::BuiltIn => None,
        };
        Self { file, running: Mutex::new(config), left_out, fleet, autoscaler }
    }

    /// Brings what runs to what the file says; the orders that it took, none where nothing is to be changed.
    pub(super) async fn reload(&self) -> Result<Vec<Accepted>, Refusal> {
        let config = self.read().map_err(|reason| Refusal::Refused { reason })?;
        let changes = changes(&self.running(), &config, &self.left_out).map_err(|fixed| {
            let reason =
                format!("nothing is changed, since this needs a restart of Phalanx: {}", fixed.join(", "));
            Refusal::Refused { reason }
        })?;
        let mut accepted = Vec::new();
        for (name, replicas) in changes {
            let order = self.fleet.roll_to(name.as_str(), Box::new(replicas.clone())).await;
            accepted.push(order.map_err(|error| control::refusal(name.as_str(), error))?);
            if let Some(autoscaler) = &self.autoscaler {
                autoscaler.replace(&name, &replicas);
            }
            if let Some(service) = self.running().services.get_mut(&name) {
                service.source = Source::Replicas(replicas);
            }
        }
        Ok(accepted)
    }

    fn read(&self) -> Result<Config, String> {
        let Some(file) = &self.file else {
            return Err("there is no phalanx.toml: what runs is the built-in topology".to_owned());
        };
        let read = config_file::load(Some(file)).and_then(|(config, _)| {
            config_file::check_programs(&config, &self.left_out)?;
            Ok(config)
        });
        read.map_err(|failure| match failure {
            Failure::Configuration(faults) => {
                let told: Vec<_> = faults.iter().map(phalanx_config::Fault::message).collect();
                format!("{faults}, and nothing is changed (`phalanx check` shows where): {}", told.join("; "))
            }
            Failure::Runtime(error)
            | Failure::Usage(error)
            | Failure::Setting(error)
            | Failure::Bind(error)
            | Failure::Unreachable(error) => format!("nothing is changed: {error:#}"),
            Failure::Signal(_) => "nothing is changed".to_owned(),
        })
    }

    fn running(&self) -> MutexGuard<'_, Config> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The services whose replicas another file changes; else everything in it that cannot be changed.
fn changes(
    old: &Config,
    new: &Config,
    left_out: &BTreeSet<ServiceName>,
) -> Result<Vec<(ServiceName, Replicas)>, Vec<String>> {
    let tables = [
        ("[gateway]", old.gateway == new.gateway),
        ("[[route]]", old.routes == new.routes),
        ("[auth]", old.auth == new.auth),
        ("[admin]", old.admin == new.admin),
        ("[log]", old.log == new.log),
    ];
    let tables = tables.into_iter().filter(|(_, is_same)| !is_same).map(|(name, _)| name.to_owned());
    let names: BTreeSet<_> = old.services.keys().chain(new.services.keys()).collect();
    let services = names.into_iter().filter(|name| {
        let services = (old.services.get(*name), new.services.get(*name));
        !matches!(services, (Some(old), Some(new)) if differ_in_replicas_at_most(old, new))
    });
    let fixed: Vec<_> = tables.chain(services.map(|name| format!("[service.{name}]"))).collect();
    if !fixed.is_empty() {
        return Err(fixed);
    }
    let is_changed = |(name, replicas): &(&ServiceName, &Replicas)| match &old.services[*name].source {
        Source::Replicas(old) => meaning(old) != meaning(replicas),
        Source::Endpoints { .. } | Source::Discovered { .. } => false,
    };
    let wanted = replicated(new).filter(|(name, _)| !left_out.contains(*name)).filter(is_changed);
    Ok(wanted.map(|(name, replicas)| (name.clone(), replicas.clone())).collect())
}

/// Whether two services are the same but for how their replicas are started, and how many.
fn differ_in_replicas_at_most(old: &Service, new: &Service) -> bool {
    match (&old.source, &new.source) {
        (Source::Replicas(old_replicas), Source::Replicas(new_replicas)) => {
            let same_source = Service { source: old.source.clone(), ..new.clone() };
            old_replicas.depends_on == new_replicas.depends_on && same_source == *old
        }
        _ => old == new,
    }
}

/// What does not tell where in the file it stands, nor in which other file.
fn meaning(replicas: &Replicas) -> Replicas {
    Replicas { command_span: Span::default(), env_files: Vec::new(), ..replicas.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
[[route]]
path = '/'
service = 'web'
[service.web]
command = ['server']
replicas = 2
[service.legacy]
endpoints = [{ address = '127.0.0.1:3000' }]
";

    fn changed(from: &str, to: &str) -> String {
        let parse = |text: &str| Config::parse("phalanx.toml", text, &|_| None).unwrap();
        let new = FILE.replace(from, to);
        match changes(&parse(FILE), &parse(&new), &BTreeSet::new()) {
            Ok(services) => services.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(" "),
            Err(fixed) => format!("not {}", fixed.join(" ")),
        }
    }

    #[test]
    fn only_replicas_can_be_changed_and_the_rest_is_named() {
        for (from, to, expected) in [
            ("", "", ""),
            ("[[route]]", "# a comment\n\n[[route]]", ""),
            ("replicas = 2", "replicas = 3", "web"),
            ("replicas = 2", "env = { A = 'b' }\nreplicas = 2", "web"),
            ("['server']", "['server', '--fast']", "web"),
            ("path = '/'", "path = '/web'", "not [[route]]"),
            ("replicas = 2", "balance = 'random'", "not [service.web]"),
            (":3000", ":3001", "not [service.legacy]"),
            ("[service.legacy]", "[service.other]", "not [service.legacy] [service.other]"),
            ("[[route]]", "[log]\nformat = 'json'\n[[route]]", "not [log]"),
        ] {
            assert_eq!(changed(from, to), expected, "{from} -> {to}");
        }
    }
}
