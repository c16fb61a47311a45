//! `phalanx up` and `phalanx gateway`: gateway, health, fleet and admin API in one process, started and stopped in order.
//!
//! Invariant: replicas are started by, and everything on the control side runs on, the main thread: the kernel kills a replica
//! with the thread that started it.

mod autoscaling;
mod balancer;
mod banner;
mod control;
mod holds;
mod live;
mod overview;
mod plan;
mod printing;
mod rates;
mod reload;
mod select;
mod shutdown;
mod verification;
mod view;

use std::{collections::BTreeSet, io, net::SocketAddr, num::NonZeroUsize, pin::pin, sync::Arc, thread};

use anyhow::Context as _;
use autoscaling::{GatewayLoad, this_machine};
use balancer::GatewayBalancer;
use control::Obedience;
use holds::Holds;
use overview::{About, Families, Overview};
use phalanx_config::{Config, Replicas, ServiceName, Source};
use phalanx_fleet::{Autoscaler, Fleet, FleetHandle, Outcome, OutputLine, Settings};
use phalanx_gateway::{Gateway, Listeners, Started, WorkerError};
use phalanx_telemetry::{requests::RequestFamily, upstream::UpstreamFamily};
use printing::Printing;
use reload::Reloader;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    net::TcpListener,
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

use crate::{
    cli::{GatewayArguments, UpArguments},
    config_file::{self, Origin},
    exit::Failure,
    runtime,
    signals::{Received, Signals},
};

/// What is to run, and how it is shown.
struct Wanted {
    config: Config,
    origin: Origin,
    /// Services with replicas that are not wanted.
    left_out: BTreeSet<ServiceName>,
    /// Without a live view, also on a terminal.
    is_plain: bool,
}

impl Wanted {
    /// The services with replicas that are to run.
    fn replicated(&self) -> impl Iterator<Item = (&ServiceName, &Replicas)> {
        replicated(&self.config).filter(|(name, _)| !self.left_out.contains(*name))
    }
}

/// Runs gateway, fleet and admin API.
pub(crate) fn up(arguments: &UpArguments) -> Result<(), Failure> {
    let (config, origin) = config_file::load(arguments.file.config.as_deref())?;
    let left_out = select::left_out(&config, &arguments.services)?;
    config_file::check_programs(&config, &left_out)?;
    let wanted = Wanted { config, origin, left_out, is_plain: arguments.plain };
    if arguments.dry_run { plan::run(&wanted) } else { run(&wanted) }
}

/// Runs gateway and admin API.
pub(crate) fn gateway(arguments: &GatewayArguments) -> Result<(), Failure> {
    let (config, origin) = config_file::load(Some(&arguments.config))?;
    config_file::refuse(replicated(&config).map(|(name, replicas)| {
        let message = format!("service `{name}` has a command, and `phalanx gateway` runs no replicas");
        let help = "run `phalanx up`, or give the service `endpoints`";
        config.fault_at(replicas.command_span, message, help)
    }))?;
    run(&Wanted { config, origin, left_out: BTreeSet::new(), is_plain: false })
}

fn replicated(config: &Config) -> impl Iterator<Item = (&ServiceName, &Replicas)> {
    config.services.iter().filter_map(|(name, service)| match &service.source {
        Source::Replicas(replicas) => Some((name, replicas)),
        Source::Endpoints { .. } | Source::Discovered { .. } => None,
    })
}

fn run(wanted: &Wanted) -> Result<(), Failure> {
    let printing = printing::start(wanted)?;
    raise_open_files_max();
    runtime::on_this_thread()?.block_on(async {
        let outcome = run_until_stopped(wanted, &printing).await;
        printing.finish().await;
        outcome
    })
}

/// Lets this process have as many connections as the system allows it: the usual soft limit of 1024 files is meant for
/// programs that use `select`.
fn raise_open_files_max() {
    let limits = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limits.maximum, maximum: limits.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "cannot raise the number of open files; connections are limited by it");
    }
}

