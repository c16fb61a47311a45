//! `phalanx status`.

use phalanx_admin::{client::Client, table};

use crate::{cli::StatusArguments, exit::Failure, terminal};

/// Shows what a running Phalanx says of itself.
pub(crate) fn run(arguments: &StatusArguments) -> Result<(), Failure> {
    let state = Client::new(&arguments.admin).and_then(|client| client.state());
    let state = state.map_err(|error| Failure::Unreachable(error.into()))?;
    if arguments.json {
        return terminal::say_json(&state);
    }
    terminal::say(table::table(&state, terminal::columns()).trim_end());
    Ok(())
}
