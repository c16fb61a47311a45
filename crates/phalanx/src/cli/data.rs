//! The arguments of `phalanx data`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::environment;

#[derive(Debug, Args)]
pub(crate) struct DataArguments {
    #[command(subcommand)]
    pub(crate) operation: DataOperation,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DataOperation {
    /// Show shards and servers: roles, lag, connections, buckets, and what is wrong with them
    #[command(after_help = environment::DATA_STATUS)]
    Status(DataStatusArguments),
    /// Bring every shard to the schema of this version
    #[command(after_help = environment::DATA_MIGRATE)]
    Migrate(DataMigrateArguments),
    /// Move buckets until the shards from 1 to N hold all rows evenly, while everything serves
    #[command(after_help = environment::DATA_RESHARD)]
    Reshard(DataReshardArguments),
}

#[derive(Debug, Args)]
pub(crate) struct DataStatusArguments {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DataMigrateArguments {
    /// Say what is missing, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print JSON, the statements of each migration included
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(crate) struct DataReshardArguments {
    /// Begin, or go on with the one under way if it leads to as many shards
    #[arg(long, value_name = "N", group = "what")]
    pub(crate) to: Option<u16>,
    /// Go on with the one under way, wherever it leads
    #[arg(long, group = "what")]
    pub(crate) resume: bool,
    /// Take the way back of the one under way: possible until rows are deleted at the old owners
    #[arg(long, group = "what")]
    pub(crate) back: bool,
    /// End the soak of the one under way, and with it the way back
    #[arg(long, group = "what")]
    pub(crate) finish: bool,
    /// With --to: say what would move, and change nothing
    #[arg(long, requires = "to", conflicts_with = "soak")]
    pub(crate) dry_run: bool,
    /// With --to: how long all is served from the new owners, with the way back open, before rows are deleted at the old ones;
    /// at least 10s
    #[arg(long, value_name = "DURATION", requires = "to", default_value = "1h", value_parser = soak)]
    pub(crate) soak: Duration,
    /// Print a line of JSON whenever something changes
    #[arg(long)]
    pub(crate) json: bool,
}

/// A process that reads by the old map finds nothing at an owner whose rows are gone. All look for a newer map once a second, longer
/// where a server does not answer.
const SOAK_MIN: Duration = Duration::from_secs(10);

fn soak(text: &str) -> Result<Duration, String> {
    let soak = phalanx_config::parse_duration(text)?;
    if soak < SOAK_MIN {
        return Err("is too short for all processes to hear of the new owners: give at least 10s".to_owned());
    }
    Ok(soak)
}
