//! The arguments of `phalanx data`.

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
