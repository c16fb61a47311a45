//! Load by `h2load`: HTTP/2 with prior knowledge, many requests at a time over few connections.
//!
//! Elsewhere: load over HTTP/1.1 (`crate::wrk`).

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use tokio::process::Command;

use crate::{
    cores::Core,
    load_program,
    wrk::{Errors, Served},
};

/// A ready load generator.
#[derive(Clone, Debug)]
pub(crate) struct H2load {
    program: PathBuf,
    core: Core,
    connections: u32,
    streams: u32,
    header: Option<String>,
}

impl H2load {
    /// Over so many connections, with so many requests at a time over each.
    pub(crate) fn new(program: &Path, core: Core, connections: u32, streams: u32) -> Self {
        Self { program: program.to_path_buf(), core, connections, streams, header: None }
    }

    /// This one, with a header in every request.
    pub(crate) fn with_header(self, name: &str, value: &str) -> Self {
        Self { header: Some(format!("{name}: {value}")), ..self }
    }

    /// Asks for `path` for `seconds`.
    pub(crate) async fn run(&self, address: SocketAddr, path: &str, seconds: u32) -> anyhow::Result<Served> {
        let mut command = Command::new(&self.program);
        command
            .args(["--threads", "1"])
            .args(["--clients", &self.connections.to_string()])
            .args(["--max-concurrent-streams", &self.streams.to_string()])
            .args(["--duration", &seconds.to_string()])
            .args(self.header.iter().flat_map(|header| ["--header", header]))
            .arg(format!("http://{address}{path}"));
        let text = load_program::run(command, "h2load", self.core).await?;
        parse(&text, seconds).with_context(|| format!("read the report of h2load:\n{text}"))
    }
}

/// Its report is for people: `requests: 10 total, … 9 succeeded, 1 failed, …` and `status codes: 9 2xx, 0 3xx, …`.
fn parse(report: &str, seconds: u32) -> Option<Served> {
    let counts = |prefix: &str| {
        let line = report.lines().find_map(|line| line.strip_prefix(prefix))?;
        let counts = line.split(',').filter_map(|part| part.trim().split_once(' '));
        Some(
            counts
                .filter_map(|(count, name)| Some((name.to_owned(), count.parse().ok()?)))
                .collect::<Vec<(String, u64)>>(),
        )
    };
    let (requests, statuses) = (counts("requests: ")?, counts("status codes: ")?);
    let count = |of: &[(String, u64)], name: &str| {
        of.iter().find(|(found, _)| found == name).map(|(_, count)| *count)
    };
    let good = count(&statuses, "2xx")?;
    Some(Served {
        requests: good,
        elapsed: Duration::from_secs(seconds.into()),
        // It tells the mean and the extremes of a time, and no quantile.
        latency_p99: Duration::ZERO,
        errors: Errors {
            sockets: count(&requests, "errored")?,
            timeouts: count(&requests, "timeout")?,
            statuses: count(&statuses, "4xx")? + count(&statuses, "5xx")? + count(&statuses, "3xx")?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "
finished in 3.00s, 51234.33 req/s, 3.23MB/s
requests: 153703 total, 153767 started, 153703 done, 153700 succeeded, 3 failed, 2 errored, 1 timeout
status codes: 153700 2xx, 0 3xx, 2 4xx, 1 5xx
traffic: 9.68MB (10150398) total, 1.03MB (1078321) headers (space savings 93.62%), 7.33MB (7685150) data
                     min         max         mean         sd        +/- sd
time for request:      171us      9.71ms      1.24ms       224us    92.14%
";

    #[test]
    fn the_report_is_read() {
        let served = parse(REPORT, 3).unwrap();
        assert_eq!(
            served,
            Served {
                requests: 153_700,
                elapsed: Duration::from_secs(3),
                latency_p99: Duration::ZERO,
                errors: Errors { sockets: 2, timeouts: 1, statuses: 3 },
            }
        );
        assert_eq!(parse("finished in 3.00s", 3), None);
    }
}
