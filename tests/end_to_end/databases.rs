//! `phalanx api` and `phalanx data` over PostgreSQL servers: what is refused at the start, and what an operator is told.

mod guide;
mod killed;
mod looked_after;
mod old;
mod refused;
mod resharding;

use std::sync::Arc;

use crate::support::{
    home::Home,
    phalanx::{Ended, Program, command},
};

const SECRET: &str = "a secret for tests that is long enough";

/// Starts the program with these variables.
fn start(home: &Arc<Home>, arguments: &[&str], variables: &[(&str, &str)]) -> Program {
    let mut command = command(home, arguments);
    command.env("JWT_SECRET", SECRET).env("PORT", "0").envs(variables.iter().copied());
    Program::start(home, command)
}

/// Runs it to its end.
fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    start(&Arc::new(Home::new()), arguments, variables).ended()
}
