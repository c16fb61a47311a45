//! The command line.

mod autoscale;
mod data;
mod environment;
mod operate;
mod token;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};

pub(crate) use self::token::{
    TokenArguments, TokenInspectArguments, TokenKeysOperation, TokenOperation, TokenSignArguments,
    TokenVerifyArguments,
};
pub(crate) use self::{
    autoscale::{AutoscaleArguments, AutoscaleOperation, ExplainArguments, SimulateArguments},
    data::{DataArguments, DataMigrateArguments, DataOperation, DataReshardArguments, DataStatusArguments},
    operate::{
        DrainArguments, OrderArguments, RolloutArguments, RolloutOperation, ScaleArguments, ServiceArguments,
    },
};

/// Takes an HTTP API from one server to many identical replicas: gateway, fleet and reference API in one binary.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Where the admin API listens unless the file says otherwise.
pub(crate) const ADMIN_DEFAULT: &str = "http://127.0.0.1:9900";

const AFTER_HELP: &str = "\
Exit codes:
  0 ok · 1 runtime failure · 2 usage · 3 configuration · 4 cannot bind · 5 a dependency is unreachable
  130 or 143: stopped at once by a second INT or TERM

Start with:
  phalanx up                 three replicas of the reference API behind a gateway on :8080
  phalanx status             what runs, and how it fares
  phalanx scale api 5        two more of them
  phalanx data status        where the data is, and how its servers fare
  phalanx token --help       tokens and the keys that sign them";

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run everything in the foreground: gateway, replicas and admin API
    #[command(after_help = "\
Without -c it reads ./phalanx.toml, and without that it runs the built-in topology: three replicas of the
reference API behind a gateway on :8080, their data in ./.phalanx/, the admin API on 127.0.0.1:9900.

With names of services it runs these and those they depend on; requests for the others are answered 503.

On a terminal it shows the services in a few lines at the bottom, and what the replicas print above them; --plain leaves
them out. INT (Ctrl-C) and TERM stop accepting, let open requests finish, and then stop the replicas in order. A second one
stops everything at once.

Examples:
  phalanx up
  phalanx up shop --plain
  phalanx up --dry-run -c staging.toml")]
    Up(UpArguments),
    /// Run the gateway and the admin API alone, in front of fixed endpoints
    Gateway(GatewayArguments),
    /// Run one replica of the reference API
    #[command(after_help = environment::API)]
    Api(ApiArguments),
    /// Explain a scaling decision, or try policies on a load of the past
    Autoscale(AutoscaleArguments),
    /// Look after the databases of the reference API: what they are, and what they lack
    #[command(after_help = environment::DATA)]
    Data(DataArguments),
    /// Sign, verify and inspect tokens (JWT), and look after the keys
    #[command(after_help = token::TOKEN)]
    Token(TokenArguments),
    /// Check a phalanx.toml: every fault at once, each with its line and a hint
    Check(CheckArguments),
    /// Show the services and endpoints of a running Phalanx
    Status(StatusArguments),
    /// Change how many replicas a service has
    #[command(after_help = operate::SCALE)]
    Scale(ScaleArguments),
    /// Replace the replicas of a service, watch it, or take it back
    #[command(after_help = operate::ROLLOUT)]
    Rollout(RolloutArguments),
    /// Take an endpoint out of the balance, or back into it
    #[command(after_help = operate::DRAIN)]
    Drain(DrainArguments),
    /// Have a running Phalanx read its file again
    #[command(after_help = operate::RELOAD)]
    Reload(OrderArguments),
    /// Print a completion script for a shell
    #[command(after_help = "Example: phalanx completions bash > /etc/bash_completion.d/phalanx")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ConfigArguments {
    /// The configuration; default: ./phalanx.toml if there is one
    #[arg(short, long = "config", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct UpArguments {
    #[command(flatten)]
    pub(crate) file: ConfigArguments,
    /// Run these services, and those they depend on; default: all
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
    /// Check everything that would be needed, print what would run, and start nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print plain lines, also on a terminal
    #[arg(long)]
    pub(crate) plain: bool,
}

#[derive(Debug, Args)]
pub(crate) struct GatewayArguments {
    /// The configuration
    #[arg(short, long = "config", value_name = "FILE")]
    pub(crate) config: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ApiArguments {
    /// Where to listen; default: 127.0.0.1 and the port in PORT, or 3000
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    #[command(flatten)]
    pub(crate) file: ConfigArguments,
    /// Print the JSON Schema of phalanx.toml instead
    #[arg(long)]
    pub(crate) schema: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArguments {
    /// The admin API of the running Phalanx
    #[arg(long, value_name = "URL", default_value = ADMIN_DEFAULT)]
    pub(crate) admin: String,
    /// Print JSON, as /v1/state gives it
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
