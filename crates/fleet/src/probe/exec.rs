//! A program that tells by its exit code how its replica is.
//!
//! Invariants: it runs as a process group of its own, beside that of the replica; at the timeout, and when nobody waits for it
//! any more, the group is killed, and its leader is reaped. What it prints is read to its end, so that it does not wait for a
//! reader, and of that only the first [`WORDS_BYTES_MAX`] of standard error are kept.

use std::time::Duration;

use tokio::{
    io::{self, AsyncRead, AsyncReadExt},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{ProbeError, Target, Unasked};
use crate::{
    output::{Colours, clean},
    process::{Process, Streams},
    program,
};

/// Enough for the sentence that says why.
const WORDS_BYTES_MAX: u64 = 512;
/// How long a killed program may take to end. One that takes longer hangs in the kernel, and is left to it.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the output of a program that has ended is waited for. Only a descendant that left its group can hold it open.
const OUTPUT_REST_TIMEOUT: Duration = Duration::from_secs(1);

/// Runs the program of `line`; exit code 0 is good.
pub(super) async fn run(target: &Target, line: &[String], limit: Duration) -> Result<(), ProbeError> {
    let replicas = &target.template.replicas;
    let mut command = program::command(line, replicas, target.address.port(), &target.instance)
        .map_err(|error| ProbeError::Unasked(Unasked::Program(error)))?;
    let (process, streams) = Process::start(&mut command, &target.groups)
        .map_err(|error| ProbeError::Unasked(Unasked::Io(error)))?;
    let mut words = JoinSet::new();
    words.spawn(listen(streams));
    let in_time = tokio::select! {
        // First: one that ended in time has ended in time, however late this is noticed.
        biased;
        () = process.exited() => true,
        () = target.over.cancelled() => false,
        () = sleep(limit) => false,
    };
    if !in_time {
        process.kill();
        if timeout(KILL_TIMEOUT, process.exited()).await.is_ok() {
            process.clean_up();
        }
        return Err(ProbeError::Silent(limit));
    }
    let exit = process.clean_up();
    if exit.success() {
        return Ok(());
    }
    let words = timeout(OUTPUT_REST_TIMEOUT, words.join_next()).await.ok().flatten();
    Err(ProbeError::Exit { exit, words: said(&words.and_then(Result::ok).unwrap_or_default()) })
}

/// Reads both streams to their ends, and returns how standard error begins.
async fn listen(Streams { stdout, stderr }: Streams) -> Vec<u8> {
    let words = async {
        let mut words = Vec::new();
        let mut beginning = stderr.take(WORDS_BYTES_MAX);
        // What cannot be read is not there.
        let _ = beginning.read_to_end(&mut words).await;
        discard(beginning.into_inner()).await;
        words
    };
    tokio::join!(words, discard(stdout)).0
}

async fn discard(mut stream: impl AsyncRead + Unpin) {
    // As above.
    let _ = io::copy(&mut stream, &mut io::sink()).await;
}

/// On one line.
fn said(words: &[u8]) -> String {
    let words = String::from_utf8_lossy(words);
    let lines: Vec<_> = words.lines().map(|line| clean(line.trim_end(), Colours::Strip)).collect();
    if lines.is_empty() { "without a word".to_owned() } else { lines.join(" | ") }
}
