//! Lives the life of one replica: brings it its events, and does what it says. Decides nothing.
//!
//! Everything happens in the one task of [`Replica::live`], so the order of actions is the order of the code. Nothing here
//! fails: whatever goes wrong is an event.

use std::{
    future::{self, Future},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use phalanx_config::ServiceName;
use phalanx_telemetry::clock;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    balancer::{Balancer, Withdrawal},
    cgroup::Limits,
    events::{self, EventLog},
    life::{Action, Event, Life, Tell},
    notice::{self, Facts},
    output::{LastLines, Outputs, Sink},
    places::Places,
    ports::Ports,
    process::Groups,
    run::{Previous, Run},
    state::{Board, ReplicaState, Standing},
    template::Template,
    usage::Meter,
};

/// How long the workers of the balancer may take to note a change. They take microseconds; one that hangs must not keep a
/// replica from being restarted.
const BALANCER_TIMEOUT: Duration = Duration::from_secs(5);

/// Which replica.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) service: ServiceName,
    pub(crate) instance: Arc<str>,
}

impl Identity {
    pub(crate) fn new(service: ServiceName, ordinal: u32) -> Self {
        let instance = instance(&service, ordinal);
        Self { service, instance }
    }
}

/// The name of a replica.
pub(crate) fn instance(service: &ServiceName, ordinal: u32) -> Arc<str> {
    format!("{service}-{ordinal}").into()
}

/// The place that a replica takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seat {
    /// From 1; no other living replica of the service has it.
    pub(crate) ordinal: u32,
    /// What it runs.
    pub(crate) revision: u64,
    /// Starts in this place before it, if it takes over from a replica that was lost.
    pub(crate) restarts: u32,
}

/// What all replicas of a fleet share.
pub(crate) struct Surroundings<B> {
    pub(crate) balancer: Arc<B>,
    pub(crate) board: Board,
    pub(crate) limits: Limits,
    pub(crate) events: Arc<EventLog>,
    pub(crate) groups: Arc<Groups>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) outputs: Arc<Outputs>,
    pub(crate) places: Places,
    pub(crate) ports: Arc<Ports>,
}

/// The requests to end that a replica listens to.
#[derive(Clone, Debug)]
pub(crate) struct Stops {
    /// Drain, then end.
    pub(crate) stop: CancellationToken,
    /// End.
    pub(crate) stop_now: CancellationToken,
}

/// How a replica ended for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// On TERM, without a request in flight, or with no process at all.
    Orderly,
    /// With requests in flight, or by KILL.
    Forced,
}

/// One replica, from its first start to its last end.
pub(crate) struct Replica<B> {
    identity: Identity,
    template: Arc<Template>,
    surroundings: Arc<Surroundings<B>>,
    stops: Stops,
    life: Life,
    place: Option<OwnedSemaphorePermit>,
    run: Option<Run>,
    sink: Arc<Sink>,
    /// Of the process, or of the last one where there is none.
    last_lines: LastLines,
    previous: Previous,
    state: ReplicaState,
    ending: Ending,
}

impl<B: Balancer> Replica<B> {
    pub(crate) fn new(
        service: ServiceName,
        seat: Seat,
        template: Arc<Template>,
        surroundings: Arc<Surroundings<B>>,
        stops: Stops,
    ) -> Self {
        let Seat { ordinal, revision, restarts } = seat;
        let identity = Identity::new(service, ordinal);
        let sink = surroundings.outputs.sink(&identity.instance);
        let life = Life::new(Arc::clone(&template.rules), ordinal);
        let state = ReplicaState {
            instance: Arc::clone(&identity.instance),
            ordinal,
            revision,
            standing: life.standing(),
            since: clock::now(),
            process: None,
            restarts,
            last_exit: None,
            last_output: Arc::default(),
        };
        Self {
            identity,
            template,
            surroundings,
            stops,
            life,
            place: None,
            run: None,
            sink,
            last_lines: LastLines::default(),
            previous: Previous::None,
            state,
            ending: Ending::Orderly,
        }
    }

    /// Returns when the replica has stopped, which it does on request only.
    pub(crate) async fn live(mut self) -> Ending {
        // Also while it waits for a place: whoever looks is to see all that there are.
        self.put_up();
        while !self.life.is_over() {
            let mut event = Some(self.next_event().await);
            while let Some(happened) = event.take() {
                let actions = self.life.on(happened, clock::now());
                self.show_loss();
                for action in actions {
                    event = self.perform(action).await.or(event);
                }
                if !self.life.holds_place() {
                    self.place = None;
                }
                self.show();
            }
        }
        self.ending
    }

    async fn next_event(&mut self) -> Event {
        let address = self.run.as_ref().map(Run::address);
        let due_at = self.life.due_at();
        let Surroundings { balancer, places, .. } = &*self.surroundings;
        tokio::select! {
            biased;
            () = self.stops.stop_now.cancelled(), if self.life.heeds_stop_now() => Event::StopNow,
            event = run_event(&mut self.run) => event,
            () = self.stops.stop.cancelled(), if self.life.heeds_stop() => Event::Stop,
            place = places.take(self.life.record()), if self.life.wants_place() => {
                self.place = Some(place);
                Event::Placed
            }
            () = drained(&**balancer, &self.identity.service, address), if self.life.is_draining() => Event::Drained,
            () = at(due_at) => Event::Due,
        }
    }

