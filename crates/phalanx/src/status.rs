//! `phalanx status`.

use phalanx_admin::{client, table};

use crate::{cli::StatusArguments, exit::Failure, terminal};

/// Shows what a running Phalanx says of itself.
pub(crate) fn run(arguments: &StatusArguments) -> Result<(), Failure> {
    let state = client::fetch_state(&arguments.admin).map_err(|error| Failure::Unreachable(error.into()))?;
    if arguments.json {
        let json = serde_json::to_string_pretty(&state).map_err(|error| Failure::Runtime(error.into()))?;
        terminal::say(&json);
    } else {
        terminal::say(table::table(&state, terminal::columns()).trim_end());
    }
    Ok(())
}
