//! The arguments of `phalanx autoscale`.

use std::{path::PathBuf, time::Duration};

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
    /// Try policies on a load of the past: what they would have decided, and what that would have cost
    #[command(after_help = SIMULATE)]
    Simulate(SimulateArguments),
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

const SIMULATE: &str = "\
The trace has a line for each point, seconds and requests per second: `3600,412.5`; a first line of names is passed over.
Each value lasts until the next.

A policy file has the keys of [service.NAME.autoscale]; several are compared side by side:

  min = 2                               # default 1
  max = 20
  mode = \"kubernetes\"                   # or \"fast\": within seconds, as Knative decides; default kubernetes
  interval = \"15s\"                      # between two decisions; default 15s
  tolerance = 0.1                       # how far from a target is still on it; default 0.1
  metrics = [ { cpu_percent = 70 }, { requests_per_second = 100 } ]    # default: the first, 80
  scale_up   = { stabilization = \"0s\",   policies = [ { percent = 50, period = \"60s\" }, { replicas = 5, period = \"60s\" } ] }
  scale_down = { stabilization = \"300s\", policies = [ { percent = 10, period = \"60s\" } ], select = \"min\" }

docs/configuration.md has all of them; memory and requests in flight are not told by a load.

The model: load spreads evenly over ready replicas, each serves --capacity and takes --start-up to start.
Exit codes: 3 for a file that is not one of these.";

#[derive(Debug, Args)]
pub(crate) struct SimulateArguments {
    /// The load: lines of seconds and requests per second
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: PathBuf,
    /// Requests per second that a replica serves
    #[arg(long, value_name = "REQUESTS", value_parser = requests)]
    pub(crate) capacity: i64,
    /// From the start of a replica until it serves
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = phalanx_config::parse_duration)]
    pub(crate) start_up: Duration,
    /// Replicas when the trace begins; default: what a policy has as min, and at least 1
    #[arg(long, value_name = "N")]
    pub(crate) replicas: Option<u32>,
    /// A policy in a file; may be given several times
    #[arg(long, value_name = "FILE", conflicts_with_all = ["min", "max", "cpu_percent", "requests_per_second"])]
    pub(crate) policy: Vec<PathBuf>,
    /// Without a file: never fewer
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) min: u32,
    /// Without a file: never more
    #[arg(long, value_name = "N", default_value = "10")]
    pub(crate) max: u32,
    /// Without a file: the share of its CPU that a replica should use; default 80, unless --requests-per-second is given
    #[arg(long, value_name = "PERCENT")]
    pub(crate) cpu_percent: Option<u32>,
    /// Without a file: the requests that a replica should get
    #[arg(long, value_name = "REQUESTS", value_parser = requests)]
    pub(crate) requests_per_second: Option<i64>,
    /// Draw load, capacity and replicas into this file
    #[arg(long, value_name = "FILE.svg")]
    pub(crate) chart: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Requests per second, as thousandths.
fn requests(text: &str) -> Result<i64, String> {
    crate::autoscale::milli(text)
        .filter(|milli| *milli > 0)
        .ok_or_else(|| "give a number above 0, such as 250 or 12.5".to_owned())
}
