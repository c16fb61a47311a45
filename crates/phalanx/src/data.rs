//! `phalanx data`: the databases of the reference API, as an operator looks after them.
//!
//! Elsewhere: what is found out, and what is done (`phalanx-data`); what the environment says (`phalanx-api`).

mod migrate;
mod report;
mod reshard;
mod status;
mod table;

use phalanx_data::StartError;

use crate::{api, cli::DataOperation, exit::Failure, runtime};

/// Does what was asked for.
pub(crate) fn run(operation: &DataOperation) -> Result<(), Failure> {
    let (settings, runtime) = (api::settings()?, runtime::on_this_thread()?);
    match operation {
        DataOperation::Status(arguments) => runtime.block_on(status::run(&settings, arguments)),
        DataOperation::Migrate(arguments) => runtime.block_on(migrate::run(&settings, arguments)),
        DataOperation::Reshard(arguments) => runtime.block_on(reshard::run(&settings, arguments)),
    }
}

/// Why the servers cannot be used, with its exit code.
fn refused(fault: StartError) -> Failure {
    if fault.is_setting() { Failure::Setting(fault.into()) } else { Failure::Unreachable(fault.into()) }
}
