//! Two processes over the same files, one of which is killed.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use phalanx_auth::LoginSettings;

use crate::support::{Replica, SECOND, Store, account};

/// Names the directory to the processes that this test starts.
const DIRECTORY: &str = "PHALANX_TEST_LOGINS";
const TEST: &str = "processes::processes_share_logins_and_one_may_be_killed";
const ROUNDS: u64 = 20;

/// A process that answers each line `<token> <milliseconds>` with the token that replaces it.
struct Process {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Process {
    fn start(directory: &Path) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", TEST, "--nocapture"]).env(DIRECTORY, directory);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (questions, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut process = Self { child, questions, answers: BufReader::new(answers) };
        assert_eq!(process.answer(), "ready");
        process
    }

    fn ask(&mut self, token: &str, now: u64) {
        writeln!(self.questions, "{token} {now}").unwrap();
    }

    /// The next line that is an answer; what else the harness of tests prints may stand before it.
    fn answer(&mut self) -> String {
        let mut line = String::new();
        while self.answers.read_line(&mut line).unwrap() > 0 {
            if let Some((_, answer)) = line.split_once("answer ") {
                return answer.trim_end().to_owned();
            }
            line.clear();
        }
        panic!("the process has ended");
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Lets it end by itself.
    fn end(mut self) {
        drop(self.questions);
        assert!(self.child.wait().unwrap().success());
    }
}

/// What a [`Process`] does.
async fn serve(directory: &Path) {
    let replica = Replica::over_files(directory, LoginSettings::default()).await;
    println!("answer ready");
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let (token, now) = line.split_once(' ').unwrap();
        println!("answer {}", replica.refreshed(token, now.parse().unwrap()).await);
    }
    replica.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_share_logins_and_one_may_be_killed() {
    if let Some(directory) = env::var_os(DIRECTORY) {
        return serve(Path::new(&directory)).await;
    }
    let store = Store::files();
    let Store::Files(directory) = &store else { unreachable!("it is files") };
    let replica = store.open().await;
    let mut newest = replica.begin(account(1)).await.refresh_token.as_str().to_owned();
    let (mut first, mut second) = (Process::start(directory.path()), Process::start(directory.path()));
    for round in 0..ROUNDS {
        first.ask(&newest, round);
        second.ask(&newest, round);
        let (one, other) = (first.answer(), second.answer());
        assert_eq!(one, other, "round {round}");
        newest = one;
    }
    // It dies with the question unanswered, somewhere between reading it and answering.
    first.ask(&newest, ROUNDS);
    first.kill();
    second.ask(&newest, ROUNDS);
    let successor = second.answer();
    assert_eq!(replica.refreshed(&newest, ROUNDS).await, successor);
    assert_eq!(replica.outcome(&newest, ROUNDS + 100 * SECOND).await, "reused");
    assert_eq!(replica.outcome(&successor, ROUNDS + 100 * SECOND).await, "ended");
    second.end();
    replica.close().await;
}
