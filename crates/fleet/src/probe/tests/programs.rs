//! Programs as probes: what they are given, and that nothing of them is left.

use std::{fs, path::Path};

use tempfile::TempDir;
use tokio::time::interval;

use super::*;

#[tokio::test]
async fn the_exit_code_of_a_program_decides() {
    for (script, expected) in [
        ("exit 0", "ok"),
        ("test \"$PORT $PHALANX_INSTANCE $GREETING\" = '81 api-1 hello'", "ok"),
        ("test ! -t 0 && ! read line", "ok"),
        ("exit 3", "exit status: 3, without a word"),
        (
            "echo no >&2; printf '\\033[31mdatabase' >&2; echo ignored; exit 3",
            "exit status: 3, no | database",
        ),
        ("kill -9 $$", "signal: 9 (SIGKILL), without a word"),
    ] {
        assert_eq!(found(&at_81(), &shell(script), PATIENCE).await, expected, "{script}");
    }
}

#[tokio::test]
async fn a_flood_does_not_hold_a_program_up() {
    // A reader that leaves would be noticed: the first `head` that cannot write ends the script.
    let flood = "set -e; head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2; exit";
    assert_eq!(found(&at_81(), &shell(&format!("{flood} 0")), PATIENCE).await, "ok");
    let found = found(&at_81(), &shell(&format!("{flood} 1")), PATIENCE).await;
    assert!(found.starts_with("exit status: 1, \\u{0}\\u{0}") && found.len() < 8 * 512, "{found}");
}

#[tokio::test]
async fn a_program_that_hangs_is_killed_with_all_it_started() {
    let (home, hangs) = hanging();
    // A busy machine may not get as far in the first of these times.
    let mut limit = Duration::from_millis(50);
    while pids(home.path()).is_none() {
        limit *= 2;
        assert_eq!(found(&at_81(), &hangs, limit).await, format!("no answer within {limit:?}"));
    }
    let [leader, child] = pids(home.path()).unwrap();
    assert!(!exists(leader), "a leader is reaped before the probe is answered");
    ended(child).await;
}

#[tokio::test]
async fn a_program_ends_with_the_run_that_it_probes() {
    let (home, hangs) = hanging();
    let target = at_81();
    let over = async {
        let mut looks = interval(Duration::from_millis(5));
        while pids(home.path()).is_none() {
            looks.tick().await;
        }
        target.over.cancel();
    };
    let one_hour = Duration::from_secs(3600);
    timeout(PATIENCE, async { tokio::join!(found(&target, &hangs, one_hour), over) }).await.unwrap();
    let [leader, child] = pids(home.path()).unwrap();
    assert!(!exists(leader));
    ended(child).await;
}

#[tokio::test]
async fn a_program_that_cannot_be_run_says_nothing_about_the_replica() {
    let missing = Check::Exec { command: vec!["/nowhere/check".to_owned()] };
    let expected = "the probe could not be made: no program `/nowhere/check`, looked for there";
    assert_eq!(found(&at_81(), &missing, PATIENCE).await, expected);
    let error = ProbeError::Unasked(Unasked::Io(io::Error::from(Errno::AGAIN)));
    assert_eq!(error.answer(), None);
}

fn at_81() -> Target {
    target(SocketAddr::from(([127, 0, 0, 1], 81)))
}

fn shell(script: &str) -> Check {
    Check::Exec { command: ["sh", "-c", script].map(str::to_owned).to_vec() }
}

/// A program that hangs with a child, and the folder where it tells who both are.
fn hanging() -> (TempDir, Check) {
    let home = tempfile::tempdir().unwrap();
    let script =
        format!("cd '{}'; sleep 1000 & echo $$ $! > written; mv written pids; wait", home.path().display());
    (home, shell(&script))
}

/// Of the leader and of its child.
fn pids(home: &Path) -> Option<[u32; 2]> {
    let text = fs::read_to_string(home.join("pids")).ok()?;
    let pids: Vec<_> = text.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    Some(pids.try_into().unwrap())
}

fn exists(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// Waits for the end of a process that is reaped by somebody else, if by anybody.
async fn ended(pid: u32) {
    let mut looks = interval(Duration::from_millis(5));
    let has_ended = || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(')').is_none_or(|(_, rest)| rest.starts_with(" Z"))
    };
    let end = async {
        while !has_ended() {
            looks.tick().await;
        }
    };
    timeout(PATIENCE, end).await.unwrap();
}
