//! `phalanx check`.

use phalanx_config::Source;

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
    config_file::check_programs(&config)?;
    let name = match origin {
        Origin::File(path) => path.display().to_string(),
        Origin::BuiltIn => "the built-in topology (there is no phalanx.toml here)".to_owned(),
    };
    let mut lines = vec![format!(
        "{name} is sound: {}, {}",
        count(config.routes.len(), "route"),
        count(config.services.len(), "service")
    )];
    for (service, settings) in &config.services {
        lines.push(match &settings.source {
            Source::Endpoints { endpoints, .. } => {
                format!("  {service}: {}", count(endpoints.len(), "endpoint"))
            }
            Source::Discovered { discovery, .. } => {
                format!("  {service}: endpoints from DNS, {}", discovery.name)
            }
            Source::Replicas(replicas) => {
                format!("  {service}: {} replicas of {}", replicas.replicas, replicas.command.join(" "))
            }
        });
    }
    terminal::say(&lines.join("\n"));
    Ok(())
}

/// "1 route", "2 routes".
fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