/// Everything that runs, with what it takes to stop it.
struct Running {
    gateway: Gateway,
    overview: Arc<Overview>,
    fleet: FleetHandle,
    has_fleet: bool,
    reloader: Arc<Reloader>,
    /// Ends the replicas, and then the fleet's task.
    stop_fleet: CancellationToken,
    /// Ends health checks, discovery and admin API, which go on to the last.
    stop_rest: CancellationToken,
    tasks: JoinSet<Task>,
}

/// A task, as it ends.
enum Task {
    Workers(Result<(), WorkerError>),
    Fleet(Outcome),
    Other,
}

async fn run_until_stopped(wanted: &Wanted, printing: &Printing) -> Result<(), Failure> {
    let Wanted { config, origin, .. } = wanted;
    // Never directly: standard output may stand still, and with it everything that runs on this thread.
    let say = |text: String| drop(printing.lines.try_send(OutputLine::verbatim(text)));
    let mut signals = Signals::listen().context("listen to signals").map_err(Failure::Runtime)?;
    let mut running = start(wanted, printing).await?;
    say(banner::starting(wanted, &running.overview.addresses()));
    let fleet = running.fleet.clone();
    let mut ready = pin!(fleet.all_ready());
    let mut is_ready = false;
    loop {
        tokio::select! {
            outcome = &mut ready, if !is_ready => {
                is_ready = true;
                if outcome.is_ok() {
                    say(banner::ready(config, origin, &running.overview.addresses()));
                }
            }
            Some(ended) = running.tasks.join_next() => {
                let cause = unexpected(ended);
                running.fleet.stop_now();
                return Err(Failure::Runtime(cause));
            }
            received = signals.next() => match received {
                Received::Reload => match running.reloader.reload().await {
                    Ok(orders) => tracing::info!(services = orders.len(), "the file was read again"),
                    Err(refusal) => tracing::error!(%refusal, "the file was read again, and is not followed"),
                },
                Received::Stop(signal) => {
                    say(banner::stopping(signal));
                    return shutdown::in_order(running, &mut signals).await;
                }
            }
        }
    }
}

/// Why a task that should have run on has ended.
fn unexpected(ended: Result<Task, JoinError>) -> anyhow::Error {
    match ended {
        Ok(Task::Workers(Err(error))) => anyhow::Error::new(error),
        Ok(Task::Workers(Ok(())) | Task::Fleet(_) | Task::Other) => {
            anyhow::anyhow!("a part of phalanx ended untold")
        }
        Err(error) => anyhow::Error::new(error).context("a part of phalanx failed"),
    }
}

/// Binds every address, so that a taken one is told before anything has been started.
async fn bind(config: &Config) -> Result<(Listeners, TcpListener), Failure> {
    let listeners = Listeners::bind(&config.gateway.http, workers(config).get()).map_err(|error| {
        let key = "`[gateway] http` in phalanx.toml";
        Failure::Bind(bind_error(error.address, &error.source, key))
    })?;
    let admin = TcpListener::bind(config.admin.listen).await.map_err(|error| {
        let key = "`[admin] listen` in phalanx.toml";
        Failure::Bind(bind_error(config.admin.listen, &error, key))
    })?;
    Ok((listeners, admin))
}

/// The threads of the gateway; unless the file says otherwise, one for each core.
fn workers(config: &Config) -> NonZeroUsize {
    config.gateway.workers.or_else(|| thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN)
}

