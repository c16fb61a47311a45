//! A gateway in front of endpoints that it does not run.

use std::{net::SocketAddr, path::PathBuf, process::Command, sync::Arc};

use rustix::process::Signal;

use super::{
    home::Home,
    http,
    phalanx::{Phalanx, Program, command, file, puppet},
};

/// A puppet that no Phalanx runs.
pub(crate) struct Endpoint {
    pub(crate) program: Program,
    pub(crate) address: SocketAddr,
}

impl Endpoint {
    pub(crate) fn start(home: &Arc<Home>, name: &str) -> Self {
        Self::start_with(home, name, &[])
    }

    /// The same with these variables in its environment.
    pub(crate) fn start_with(home: &Arc<Home>, name: &str, variables: &[(&str, &str)]) -> Self {
        Self::of(home, puppet(), name, variables)
    }

    /// Another program, whose first line tells as a puppet's where it listens.
    pub(crate) fn of(home: &Arc<Home>, program: PathBuf, name: &str, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(program);
        command.current_dir(home.path()).env("PHALANX_INSTANCE", name).env("PORT", "0");
        command.envs(variables.iter().copied());
        let program = Program::start(home, command);
        let first_line = program.stdout.first_line();
        let address = first_line.strip_prefix("listening on ").unwrap().parse().unwrap();
        Self { program, address }
    }

    /// How often it has said this.
    pub(crate) fn told(&self, line: &str) -> usize {
        self.program.stdout.text().lines().filter(|told| *told == line).count()
    }

    /// Lets it go on with what it holds back.
    pub(crate) fn release(&self) {
        assert_eq!(http::get(self.address, "/release").status, 200);
    }

    /// Ends it with KILL; returns when the kernel has closed its connections.
    pub(crate) fn kill(self) {
        self.program.signal(Signal::KILL);
        self.program.ended();
    }
}

/// `phalanx gateway` with this service behind `/`.
pub(crate) fn gateway(home: &Arc<Home>, service: &str) -> Phalanx {
    gateway_of(home, &file(service))
}

/// `phalanx gateway` with this file.
pub(crate) fn gateway_of(home: &Arc<Home>, file: &str) -> Phalanx {
    home.write("edge.toml", file);
    Phalanx::start(home, command(home, &["gateway", "-c", "edge.toml"]))
}

/// Stops it. The endpoints run on: they are not Phalanx's.
pub(crate) fn stop(phalanx: Phalanx) {
    phalanx.program.signal(Signal::TERM);
    let ended = phalanx.program.ended().with_code(0);
    assert!(!ended.stderr.contains(" ERROR "), "{}", ended.stderr);
}
