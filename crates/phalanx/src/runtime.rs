//! The runtime of the main thread, on which everything runs that is not on the path of requests of the gateway.

use anyhow::Context as _;
use tokio::runtime::{Builder, Runtime};

use crate::exit::Failure;

/// A runtime for this thread alone.
pub(crate) fn on_this_thread() -> Result<Runtime, Failure> {
    Builder::new_current_thread().enable_all().build().context("start the runtime").map_err(Failure::Runtime)
}
