//! Where and how a comparison ran, so that a reader can judge and repeat it.

use std::{env, fs, time::Duration, time::UNIX_EPOCH};

use phalanx_telemetry::clock;
use procfs::{CpuInfo, Current};

use crate::{cores::Placement, programs::Programs};

/// The facts above the tables.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) placement: Placement,
    /// One line for each program.
    pub(crate) versions: Vec<String>,
    pub(crate) command: String,
    /// When it began.
    pub(crate) date: String,
}

impl Machine {
    /// This one; what it does not tell is `unknown`, since no measurement depends on it.
    pub(crate) fn here(placement: Placement, programs: &Programs) -> Self {
        let cpus = CpuInfo::current().ok();
        let unknown = || "unknown".to_owned();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").map(|text| text.trim().to_owned());
        let started = UNIX_EPOCH + Duration::from_secs(clock::unix_seconds());
        Self {
            cpu: cpus.as_ref().and_then(|cpus| cpus.model_name(0)).map_or_else(unknown, str::to_owned),
            cores: cpus.as_ref().map_or(0, CpuInfo::num_cores),
            kernel: kernel.unwrap_or_else(|_| unknown()),
            placement,
            versions: programs.versions(),
            command: env::args().collect::<Vec<_>>().join(" "),
            date: httpdate::fmt_http_date(started),
        }
    }
}
