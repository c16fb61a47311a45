//! What every server here is: a process in a home, that can be stopped, killed, held and started again.

use std::{
    fs::OpenOptions,
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard},
};

use rustix::process::{Pid, Signal};

use crate::{account::Account, home::Home, processes, wait::eventually};

#[derive(Debug)]
pub(crate) struct Server {
    // Dropped first: the guard ends what still runs, and the process is reaped after it.
    home: Home,
    process: Reaped,
    account: Account,
}

impl Server {
    pub(crate) fn create(account: Account, prefix: &str) -> Self {
        Self { home: Home::create(account, prefix), process: Reaped(Mutex::new(None)), account }
    }

    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    pub(crate) fn account(&self) -> Account {
        self.account
    }

    /// Starts the program; it says what it has to say in the log.
    pub(crate) fn spawn(&self, mut command: Command) {
        let log = OpenOptions::new().create(true).append(true).open(self.home.log());
        let log = log.expect("a file in the own directory");
        let errors = log.try_clone().expect("a file descriptor is left");
        command.current_dir(self.home.data()).stdin(Stdio::null()).stdout(log).stderr(errors);
        let mut process = self.process.lock();
        assert!(process.is_none(), "it runs already");
        *process = Some(command.spawn().unwrap_or_else(|error| panic!("start {command:?}: {error}")));
    }

    /// Waits until it is ready; `false` when it has ended instead.
    pub(crate) fn becomes_ready(&self, mut is_ready: impl FnMut() -> bool) -> bool {
        let ended = || {
            let mut process = self.process.lock();
            let ended = process.as_mut().is_none_or(|child| child.try_wait().is_ok_and(|end| end.is_some()));
            if ended {
                *process = None;
            }
            ended
        };
        let look = || {
            if ended() { Some(false) } else { is_ready().then_some(true) }
        };
        eventually(look).unwrap_or_else(|| self.fail("it does not become ready"))
    }

    pub(crate) fn is_running(&self) -> bool {
        self.process.lock().is_some()
    }

    /// The process that was started, while it runs.
    pub(crate) fn pid(&self) -> Pid {
        let process = self.process.lock();
        Pid::from_child(process.as_ref().unwrap_or_else(|| self.fail("it does not run")))
    }

    pub(crate) fn pause(&self) {
        processes::stop(self.pid());
    }

    pub(crate) fn resume(&self) {
        processes::resume(self.pid());
    }

    pub(crate) fn kill(&self) {
        processes::kill(self.pid());
        self.reap();
    }

    /// Asks it to end by a signal, and waits until it has.
    pub(crate) fn stop(&self, signal: Signal) {
        processes::signal(self.pid(), signal);
        let end = eventually(|| {
            let mut process = self.process.lock();
            process.as_mut().and_then(|child| child.try_wait().expect("it is our child"))
        });
        end.unwrap_or_else(|| self.fail("it does not stop"));
        self.reap();
    }

    fn reap(&self) {
        if let Some(mut child) = self.process.lock().take() {
            child.wait().expect("it is our child");
        }
    }

    /// Ends the test, with the end of the log.
    #[track_caller]
    pub(crate) fn fail(&self, what: &str) -> ! {
        panic!("{what}; the log of {} ends with\n{}", self.home.path().display(), self.home.log_tail())
    }
}

#[derive(Debug)]
struct Reaped(Mutex<Option<Child>>);

impl Reaped {
    /// A test that failed with it still drops it.
    fn lock(&self) -> MutexGuard<'_, Option<Child>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Reaped {
    fn drop(&mut self) {
        if let Some(mut child) = self.lock().take() {
            // The guard has killed it.
            let _ = child.wait();
        }
    }
}
