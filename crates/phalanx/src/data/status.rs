//! `phalanx data status`.

use std::num::NonZeroU16;

use phalanx_api::Settings;
use phalanx_data::{Inspection, ServerInspection, Topology, inspect, inspect_embedded};

use super::{report::Report, table};
use crate::{cli::DataStatusArguments, exit::Failure, terminal};

/// Shows every server, and fails if one cannot be used.
pub(crate) async fn run(settings: &Settings, arguments: &DataStatusArguments) -> Result<(), Failure> {
    let inspection = look(settings).await;
    if arguments.json {
        terminal::say_json(&Report::of(&settings.topology, &inspection))?;
    } else {
        terminal::say(table::text(&inspection).trim_end());
    }
    judge(inspection)
}

/// What the databases of the environment are at the moment.
pub(super) async fn look(settings: &Settings) -> Inspection {
    match &settings.topology {
        Topology::Servers(servers) => inspect(servers, &settings.data, phalanx_api::questions()).await,
        Topology::Embedded => {
            inspect_embedded(&settings.data_directory, NonZeroU16::MIN, phalanx_api::questions()).await
        }
    }
}

fn judge(inspection: Inspection) -> Result<(), Failure> {
    let servers = || inspection.shards.iter().flat_map(|shard| &shard.servers);
    let (useless, all) = (servers().filter(|server| !is_of_use(server)).count(), servers().count());
    if useless > 0 {
        return Err(Failure::Unreachable(anyhow::anyhow!("{useless} of {all} servers cannot be used")));
    }
    inspection.fault.map_or(Ok(()), |fault| Err(super::refused(fault)))
}

fn is_of_use(server: &ServerInspection) -> bool {
    matches!(server.fitness, "primary" | "replica" | "lagging" | "missing")
}
