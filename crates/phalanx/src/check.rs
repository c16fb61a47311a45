//! `phalanx check`.

use std::collections::BTreeSet;

use phalanx_config::{Balance, HashKey, Protocol, Role, Service, Source};

use crate::{
    cli::CheckArguments,
    config_file::{self, Origin},
    exit::Failure,
    terminal,
};

/// Says that a configuration is sound, or every fault of it.
pub(crate) fn run(arguments: &CheckArguments) -> Result<(), Failure> {
    if arguments.schema {
        terminal::say(&format!("{:#}", phalanx_config::schema()));
        return Ok(());
    }
    let (config, origin) = config_file::load(arguments.file.config.as_deref())?;
    config_file::check_programs(&config, &BTreeSet::new())?;
    let name = match origin {
        Origin::File(path) => path.display().to_string(),
        Origin::BuiltIn => "the built-in topology (there is no phalanx.toml here)".to_owned(),
    };
    let mut lines = vec![format!(
        "{name} is sound: {}, {}",
        count(config.routes.len(), "route"),
        count(config.services.len(), "service")
    )];
    lines.extend(config.services.iter().map(|(name, service)| format!("  {name}: {}", told(service))));
    terminal::say(&lines.join("\n"));
    Ok(())
}

/// Where the endpoints of a service come from, and what else of it is no default.
fn told(service: &Service) -> String {
    let source = match &service.source {
        Source::Endpoints { endpoints, .. } => {
            let backups = endpoints.iter().filter(|endpoint| endpoint.role == Role::Backup).count();
            match backups {
                0 => count(endpoints.len(), "endpoint"),
                _ => {
                    let primaries = count(endpoints.len() - backups, "endpoint");
                    format!("{primaries} and {}", count(backups, "backup"))
                }
            }
        }
        Source::Discovered { discovery, .. } => match discovery.resolver {
            Some(resolver) => format!("endpoints from DNS, {} asked of {resolver}", discovery.name),
            None => format!("endpoints from DNS, {}", discovery.name),
        },
        Source::Replicas(replicas) => {
            let number = match &replicas.autoscale {
                Some(autoscale) => {
                    format!("{} to {}", autoscale.mode.min(), count(autoscale.mode.max() as usize, "replica"))
                }
                None => count(replicas.replicas as usize, "replica"),
            };
            format!("{number} of {}", replicas.command.join(" "))
        }
    };
    let protocol = match service.protocol {
        Protocol::Http1 => None,
        Protocol::Auto => Some("protocol auto"),
        Protocol::H2c => Some("protocol h2c"),
    };
    let parts = [Some(source), balance(&service.balance), protocol.map(str::to_owned)];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// As the file writes it; `None` for the default.
fn balance(balance: &Balance) -> Option<String> {
    let name = match balance {
        Balance::RoundRobin => return None,
        Balance::LeastConnections => "least_connections",
        Balance::LeastResponseTime => "least_response_time",
        Balance::PowerOfTwo => "power_of_two",
        Balance::IpHash => "ip_hash",
        Balance::ConsistentHash(HashKey::Path) => "consistent_hash on path",
        Balance::ConsistentHash(HashKey::Header(name)) => {
            return Some(format!("balance consistent_hash on header:{name}"));
        }
        Balance::ConsistentHash(HashKey::Cookie(name)) => {
            return Some(format!("balance consistent_hash on cookie:{name}"));
        }
        Balance::Random => "random",
    };
    Some(format!("balance {name}"))
}

/// "1 route", "2 routes".
fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
