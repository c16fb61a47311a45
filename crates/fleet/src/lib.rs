//! Replica processes: start, probe, drain, restart, roll, scale; what they use and what they print.
//!
//! A [`Fleet`] runs the replicas of every service that has a `command`. Each replica is a process group that learns its port
//! (`PORT`) and its name (`PHALANX_INSTANCE`) from its environment, gets requests while its readiness probe succeeds, is
//! started again after a pause when it ends, and stops in strict order: leave the balancer, drain, TERM, KILL.
//!
//! Inside, planning and acting are apart, twice. Of one replica `life` decides, a state machine without time or I/O of its
//! own, and `replica` does what it says; everything one replica goes through happens in one task. Of a service
//! `phalanx_scale::rollout` decides which replicas there should be, and `service` starts and stops them, in the loop of
//! `manager`. Whoever wants something of a fleet asks by a [`FleetHandle`].
//! Elsewhere: the balancer, which is asked through [`Balancer`] (`phalanx-gateway`); how many replicas a load needs
//! (`phalanx_scale`); the terminal (`phalanx`).

mod autoscaler;
mod balancer;
mod cgroup;
mod crew;
mod dependencies;
mod events;
mod fleet;
mod handle;
mod life;
mod lost;
mod manager;
mod notice;
mod orders;
mod output;
mod places;
mod ports;
mod probe;
mod process;
mod program;
mod replica;
mod run;
mod service;
mod state;
mod template;
mod usage;

pub use self::{
    autoscaler::{Autoscaler, AutoscalerHandle, EndpointLoad, Load, ServiceLoad},
    balancer::{Balancer, Withdrawal},
    events::{EventKind, EventStream, FleetEvent, Missed},
    fleet::{Fleet, Outcome, Settings},
    handle::{FleetEnded, FleetHandle},
    orders::{Accepted, OrderError, OrderOutcome},
    output::{Colours, LostLines, OutputLine, OutputRecord, OutputStream, output_queue, write_lines},
    program::{ProgramError, find_program},
    state::{
        AutoscaleState, LimitsState, MetricState, ProcessState, ReplicaState, RevisionState, RolledBack,
        RolloutState, RolloutStatus, ServiceState, Standing,
    },
    usage::{Measured, Sampler, Usage},
};
