//! What the replicas of a trial run.

use std::{fmt, path::Path};

use crate::harness::shell;

/// A version of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    Sound,
    /// Starts others, which start others.
    WithChildren,
    IgnoresTerm,
    NeverReady,
    ExitsAtOnce,
    /// When it has been ready for a while.
    ExitsLater,
}

impl Program {
    pub(super) const ALL: [Self; 6] = [
        Self::Sound,
        Self::WithChildren,
        Self::IgnoresTerm,
        Self::NeverReady,
        Self::ExitsAtOnce,
        Self::ExitsLater,
    ];
    /// Those with which a rollout completes, and stays complete.
    pub(super) const LASTING: [Self; 3] = [Self::Sound, Self::WithChildren, Self::IgnoresTerm];

    /// The keys of its service; everything it starts runs in this folder.
    pub(super) fn keys(self, home: &Path, on_stall: &str) -> String {
        let body = match self {
            Self::Sound => r#"exec "$0""#,
            Self::WithChildren => r#"sleep 1000 & sh -c 'sleep 1000 & sleep 1000' & exec "$0""#,
            Self::IgnoresTerm => r#"trap '' TERM; exec "$0""#,
            Self::NeverReady => r#"READY_FILE=/nonexistent exec "$0""#,
            Self::ExitsAtOnce => "sleep 1000 & exit 3",
            Self::ExitsLater => r#""$0" & sleep 0.3; exit 4"#,
        };
        let script = format!("cd '{}'; {body}", home.display());
        format!(
            "{}{LIVENESS}shutdown_grace = '200ms'\n\
             rollout = {{ max_surge = {MAX_SURGE}, max_unavailable = 0, deadline = '1s', on_stall = '{on_stall}' }}\n",
            shell(&script)
        )
    }
}

/// Finds those that stand still; on a busy machine it may find others, too.
const LIVENESS: &str =
    "probes.liveness = { path = '/ready', period = '100ms', timeout = '300ms', failure = 3 }\n";

/// How many replicas a rollout may have beyond those that there should be.
pub(super) const MAX_SURGE: u32 = 1;

impl fmt::Display for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self:?}")
    }
}
