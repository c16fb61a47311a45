//! The arguments of the verbs that operate a running Phalanx: scale, rollout, drain.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::ADMIN_DEFAULT;

/// An answer may be waited for no longer; the admin API refuses more.
const TIMEOUT_MAX: Duration = Duration::from_hours(1);

/// The help of `phalanx scale`.
pub(crate) const SCALE: &str = "\
It returns when as many replicas are available, and those that are too many were told to stop. The number stays until the next
`scale`, or until Phalanx is started again. An autoscaler goes on deciding from there.

Exit codes: 0 done · 1 it was refused, or did not come out in time, with the reason · 5 no Phalanx answers

Examples:
  phalanx scale shop 8
  phalanx scale shop 0 --timeout 1m      none runs; requests are answered 503
  phalanx scale shop 8 --no-wait --json";

/// The help of `phalanx rollout`.
pub(crate) const ROLLOUT: &str = "\
A rollout replaces replicas a few at a time, within `rollout` of the service: a new one must be ready before an old one leaves
the balance, ends its requests and stops. A version that does not become ready never takes the place of one that is.

Exit codes: 0 done · 1 it was refused, stalled or did not come out in time, with the reason · 5 no Phalanx answers

Examples:
  phalanx rollout restart shop
  phalanx rollout status shop            waits until it is complete or stalled
  phalanx rollout undo shop --to-revision 3";

/// The help of `phalanx drain`.
pub(crate) const DRAIN: &str = "\
The endpoint gets no more requests; those it has go on, and it returns when there are none. It is an address, or the name of a
replica, as `phalanx status` shows them. A replica goes on running, and is out until --undo or its end.

Exit codes: 0 done · 1 it was refused, or has requests at the timeout · 5 no Phalanx answers

Examples:
  phalanx drain 10.0.1.10:3000
  phalanx drain shop-2 --undo";

/// The help of `phalanx reload`.
pub(crate) const RELOAD: &str = "\
What a service says of its replicas is changed while it serves, by a rollout: command, replicas, env, env_file, probes, rollout,
resources, limits, autoscale. A file that is missing, faulty, or changes anything else changes nothing, and says why. So does HUP,
whose outcome is in the log.

Exit codes: 0 done, or nothing to do · 1 it was refused, or did not come out in time, with the reason · 5 no Phalanx answers";

#[derive(Debug, Args)]
pub(crate) struct ScaleArguments {
    /// The service
    pub(crate) service: String,
    /// How many replicas it is to have
    pub(crate) replicas: u32,
    #[command(flatten)]
    pub(crate) order: OrderArguments,
}

#[derive(Debug, Args)]
pub(crate) struct RolloutArguments {
    #[command(subcommand)]
    pub(crate) operation: RolloutOperation,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RolloutOperation {
    /// Replace every replica by a new one, a few at a time
    Restart(ServiceArguments),
    /// Show how far the change of the replicas is, and wait for its end
    Status(ServiceArguments),
    /// Go back to the revision before, or to another one
    Undo {
        #[command(flatten)]
        service: ServiceArguments,
        /// The revision to go back to, as `rollout status` lists them; default: the one before
        #[arg(long, value_name = "N")]
        to_revision: Option<u64>,
    },
    /// Hold the change of the replicas where it is
    Pause(ServiceArguments),
    /// Go on with what is held
    Resume(ServiceArguments),
}

#[derive(Debug, Args)]
pub(crate) struct ServiceArguments {
    /// The service
    pub(crate) service: String,
    #[command(flatten)]
    pub(crate) order: OrderArguments,
}

#[derive(Debug, Args)]
pub(crate) struct DrainArguments {
    /// The endpoint: its address, or the name of a replica
    pub(crate) endpoint: String,
    /// Let it have requests again
    #[arg(long)]
    pub(crate) undo: bool,
    #[command(flatten)]
    pub(crate) order: OrderArguments,
}

#[derive(Debug, Args)]
pub(crate) struct OrderArguments {
    /// The admin API of the running Phalanx
    #[arg(long, value_name = "URL", default_value = ADMIN_DEFAULT)]
    pub(crate) admin: String,
    /// Print JSON: what became of it, and the service afterwards
    #[arg(long)]
    pub(crate) json: bool,
    /// How long to wait for the outcome, at most 1h
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = timeout)]
    pub(crate) timeout: Duration,
    /// Return as soon as the order is accepted
    #[arg(long, conflicts_with = "timeout")]
    pub(crate) no_wait: bool,
}

impl OrderArguments {
    /// How long to wait for the outcome; `None`: not at all.
    pub(crate) fn wait(&self) -> Option<Duration> {
        (!self.no_wait).then_some(self.timeout)
    }
}

fn timeout(text: &str) -> Result<Duration, String> {
    let timeout = phalanx_config::parse_duration(text)?;
    if timeout > TIMEOUT_MAX {
        return Err(
            "is longer than an hour: wait less, and ask again with `phalanx rollout status`".to_owned()
        );
    }
    Ok(timeout)
}
