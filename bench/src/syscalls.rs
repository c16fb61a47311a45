//! System calls per request, counted by `strace` over a short run of its own: tracing slows the proxy many times over, so
//! nothing else is measured meanwhile.

use std::{collections::BTreeMap, fs, path::Path, process::Stdio, time::Duration};

use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::{
    proxy::{Kind, Proxy},
    scenario::Scenario,
    usage,
    wrk::Wrk,
};

const RUN_SECONDS: u32 = 2;
const ATTACH_TIMEOUT: Duration = Duration::from_secs(10);

/// What one proxy asked of the kernel.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SyscallCount {
    pub(crate) proxy: Kind,
    pub(crate) scenario: Scenario,
    pub(crate) requests: u64,
    /// By name.
    pub(crate) calls: BTreeMap<String, u64>,
}

/// Counts for every proxy in turn.
pub(crate) async fn count(
    strace: &Path,
    wrk: &Wrk,
    proxies: &[Proxy],
    scenario: Scenario,
    directory: &Path,
) -> anyhow::Result<Vec<SyscallCount>> {
    let mut counts = Vec::new();
    for proxy in proxies {
        eprintln!("system calls: {scenario} {}", proxy.kind);
        let summary = directory.join(format!("strace-{}", proxy.address.port()));
        let tracer = attach(strace, &usage::tree(proxy.pid())?, &summary).await?;
        let served = wrk.run(proxy.address, scenario.body.path(), scenario.connections, RUN_SECONDS).await?;
        detach(tracer).await?;
        let table = fs::read_to_string(&summary).with_context(|| format!("read {}", summary.display()))?;
        let calls = parse(&table);
        ensure!(!calls.is_empty(), "strace counted nothing for {}", proxy.kind);
        counts.push(SyscallCount { proxy: proxy.kind, scenario, requests: served.requests, calls });
    }
    Ok(counts)
}

/// Starts strace and waits until it follows every process.
async fn attach(strace: &Path, pids: &[Pid], summary: &Path) -> anyhow::Result<Child> {
    let mut command = Command::new(strace);
    command.args(["-c", "-f", "-o"]).arg(summary);
    command.args(pids.iter().flat_map(|pid| ["-p".to_owned(), pid.as_raw_pid().to_string()]));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut tracer = command.spawn().context("start strace")?;
    let messages = tracer.stderr.take().context("no stderr of strace")?;
    let mut lines = BufReader::new(messages).lines();
    let all_attached = async {
        let mut attached = 0;
        while attached < pids.len() {
            let line = lines.next_line().await?.context("strace ended before it was attached")?;
            ensure!(!line.contains("attach: "), "{line}");
            attached += usize::from(line.ends_with("attached") || line.contains(" attached with "));
        }
        Ok(())
    };
    timeout(ATTACH_TIMEOUT, all_attached).await.context("attach strace in time")??;
    Ok(tracer)
}

/// Lets strace write its summary and leave the processes alone.
async fn detach(mut tracer: Child) -> anyhow::Result<()> {
    let pid =
        tracer.id().and_then(|pid| Pid::from_raw(pid.cast_signed())).context("strace has ended early")?;
    kill_process(pid, Signal::INT).context("stop strace")?;
    tracer.wait().await.context("wait for strace")?;
    Ok(())
}

/// Calls by name from `strace -c`: `% time, seconds, usecs/call, calls, [errors,] syscall`.
fn parse(table: &str) -> BTreeMap<String, u64> {
    let row = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (&calls, &name) = (fields.get(3)?, fields.last()?);
        // Heading and rules carry no number, and the last row is the sum of the others.
        (name != "total").then_some((name.to_owned(), calls.parse().ok()?))
    };
    table.lines().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn rows_with_and_without_errors_are_read_and_the_sum_is_not() {
        let calls = parse(
            "% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 61.22    0.301021           7     40210      2011 recvfrom
 38.70    0.190312           9     20105           writev
  0.08    0.000392           2       196           epoll_wait
------ ----------- ----------- --------- --------- ----------------
100.00    0.491725           8     60511      2011 total
",
        );
        let calls: Vec<(&str, u64)> = calls.iter().map(|(name, calls)| (name.as_str(), *calls)).collect();
        assert_eq!(calls, [("epoll_wait", 196), ("recvfrom", 40_210), ("writev", 20_105)]);
    }
}
