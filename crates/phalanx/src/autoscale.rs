//! `phalanx autoscale`: decisions about the number of replicas, away from any replica.

mod explain;
mod file;
mod report;

use crate::{cli::AutoscaleOperation, exit::Failure};

pub(crate) fn run(operation: &AutoscaleOperation) -> Result<(), Failure> {
    match operation {
        AutoscaleOperation::Explain(arguments) => explain::run(arguments),
    }
}
