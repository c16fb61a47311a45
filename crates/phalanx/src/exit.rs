//! How the program ends when it does not end well.

use std::process::ExitCode;

use phalanx_config::Faults;

use crate::signals::StopSignal;

/// Why a verb failed; each has its exit code.
#[derive(Debug)]
pub(crate) enum Failure {
    /// 1: something went wrong while it ran.
    Runtime(anyhow::Error),
    /// 2: what was asked for does not exist.
    Usage(anyhow::Error),
    /// 3: the file has faults, shown with their places.
    Configuration(Box<Faults>),
    /// 3: a setting outside of the file is wrong, or the file cannot be read.
    Setting(anyhow::Error),
    /// 4: an address cannot be listened on.
    Bind(anyhow::Error),
    /// 5: what it needs does not answer.
    Unreachable(anyhow::Error),
    /// 130 or 143: a second signal stopped it at once.
    Signal(StopSignal),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Runtime(_) => 1,
            Self::Usage(_) => 2,
            Self::Configuration(_) | Self::Setting(_) => 3,
            Self::Bind(_) => 4,
            Self::Unreachable(_) => 5,
            Self::Signal(signal) => signal.exit_code(),
        })
    }
}

impl From<Box<Faults>> for Failure {
    fn from(faults: Box<Faults>) -> Self {
        Self::Configuration(faults)
    }
}