    /// Does it, and returns what came of it where that is an event.
    async fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Start => return Some(self.start()),
            Action::Probe(kind) => self.running().begin_probe(kind),
            Action::Admit => self.admit().await,
            Action::Withdraw => self.withdraw().await,
            Action::Terminate => self.running().process().terminate(),
            Action::Kill => {
                self.running().process().kill();
                self.note_forced();
            }
            Action::CleanUp => self.clean_up().await,
            Action::Tell(tell) => {
                self.tell(tell);
                if let Tell::DrainCut { .. } = tell {
                    self.note_forced();
                }
            }
        }
        None
    }

    fn running(&mut self) -> &mut Run {
        self.run.as_mut().expect("a life asks this of a running process only")
    }

    fn start(&mut self) -> Event {
        if !matches!(self.previous, Previous::None) {
            self.state.restarts += 1;
        }
        self.last_lines = LastLines::default();
        match Run::start(&self.template, &self.identity, &self.surroundings, (&self.sink, &self.last_lines)) {
            Ok(run) => {
                self.run = Some(run);
                // The port of the process before is free again: this one has another.
                self.previous = Previous::None;
                Event::Started
            }
            Err(error) => {
                self.ended(Previous::NotStarted(error));
                Event::StartFailed
            }
        }
    }

    async fn admit(&mut self) {
        let address = self.running().address();
        let admitted =
            self.surroundings.balancer.admit(&self.identity.service, &self.identity.instance, address);
        acknowledged(admitted, "admit", &self.identity, &self.stops).await;
    }

    async fn withdraw(&mut self) {
        let address = self.running().address();
        let withdrawn = self.surroundings.balancer.withdraw(
            &self.identity.service,
            address,
            withdrawal(self.life.standing()),
        );
        acknowledged(withdrawn, "withdraw", &self.identity, &self.stops).await;
    }

    async fn clean_up(&mut self) {
        let run = self.run.take().expect("a life cleans up after a process only");
        self.ended(run.clean_up().await);
    }

    fn ended(&mut self, previous: Previous) {
        self.state.last_exit = Some(previous.to_string().into());
        self.state.last_output = self.last_lines.snapshot().into();
        self.previous = previous;
    }

    fn tell(&self, tell: Tell) {
        let facts = Facts {
            identity: &self.identity,
            rules: &self.template.rules,
            standing: self.life.standing(),
            process: self.run.as_ref().map(Run::state),
            last_answers: self.run.as_ref().map(Run::last_answers),
            last_lines: &self.last_lines.snapshot(),
            previous: &self.previous,
        };
        notice::tell(tell, &facts);
        let (kind, reason) = events::told(tell, &facts);
        self.surroundings.events.record(&self.identity.service, Some(&self.identity.instance), kind, reason);
    }

    /// An end by force counts only where it is the end of the replica, not of one of its runs.
    fn note_forced(&mut self) {
        if !self.life.heeds_stop() {
            self.ending = Ending::Forced;
        }
    }

    /// Shows that it takes requests no more before anything is waited for: the balancer, or what a process has left. Whoever goes
    /// by the board, such as a rollout, would count on it for these seconds. One that drains was told to, and nobody counts on it.
    fn show_loss(&mut self) {
        if self.state.standing == Standing::Ready
            && !matches!(self.life.standing(), Standing::Ready | Standing::Draining)
        {
            self.state.standing = Standing::NotReady;
            self.state.since = clock::now();
            self.put_up();
        }
    }

    fn show(&mut self) {
        let standing = self.life.standing();
        let process = self.run.as_ref().map(Run::state);
        if standing != self.state.standing {
            self.state.since = clock::now();
        } else if process == self.state.process {
            return;
        }
        self.state.standing = standing;
        self.state.process = process;
        self.put_up();
    }

    fn put_up(&self) {
        self.surroundings.board.put(&self.identity.service, self.state.clone());
    }
}

/// Why a replica that stands so has been withdrawn.
fn withdrawal(standing: Standing) -> Withdrawal {
    match standing {
        // One that is told to end without having drained was found to hang.
        Standing::NotReady | Standing::Stopping => Withdrawal::Unready,
        Standing::Draining => Withdrawal::Stopping,
        Standing::Starting
        | Standing::Ready
        | Standing::BackingOff { .. }
        | Standing::CrashLoop { .. }
        | Standing::Stopped => Withdrawal::Ended,
    }
}

/// Waits until the balancer has made a change, unless there is no time left for it.
pub(crate) async fn acknowledged(
    made: impl Future<Output = ()>,
    change: &'static str,
    identity: &Identity,
    stops: &Stops,
) {
    tokio::select! {
        () = stops.stop_now.cancelled() => (),
        made = timeout(BALANCER_TIMEOUT, made) => {
            if made.is_err() {
                notice::unacknowledged(identity, change, BALANCER_TIMEOUT);
            }
        }
    }
}

async fn run_event(run: &mut Option<Run>) -> Event {
    match run {
        Some(run) => run.event().await,
        None => future::pending().await,
    }
}

async fn drained(balancer: &impl Balancer, service: &ServiceName, address: Option<SocketAddr>) {
    match address {
        Some(address) => balancer.drained(service, address).await,
        None => future::pending().await,
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time.into()).await,
        None => future::pending().await,
    }
}
