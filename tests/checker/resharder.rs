//! A program that moves data in stages, tells each on its standard output as a line of JSON with a member `stage`, and goes on
//! where it was when it is started again: killed once in each of its stages.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    thread,
    time::Duration,
};

use phalanx_telemetry::clock;
use serde_json::Value;

/// Lines that nobody has read yet.
const LINES_MAX: usize = 1024;
/// The exit code of a program that could not reach a server.
const UNREACHABLE: i32 = 5;
/// A program that tells nothing for so long does not get anywhere.
const PATIENCE: Duration = Duration::from_mins(2);

/// Runs it to its end, and kills it in every stage that is not in `killed_in`, so long after it was told as `linger` says or when
/// the next line comes; adds the stages in which it was killed. A stage that is over before the kill arrives is missed.
///
/// # Panics
/// When it fails by itself.
pub(crate) fn killed_in_every_stage(
    command: impl Fn() -> Command,
    mut linger: impl FnMut() -> Duration,
    killed_in: &mut BTreeSet<String>,
) {
    let begun = clock::now();
    loop {
        let mut child = command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = lines(&mut child);
        let is_new = |line: &String| stage(line).filter(|stage| !killed_in.contains(stage));
        match first(&lines, is_new) {
            Some(stage) => {
                // Whether a line comes or the time is over is the same to the one that is killed.
                let _ = lines.recv_timeout(linger());
                child.kill().unwrap();
                child.wait().unwrap();
                killed_in.insert(stage);
            }
            None => {
                let mut complaint = String::new();
                child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
                let status = child.wait().unwrap();
                // A server was away when it began, and nothing has changed.
                if status.code() == Some(UNREACHABLE) {
                    assert!(begun.elapsed() < PATIENCE, "{complaint}");
                    continue;
                }
                assert!(status.success(), "{status} after {killed_in:?}: {complaint}");
                return;
            }
        }
    }
}

fn stage(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    line["stage"].as_str().map(ToOwned::to_owned)
}

/// What `wanted` makes of the first line that it wants; `None` at the end of the lines.
fn first<T>(lines: &Receiver<String>, wanted: impl Fn(&String) -> Option<T>) -> Option<T> {
    loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) => {
                if let Some(found) = wanted(&line) {
                    return Some(found);
                }
            }
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => panic!("it tells nothing"),
        }
    }
}

/// The lines that a process writes, by a thread that ends with it.
fn lines(child: &mut Child) -> Receiver<String> {
    let (sender, receiver) = sync_channel(LINES_MAX);
    let output = BufReader::new(child.stdout.take().unwrap());
    thread::spawn(move || {
        let lines = output.lines().map_while(Result::ok);
        // Nobody listens any more to one that was killed.
        lines.map(|line| sender.send(line)).take_while(Result::is_ok).for_each(drop);
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three stages, the last finished one of which is in a file.
    const SCRIPT: &str = r#"
        for stage in copy switch clean; do
            grep -qx "$stage" "$1" && continue
            echo "{\"stage\":\"$stage\",\"percent\":0}"
            sleep 0.05
            echo "$stage" >> "$1"
        done
    "#;

    fn program(script: &str) -> (tempfile::NamedTempFile, impl Fn() -> Command) {
        let done = tempfile::NamedTempFile::new().unwrap();
        let (script, path) = (script.to_owned(), done.path().to_owned());
        let command = move || {
            let mut command = Command::new("sh");
            command.args(["-c", &script, "program"]).arg(&path);
            command
        };
        (done, command)
    }

    #[test]
    fn it_is_killed_in_each_stage_and_ends_all_the_same() {
        let (done, command) = program(SCRIPT);
        let mut killed_in = BTreeSet::new();
        killed_in_every_stage(command, || Duration::ZERO, &mut killed_in);
        assert_eq!(killed_in, ["clean", "copy", "switch"].map(ToOwned::to_owned).into());
        assert_eq!(std::fs::read_to_string(done).unwrap(), "copy\nswitch\nclean\n");
    }

    #[test]
    #[should_panic = "cannot go on"]
    fn a_failure_of_its_own_is_one() {
        let (_done, command) = program("echo cannot go on >&2; exit 1");
        killed_in_every_stage(command, || Duration::ZERO, &mut BTreeSet::new());
    }
}
