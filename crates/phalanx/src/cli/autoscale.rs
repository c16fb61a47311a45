//! The arguments of `phalanx autoscale`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct AutoscaleArguments {
    #[command(subcommand)]
    pub(crate) operation: AutoscaleOperation,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AutoscaleOperation {
    /// Run one scaling decision and print the number of replicas and its reasons
    #[command(after_help = EXPLAIN)]
    Explain(ExplainArguments),
}

const EXPLAIN: &str = "\
The file says all that one decision depends on: bounds, metrics and their targets, rules, what was proposed before, and
the replicas with what was measured of them. Values are in thousandths (_milli), times in seconds before the decision.

  { \"min\": 2, \"max\": 10, \"spec_replicas\": 3,
    \"metrics\": [ { \"type\": \"resource_utilization\", \"target_utilization_percent\": 50 } ],
    \"pods\": [ { \"name\": \"a\", \"phase\": \"Running\", \"ready\": true, \"started_s_ago\": 600, \"ready_changed_s_ago\": 590,
                \"request_milli\": 1000, \"sample\": { \"value_milli\": 900, \"age_s\": 5, \"window_s\": 15 } } ] }

docs/autoscaling.md works an example by hand. Exit codes: 3 for a file that cannot be decided by.";

#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    /// The decision's inputs in JSON, or a test case of kind `reconcile` around them
    #[arg(long, value_name = "FILE")]
    pub(crate) scenario: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}
