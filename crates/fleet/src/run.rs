//! One run of a replica: a process, its port, what it prints, and how it is probed.

use std::{fmt, io, net::SocketAddr, path::PathBuf, process::ExitStatus, sync::Arc, time::Duration};

use phalanx_telemetry::chain;
use tokio::{task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    cgroup::Group,
    life::{Event, ProbeKind},
    output::{LastLines, OutputStream, Sink, pump},
    ports::{NoFreePort, PortLease},
    probe::{LastAnswers, Probing, Target},
    process::Process,
    program::{self, ProgramError},
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
        /// The limit of memory that it was killed for, in bytes.
        exceeded: Option<u64>,
        /// Kept until the next start, which therefore gets another port: what was meant for this process, such as a request
        /// on a connection that is still opening, must not reach its successor.
        _port: PortLease,
    },
}

impl fmt::Display for Previous {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::NotStarted(error) => chain(error).fmt(formatter),
            Self::Ended { exit, exceeded: None, .. } => exit.fmt(formatter),
            Self::Ended { exit, exceeded: Some(limit), .. } => {
                write!(formatter, "{exit}, out of memory at its limit of {limit} bytes")
            }
        }
    }
}

/// A replica that has a process.
pub(crate) struct Run {
    process: Process,
    group: Option<Group>,
    lease: PortLease,
    output: JoinSet<()>,
    probing: Probing,
}

impl Run {
    /// Starts the process; what it prints goes to the sink of its replica and to the last lines of this run.
    pub(crate) fn start<B>(
        template: &Arc<Template>,
        identity: &Identity,
        surroundings: &Surroundings<B>,
        (sink, last_lines): (&Arc<Sink>, &LastLines),
    ) -> Result<Self, StartError> {
        let lease = surroundings.ports.lease()?;
        // Looked up at each start: what `PATH` leads to may have been replaced since.
        let replicas = &template.replicas;
        let mut command = program::command(&replicas.command, replicas, lease.port(), &identity.instance)?;
        let (process, streams) = Process::start(&mut command, &surroundings.groups)
            .map_err(|source| StartError::Start { program: command.get_program().into(), source })?;
        let group = limited(template, identity, surroundings, process.pid());

        let mut pumps = JoinSet::new();
        pumps.spawn(pump(streams.stdout, OutputStream::Stdout, Arc::clone(sink), last_lines.clone()));
        pumps.spawn(pump(streams.stderr, OutputStream::Stderr, Arc::clone(sink), last_lines.clone()));
        let probing = Probing::new(Target {
            template: Arc::clone(template),
            instance: Arc::clone(&identity.instance),
            address: lease.address(),
            groups: Arc::clone(&surroundings.groups),
            over: CancellationToken::new(),
        });
        Ok(Self { process, group, lease, output: pumps, probing })
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

    /// What the last probes found, where it was not what they wanted.
    pub(crate) fn last_answers(&self) -> &LastAnswers {
        self.probing.last_answers()
    }

    /// Begins to probe; [`Self::event`] brings the answer.
    pub(crate) fn begin_probe(&mut self, kind: ProbeKind) {
        self.probing.begin(kind);
    }

    /// Waits for the end of the process, or for the answer to a probe. Cancel-safe.
    pub(crate) async fn event(&mut self) -> Event {
        tokio::select! {
            // First, since nothing else matters once the process has ended.
            biased;
            () = self.process.exited() => Event::Exited,
            (kind, answer) = self.probing.answered() => Event::Probed(kind, answer),
        }
    }

    /// Ends what is left of a run whose leader has ended.
    pub(crate) async fn clean_up(mut self) -> Previous {
        let exit = self.process.clean_up();
        let exceeded = match self.group {
            Some(group) => group.end().await,
            None => None,
        };
        let rest = async { while self.output.join_next().await.is_some() {} };
        // On a timeout the readers are aborted as the set goes away.
        let (_, ()) = tokio::join!(timeout(OUTPUT_REST_TIMEOUT, rest), self.probing.end());
        Previous::Ended { exit, exceeded, _port: self.lease }
    }
}

/// Puts a process that was just started under the limits of its service. Without them it is worth more than not at all.
fn limited<B>(
    template: &Template,
    Identity { service, instance }: &Identity,
    surroundings: &Surroundings<B>,
    pid: u32,
) -> Option<Group> {
    let group = surroundings.limits.group(instance, &template.replicas.resources);
    let entered = group.and_then(|group| {
        group.as_ref().map_or(Ok(()), |group| group.enter(pid))?;
        Ok(group)
    });
    entered
        .inspect_err(|error| tracing::warn!(%service, %instance, %error, "replica runs without its limits"))
        .ok()
        .flatten()
}
