//! What a user can do about a replica that does not run.

use std::{borrow::Cow, os::unix::process::ExitStatusExt, process::ExitStatus};

use crate::{
    life::ProbeKind,
    probe::{ProbeError, Unasked},
    run::{Previous, StartError},
};

/// The status a shell ends with when it cannot execute, or cannot find, a program.
const SHELL_CANNOT_EXECUTE: i32 = 126;
const SHELL_CANNOT_FIND: i32 = 127;
const SIGKILL: i32 = 9;
/// Status codes of gRPC.
const GRPC_NOT_FOUND: u16 = 5;
const GRPC_UNIMPLEMENTED: u16 = 12;

/// Why a start came to nothing, or a process to its end.
pub(super) fn previous_hint(previous: &Previous, last_lines: &[String]) -> Option<Cow<'static, str>> {
    match previous {
        Previous::None => None,
        Previous::NotStarted(StartError::Port(_)) => Some("other programs hold all of them: see `ss -ltn`".into()),
        Previous::NotStarted(StartError::Program(error)) => Some(error.hint().into()),
        Previous::NotStarted(StartError::Start { .. }) => {
            Some("does the interpreter in its first line exist? else look at free memory, `ulimit -u` and `ulimit -n`".into())
        }
        Previous::Ended { exit, .. } => Some(exit_hint(*exit, last_lines).into()),
    }
}

fn exit_hint(exit: ExitStatus, last_lines: &[String]) -> &'static str {
    let port_taken = |line: &String| {
        let line = line.to_ascii_lowercase();
        line.contains("eaddrinuse")
            || line.contains("address already in use")
            || line.contains("address in use")
    };
    if last_lines.iter().any(port_taken) {
        return "it wants a port that is taken: it has to listen on the port in the environment variable PORT";
    }
    match (exit.code(), exit.signal()) {
        (Some(0), _) => "it ended without a fault, but a replica has to keep running in the foreground",
        (Some(SHELL_CANNOT_EXECUTE | SHELL_CANNOT_FIND), _) => {
            "a script in the command could not start a program"
        }
        (_, Some(SIGKILL)) => "somebody killed it; if nobody did, the kernel for want of memory: see `dmesg`",
        (_, Some(_)) if exit.core_dumped() => "it crashed in native code; its core dump tells where",
        (_, Some(_)) => "if nobody sent it this signal, it crashed in native code",
        _ => "its last lines may say why; to see more, run the command by hand with PORT set",
    }
}

/// Why a probe may go unanswered.
pub(super) fn probe_hint(answer: &ProbeError, kind: ProbeKind) -> &'static str {
    match (answer, kind) {
        (ProbeError::Refused, ProbeKind::Startup | ProbeKind::Readiness) => {
            "it has to listen on 127.0.0.1 or 0.0.0.0, on the port in the environment variable PORT; if it does and \
             needs longer, raise probes.startup.failure"
        }
        (ProbeError::Refused, ProbeKind::Liveness) => "it listens no longer, or the probe asks another port",
        (ProbeError::Silent(_), ProbeKind::Startup | ProbeKind::Readiness) => {
            "it accepts the connection and does not answer: raise the probe's timeout, or find what it waits for"
        }
        (ProbeError::Silent(_), ProbeKind::Liveness) => {
            "if it is only slow, raise timeout or failure of the liveness probe: a restart makes nothing faster"
        }
        (ProbeError::Status(404), _) => {
            "the program does not know this path: set the probe's path to one that it does"
        }
        (ProbeError::Status(401 | 403), _) => {
            "the probe has no credentials: set its path to one that wants none"
        }
        (ProbeError::Status(_) | ProbeError::NotServing(_), _) => {
            "the program says so itself; its last lines may say why"
        }
        (ProbeError::NotHttp | ProbeError::Closed, _) => {
            "it does not speak HTTP/1 there; without a path, a probe is content with a connection"
        }
        (ProbeError::NotGrpc(_), _) => "it does not speak gRPC over HTTP/2 without TLS there",
        (ProbeError::GrpcStatus(GRPC_NOT_FOUND), _) => {
            "the program knows no health of this service: `grpc = \"\"` asks for that of the whole"
        }
        (ProbeError::GrpcStatus(GRPC_UNIMPLEMENTED), _) => {
            "the program has no health service: add grpc.health.v1.Health to it"
        }
        (ProbeError::GrpcStatus(_), _) => "the health service of the program has a fault of its own",
        (ProbeError::Exit { .. }, _) => {
            "the program of the probe says so; run it by hand with the environment of the replica"
        }
        (ProbeError::Unasked(Unasked::Program(_)), _) => {
            "the program of the probe has to be found in PATH, and to be executable"
        }
        (ProbeError::Unasked(Unasked::Io(_)), _) => "look at free memory, `ulimit -u` and `ulimit -n`",
        (ProbeError::Io(_), _) => "the fault lies in this machine rather than in the program",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How the kernel notes an exit code, and a core dump beside the signal.
    const CODE: i32 = 1 << 8;
    const CORE: i32 = 1 << 7;

    #[test]
    fn an_exit_is_explained_by_its_kind_and_by_the_last_words() {
        for (status, last_line, hint) in [
            (0, "", "a replica has to keep running"),
            (CODE, "", "run the command by hand"),
            (127 * CODE, "", "could not start a program"),
            (CODE, "Error: listen EADDRINUSE: address already in use :::3000", "environment variable PORT"),
            (CODE, "OSError: [Errno 98] Address already in use", "environment variable PORT"),
            (SIGKILL, "", "want of memory"),
            (11, "", "crashed in native code"),
            (11 | CORE, "", "its core dump tells where"),
        ] {
            let hinted =
                exit_hint(ExitStatus::from_raw(status), &["starting".to_owned(), last_line.to_owned()]);
            assert!(hinted.contains(hint), "{status:x} {last_line}: {hinted}");
        }
    }
}
