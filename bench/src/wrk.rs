//! Load by `wrk`: as much as the proxy takes, from one thread.
//!
//! wrk has no fixed rate, so p99 is that of saturation.
//! Elsewhere: load at a fixed rate (`crate::fixed_rate`).

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use tokio::process::Command;

use crate::{cores::Core, load_program};

const REPORT_SCRIPT: &str = include_str!("../configs/report.lua");

/// What wrk counted in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Served {
    /// Answers received in full.
    pub(crate) requests: u64,
    /// How long the run took.
    pub(crate) elapsed: Duration,
    /// 99 of 100 answers came within it.
    pub(crate) latency_p99: Duration,
    /// What went wrong.
    pub(crate) errors: Errors,
}

/// Faults by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Errors {
    /// Connections that did not come about, or broke while reading or writing.
    pub(crate) sockets: u64,
    /// Answers that came too late for wrk.
    pub(crate) timeouts: u64,
    /// Answers of 400 and above.
    pub(crate) statuses: u64,
}

impl Errors {
    /// All of them.
    pub(crate) fn total(self) -> u64 {
        self.sockets + self.timeouts + self.statuses
    }
}

/// A ready load generator.
#[derive(Clone, Debug)]
pub(crate) struct Wrk {
    program: PathBuf,
    script: PathBuf,
    core: Core,
    /// A header of every request, as a line without its end.
    header: Option<String>,
}

impl Wrk {
    /// Writes the script that makes wrk report exact counts.
    pub(crate) fn prepare(program: &Path, directory: &Path, core: Core) -> io::Result<Self> {
        Self::prepare_with(program, directory, core, "")
    }

    /// The same with a script that makes the requests.
    pub(crate) fn prepare_with(
        program: &Path,
        directory: &Path,
        core: Core,
        requests: &str,
    ) -> io::Result<Self> {
        let script = directory.join("report.lua");
        fs::write(&script, format!("{requests}\n{REPORT_SCRIPT}"))?;
        Ok(Self { program: program.to_path_buf(), script, core, header: None })
    }

    /// This one, with a header in every request.
    pub(crate) fn with_header(&self, name: &str, value: &str) -> Self {
        Self { header: Some(format!("{name}: {value}")), ..self.clone() }
    }

    /// Asks for `path` over so many connections for `seconds`.
    pub(crate) async fn run(
        &self,
        address: SocketAddr,
        path: &str,
        connections: u32,
        seconds: u32,
    ) -> anyhow::Result<Served> {
        let mut command = Command::new(&self.program);
        command
            .args(["--threads", "1"])
            .args(["--connections", &connections.to_string()])
            .args(["--duration", &seconds.to_string()])
            .arg("--script")
            .arg(&self.script)
            .args(self.header.iter().flat_map(|header| ["--header", header]))
            .arg(format!("http://{address}{path}"));
        let text = load_program::run(command, "wrk", self.core).await?;
        Ok(parse(&text)?)
    }
}

/// What is wrong with the output of wrk.
#[derive(Debug, thiserror::Error)]
enum ParseError {
    #[error("no report at the end of wrk's output")]
    NoReport,
    #[error("read wrk's report `{line}`")]
    Report { line: String, source: serde_json::Error },
}

/// The line that the script prints.
#[derive(Deserialize)]
struct Report {
    requests: u64,
    elapsed_us: u64,
    p99_us: u64,
    connect: u64,
    read: u64,
    write: u64,
    timeout: u64,
    status: u64,
}

fn parse(output: &str) -> Result<Served, ParseError> {
    let line = output.lines().rfind(|line| line.starts_with('{')).ok_or(ParseError::NoReport)?;
    let report: Report =
        serde_json::from_str(line).map_err(|source| ParseError::Report { line: line.to_owned(), source })?;
    Ok(Served {
        requests: report.requests,
        elapsed: Duration::from_micros(report.elapsed_us),
        latency_p99: Duration::from_micros(report.p99_us),
        errors: Errors {
            sockets: report.connect + report.read + report.write,
            timeouts: report.timeout,
            statuses: report.status,
        },
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Errors, Served, parse};

    const OUTPUT: &str = "Running 4s test @ http://127.0.0.1:4000/json
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.02ms  124.98us   3.61ms   98.59%
    Req/Sec    57.00k     6.78k   76.53k    90.91%
  240013 requests in 4.10s, 36.62MB read
  Socket errors: connect 0, read 2, write 0, timeout 3
Requests/sec:  58539.76
Transfer/sec:      8.93MB
";

    #[test]
    fn the_report_of_the_script_is_read_exactly() {
        let line = r#"{"requests":240013,"elapsed_us":4099624,"p99_us":1299,"connect":1,"read":2,"write":4,"timeout":3,"status":5}"#;
        let served = parse(&format!("{OUTPUT}{line}\n")).unwrap();
        assert_eq!(
            served,
            Served {
                requests: 240_013,
                elapsed: Duration::from_micros(4_099_624),
                latency_p99: Duration::from_micros(1_299),
                errors: Errors { sockets: 7, timeouts: 3, statuses: 5 },
            }
        );
        assert_eq!(served.errors.total(), 15);
    }

    #[test]
    fn output_without_a_usable_report_is_refused() {
        assert_eq!(parse(OUTPUT).unwrap_err().to_string(), "no report at the end of wrk's output");
        assert_eq!(
            parse("{\"requests\":1}").unwrap_err().to_string(),
            "read wrk's report `{\"requests\":1}`"
        );
    }
}
