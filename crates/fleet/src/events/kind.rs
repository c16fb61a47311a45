//! What can happen.

/// What has happened; of a replica, or of a whole service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// A replica comes.
    Started,
    /// Its program could not be started.
    StartFailed,
    /// It is not ready after a while.
    StillStarting,
    /// It did not become ready in time, and is started again.
    StartupFailed,
    /// It takes requests.
    Ready,
    /// It takes no requests until its probe succeeds again.
    NotReady,
    /// Its liveness probe fails: it is ended, and started again.
    Hangs,
    /// Its process has ended by itself.
    Exited,
    /// Its process ends again and again before it is ready.
    CrashLoop,
    /// The fleet has lost it to a fault of its own, and starts it again.
    Lost,
    /// It is told to stop.
    Stopping,
    /// It had requests in flight when its time to drain was over.
    DrainCut,
    /// It did not end within its grace.
    Killed,
    /// It has stopped.
    Stopped,
    /// Another number of replicas was ordered.
    Scaled,
    /// The autoscaler wants another number of replicas.
    Autoscaled,
    /// A service waits for others to be complete.
    Waiting,
    /// A revision is rolled out.
    RolloutBegun,
    /// What was ordered is there.
    RolloutComplete,
    /// Nothing has come further for too long.
    RolloutStalled,
    /// An earlier revision is rolled out again because one has stalled.
    RolledBack,
    /// Nothing is replaced until an order to resume.
    Paused,
    /// Replicas are replaced again.
    Resumed,
}

impl EventKind {
    /// The kind as programs read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::StartFailed => "start-failed",
            Self::StillStarting => "still-starting",
            Self::StartupFailed => "startup-failed",
            Self::Ready => "ready",
            Self::NotReady => "not-ready",
            Self::Hangs => "hangs",
            Self::Exited => "exited",
            Self::CrashLoop => "crash-loop",
            Self::Lost => "lost",
            Self::Stopping => "stopping",
            Self::DrainCut => "drain-cut",
            Self::Killed => "killed",
            Self::Stopped => "stopped",
            Self::Scaled => "scaled",
            Self::Autoscaled => "autoscaled",
            Self::Waiting => "waiting",
            Self::RolloutBegun => "rollout-begun",
            Self::RolloutComplete => "rollout-complete",
            Self::RolloutStalled => "rollout-stalled",
            Self::RolledBack => "rolled-back",
            Self::Paused => "paused",
            Self::Resumed => "resumed",
        }
    }
}
