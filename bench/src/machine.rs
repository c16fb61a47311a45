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

    /// A list of Markdown.
    pub(crate) fn lines(&self) -> Vec<String> {
        let Placement { proxy, origin, load } = self.placement;
        let mut lines = vec![
            format!("* {}, {} cores, Linux {}", self.cpu, self.cores, self.kernel),
            format!("* proxy on {proxy}, origin on {origin}, load on {load}"),
        ];
        lines.extend(self.versions.iter().map(|version| format!("* {version}")));
        lines.push(format!("* `{}`, {}", self.command, self.date));
        lines
    }
}

#[cfg(test)]
impl Machine {
    /// For tests of what is said about it.
    pub(crate) fn of_tests() -> Self {
        Self {
            cpu: "A CPU".to_owned(),
            cores: 2,
            kernel: "6.1.0".to_owned(),
            placement: Placement::over_two_cores(),
            versions: vec!["nginx version: nginx/1.22.1".to_owned(), "phalanx 0.1.0".to_owned()],
            command: "phalanx-bench gateway".to_owned(),
            date: "Sun, 06 Nov 1994 08:49:37 GMT".to_owned(),
        }
    }
}