async fn start(wanted: &Wanted, printing: &Printing) -> Result<Running, Failure> {
    let Wanted { config, left_out, .. } = wanted;
    let (listeners, admin) = bind(config).await?;
    let admin_address = admin.local_addr().context("ask for the admin address").map_err(Failure::Runtime)?;

    let (requests, upstreams) = (RequestFamily::new(), UpstreamFamily::new());
    let (verification, verification_upkeep) = match &config.auth {
        Some(auth) => verification::open(auth).await.map(|(opened, upkeep)| (Some(opened), Some(upkeep)))?,
        None => (None, None),
    };
    let Started { gateway, workers, health, discovery, memory } =
        Gateway::start(config, verification.as_ref(), listeners, requests.clone(), upstreams.clone())
            .context("start the gateway")
            .map_err(Failure::Runtime)?;
    let holds = Arc::new(Holds::default());
    let balancer = Arc::new(GatewayBalancer::new(gateway.clone(), holds.clone()));
    let services: Vec<_> =
        wanted.replicated().map(|(name, replicas)| (name.clone(), replicas.clone())).collect();
    let has_fleet = !services.is_empty();
    let settings = Settings::new(config.gateway.drain_deadline);
    let replicas = Fleet::new(services, settings, balancer, printing.lines.clone());
    let fleet = replicas.handle();
    let families = Families {
        requests,
        upstreams,
        discovery: discovery.family(),
        verification,
        lost: printing.lost.clone(),
    };
    let about = About { admin: admin_address, holds: holds.clone(), left_out: left_out.clone() };
    let overview = Arc::new(Overview::new(gateway.clone(), fleet.clone(), about, families));

    let (stop_fleet, stop_rest) = (CancellationToken::new(), CancellationToken::new());
    let mut tasks = JoinSet::new();
    tasks.spawn(async { Task::Workers(workers.ended().await) });
    let mut policies = None;
    if has_fleet {
        let stop = stop_fleet.clone();
        tasks.spawn(async { Task::Fleet(replicas.run(stop).await) });
        let load = GatewayLoad::new(gateway.clone());
        let autoscaler = Autoscaler::new(wanted.replicated(), this_machine(), fleet.clone(), load);
        policies = Some(autoscaler.handle());
        spawn_other(&mut tasks, autoscaler.run(stop_rest.clone()));
        let (measured, stop) = (fleet.clone(), stop_rest.clone());
        spawn_other(&mut tasks, async move { measured.keep_measuring(stop).await });
    }
    spawn_other(&mut tasks, health.run(stop_rest.clone()));
    spawn_other(&mut tasks, discovery.run(stop_rest.clone()));
    spawn_other(&mut tasks, memory.run(stop_rest.clone()));
    if let Some(upkeep) = verification_upkeep {
        spawn_other(&mut tasks, upkeep.run(stop_rest.clone()));
    }
    let reloader = Arc::new(Reloader::new(wanted, fleet.clone(), policies));
    let obedience =
        Obedience::new(gateway.clone(), fleet.clone(), holds, reloader.clone(), overview.draining());
    let (source, obedience) = (overview.clone(), Arc::new(obedience));
    spawn_other(&mut tasks, phalanx_admin::serve(admin, source, obedience, stop_rest.clone()));
    let (watched, views, stop) = (overview.clone(), printing.views.clone(), stop_rest.clone());
    spawn_other(&mut tasks, async move { watched.watch(views, stop).await });
    Ok(Running { gateway, overview, fleet, has_fleet, reloader, stop_fleet, stop_rest, tasks })
}

/// A task that ends when it is told to, and has nothing to say then.
fn spawn_other(tasks: &mut JoinSet<Task>, run: impl Future<Output = ()> + Send + 'static) {
    tasks.spawn(async {
        run.await;
        Task::Other
    });
}

fn bind_error(address: SocketAddr, error: &io::Error, key: &str) -> anyhow::Error {
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "another program listens there (`ss -ltnp 'sport = :{}'` shows which): end it, or change {key}",
            address.port()
        ),
        io::ErrorKind::PermissionDenied => {
            format!("ports below 1024 need privileges (CAP_NET_BIND_SERVICE): grant them, or change {key}")
        }
        io::ErrorKind::AddrNotAvailable => format!("this machine does not have that address: change {key}"),
        _ => format!("change {key}"),
    };
    anyhow::anyhow!("cannot listen on {address}: {error}\n  {remedy}")
}
