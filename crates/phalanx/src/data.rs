//! `phalanx data`: the databases of the reference API, as an operator looks after them.
//!
//! Elsewhere: what is found out, and what is done (`phalanx-data`); what the environment says (`phalanx-api`).

mod migrate;
mod report;
mod reshard;
mod status;
mod table;

use std::future::Future;

use anyhow::Context as _;
use phalanx_data::StartError;

use crate::{api, cli::DataOperation, exit::Failure};

/// Does what was asked for.
pub(crate) fn run(operation: &DataOperation) -> Result<(), Failure> {
    let settings = api::settings()?;
    match operation {
        DataOperation::Status(arguments) => block_on(status::run(&settings, arguments)),
        DataOperation::Migrate(arguments) => block_on(migrate::run(&settings, arguments)),
        DataOperation::Reshard(arguments) => block_on(reshard::run(&settings, arguments)),
    }
}

fn block_on(operation: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the runtime")
        .map_err(Failure::Runtime)?;
    runtime.block_on(operation)
}

/// Why the servers cannot be used, with its exit code.
fn refused(fault: StartError) -> Failure {
    if fault.is_setting() { Failure::Setting(fault.into()) } else { Failure::Unreachable(fault.into()) }
}
