//! The Phalanx binary: verbs, arguments, signals, exit codes. What the verbs do is in the crates it puts together.

mod api;
mod autoscale;
mod check;
mod cli;
mod config_file;
mod data;
mod exit;
mod operate;
mod runtime;
mod signals;
mod status;
mod terminal;
mod token;
mod up;
mod variables;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use crate::cli::{Cli, Verb};

fn main() -> ExitCode {
    let outcome = match Cli::parse().verb {
        Verb::Up(arguments) => up::up(&arguments),
        Verb::Gateway(arguments) => up::gateway(&arguments),
        Verb::Api(arguments) => api::run(&arguments),
        Verb::Autoscale(arguments) => autoscale::run(&arguments.operation),
        Verb::Data(arguments) => data::run(&arguments.operation),
        Verb::Token(arguments) => token::run(&arguments.operation),
        Verb::Check(arguments) => check::run(&arguments),
        Verb::Status(arguments) => status::run(&arguments),
        Verb::Scale(arguments) => operate::scale(&arguments),
        Verb::Rollout(arguments) => operate::rollout(&arguments.operation),
        Verb::Drain(arguments) => operate::drain(&arguments),
        Verb::Reload(arguments) => operate::reload(&arguments),
        Verb::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "phalanx", &mut terminal::Out);
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal::complain(&failure);
            failure.exit_code()
        }
    }
}
