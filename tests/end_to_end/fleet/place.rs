//! A fleet of counting replicas (`tests/counter.rs`) under load, and the verdict on what has become of its requests.

use std::{collections::BTreeMap, fmt::Write as _, fs};

use phalanx_admin::state::{Endpoint, EndpointState};

use super::load::{Cause, Failure, Load, Request, Tally};
use crate::support::phalanx::{Phalanx, example, file, run};

/// Failures that are shown; the first of them are the cause of the others.
const SHOWN_MAX: usize = 20;

/// Probes that lose no time, and that see a replica stand still; on a busy machine they may see that of one that runs. One that
/// is killed again and again is not waited for.
const PROBES: &str = "
probes.startup = { path = '/ready', period = '20ms', timeout = '30s', failure = 1000 }
probes.readiness = { path = '/ready', period = '100ms', timeout = '2s', failure = 2 }
back_off = { first = '100ms', longest = '1s' }
";

/// A Phalanx with one service of counting replicas, and clients that load it.
pub(crate) struct Place {
    pub(crate) phalanx: Phalanx,
    pub(crate) load: Load,
}

impl Place {
    /// So many replicas, with these keys of the service besides.
    pub(crate) fn with(replicas: u32, keys: &str) -> Self {
        let program = example("counter");
        let service = format!(
            "command = ['{}']\nreplicas = {replicas}\nenv = {{ COUNTED = './counted', PACE = '2' }}\n{PROBES}{keys}",
            program.display()
        );
        let phalanx = Phalanx::up(&file(&service));
        let load = Load::start(phalanx.gateway);
        Self { phalanx, load }
    }

    /// The replicas that get requests.
    pub(crate) fn serving(&self) -> Vec<Endpoint> {
        self.phalanx.endpoints().into_iter().filter(|of| of.state == EndpointState::Serving).collect()
    }

    /// Gives an order on the command line, and waits until it is carried out.
    pub(crate) fn orders(&self, arguments: &[&str]) {
        let admin = self.phalanx.admin.to_string();
        run(&self.phalanx.home, &[arguments, &["--admin", &admin]].concat()).with_code(0);
    }

    /// Ends the load, then Phalanx; what has become of the requests, and how often each number was counted.
    pub(crate) fn closes(self) -> Verdict {
        let tally = self.load.ends();
        let mut counted = BTreeMap::new();
        for line in fs::read_to_string(self.phalanx.home.path().join("counted")).unwrap().lines() {
            *counted.entry(line.parse().unwrap()).or_default() += 1;
        }
        let verdict = Verdict { tally, counted };
        println!("{verdict}");
        self.phalanx.stop_after_errors();
        verdict
    }
}

/// What has become of all requests.
pub(crate) struct Verdict {
    tally: Tally,
    /// How often each number stands in the file.
    counted: BTreeMap<u64, u32>,
}

impl Verdict {
    /// Fails unless every request was answered, and every `POST` was done once.
    pub(crate) fn is_spotless(&self) -> usize {
        assert!(self.tally.failures.is_empty(), "{self}");
        self.is_honest()
    }

    /// Fails unless every `GET` was answered, every `POST` that was acknowledged was done once, and of the others, which were
    /// all answered by an error that admits that it is not known, none more than once. How many requests there were.
    pub(crate) fn is_honest(&self) -> usize {
        let is_admitted = |failure: &&Failure| match (&failure.request, &failure.cause) {
            (Request::Post(_), Cause::Answered(answer)) => matches!(answer.status, 502 | 504),
            _ => false,
        };
        let inexcusable: Vec<_> =
            self.tally.failures.iter().filter(|failure| !is_admitted(failure)).collect();
        assert!(inexcusable.is_empty(), "{self}");
        let lost: Vec<_> =
            self.tally.acknowledged.iter().filter(|number| !self.counted.contains_key(number)).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        let repeated: Vec<_> = self.counted.iter().filter(|(_, times)| **times > 1).collect();
        assert!(repeated.is_empty(), "done more than once: {repeated:?}");
        let posts = self.tally.failures.iter().filter(|failure| failure.request != Request::Get).count();
        assert!(self.counted.len() <= self.tally.acknowledged.len() + posts, "counted and never sent");
        self.tally.requests()
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Tally { answered_gets, acknowledged, failures } = &self.tally;
        let (gets, posts) = (answered_gets, acknowledged.len());
        let mut text = format!("{gets} GETs and {posts} POSTs answered, {} failed", failures.len());
        for failure in failures.iter().take(SHOWN_MAX) {
            write!(text, "\n  {failure}")?;
        }
        formatter.write_str(&text)
    }
}
