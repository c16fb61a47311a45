//! One run of a replica: a process, its port, what it prints, and how it is probed.

use std::{
    error::Error,
    fmt,
    future::{self, Future},
    io, iter,
    net::SocketAddr,
    path::PathBuf,
    pin::Pin,
    process::{Command, ExitStatus},
    sync::Arc,
    time::Duration,
};

use tokio::{task::JoinSet, time::timeout};

use crate::{
    life::{Answer, Event, Gate},
    output::{LastLines, pump},
    ports::{NoFreePort, PortLease},
    probe::{ProbeError, probe},
    process::Process,
    program::{ProgramError, find_program},
    replica::{Identity, Surroundings},
    state::ProcessState,
    template::Template,
};

/// How long the output of a process that has ended is read on. Only a descendant that left its process group can hold it
/// open for longer.
const OUTPUT_REST_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Port(#[from] NoFreePort),
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error("start `{}`", program.display())]
    Start { program: PathBuf, source: io::Error },
}

/// What became of the last start of a replica.
pub(crate) enum Previous {
    /// There was none, or it lives.
    None,
    /// It brought no process.
    NotStarted(StartError),
    /// Its process has ended.
    Ended {
        exit: ExitStatus,
        /// Kept until the next start, which therefore gets another port: what was meant for this process, such as a request
        /// on a connection that is still opening, must not reach its successor.
        _port: PortLease,
    },
}

impl fmt::Display for Previous {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::NotStarted(error) => {
                error.fmt(formatter)?;
                let mut causes = iter::successors(error.source(), |cause| (*cause).source());
                causes.try_for_each(|cause| write!(formatter, ": {cause}"))
            }
            Self::Ended { exit, .. } => exit.fmt(formatter),
        }
    }
}

/// A replica that has a process.
pub(crate) struct Run {
    process: Process,
    lease: PortLease,
    output: JoinSet<()>,
    probing: Option<Probing>,
    last_answer: Option<ProbeError>,
}

type Probing = Pin<Box<dyn Future<Output = Result<(), ProbeError>> + Send>>;

impl Run {
    /// Starts the process; what it prints goes to `last_lines` too.
    pub(crate) fn start<B>(
        template: &Template,
        identity: &Identity,
        surroundings: &Surroundings<B>,
        last_lines: &LastLines,
    ) -> Result<Self, StartError> {
        let lease = surroundings.ports.lease()?;
        // Looked up at each start: what `PATH` leads to may have been replaced since.
        let program = find_program(&template.replicas)?;
        let mut command = Command::new(&program);
        command
            .args(template.replicas.command.iter().skip(1))
            .envs(&template.replicas.env)
            .env("PORT", lease.port().to_string())
            .env("PHALANX_INSTANCE", &*identity.instance);
        let (process, streams) = Process::start(&mut command, &surroundings.groups)
            .map_err(|source| StartError::Start { program, source })?;

        let mut pumps = JoinSet::new();
        let (instance, output) = (&identity.instance, &surroundings.output);
        pumps.spawn(pump(streams.stdout, Arc::clone(instance), last_lines.clone(), output.clone()));
        pumps.spawn(pump(streams.stderr, Arc::clone(instance), last_lines.clone(), output.clone()));
        Ok(Self { process, lease, output: pumps, probing: None, last_answer: None })
    }

    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    pub(crate) fn state(&self) -> ProcessState {
        ProcessState { pid: self.process.pid(), address: self.address() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.lease.address()
    }

    /// The last probe that was not answered as it should be.
    pub(crate) fn last_answer(&self) -> Option<&ProbeError> {
        self.last_answer.as_ref()
    }

    /// Begins to probe; [`Self::event`] brings the answer.
    pub(crate) fn begin_probe(&mut self, template: Arc<Template>, gate: Gate) {
        let address = self.address();
        self.probing = Some(Box::pin(async move { probe(address, template.rules.probe(gate)).await }));
    }

    /// Waits for the end of the process, or for the answer to the probe. Cancel-safe.
    pub(crate) async fn event(&mut self) -> Event {
        tokio::select! {
            // First, since nothing else matters once the process has ended.
            biased;
            () = self.process.exited() => Event::Exited,
            answer = answered(&mut self.probing) => {
                self.probing = None;
                match answer {
                    Ok(()) => Event::Probed(Answer::Good),
                    Err(error) => {
                        self.last_answer = Some(error);
                        Event::Probed(Answer::Bad)
                    }
                }
            }
        }
    }

    /// Ends what is left of a run whose leader has ended.
    pub(crate) async fn clean_up(mut self) -> Previous {
        let exit = self.process.clean_up();
        let rest = async { while self.output.join_next().await.is_some() {} };
        // On a timeout the readers are aborted as the set goes away.
        let _ = timeout(OUTPUT_REST_TIMEOUT, rest).await;
        Previous::Ended { exit, _port: self.lease }
    }
}

async fn answered(probing: &mut Option<Probing>) -> Result<(), ProbeError> {
    match probing {
        Some(probing) => probing.await,
        None => future::pending().await,
    }
}
