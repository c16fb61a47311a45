//! What people see. A closed pipe (`phalanx up | head`) ends the reading, never the program.

use std::io::{self, IsTerminal as _, Write};

use anyhow::Context as _;
use miette::MietteHandlerOpts;
use serde::Serialize;

use crate::exit::Failure;

/// Standard output, for those who write to a `Write`; what cannot be written is dropped.
pub(crate) struct Out;

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = io::stdout().write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = io::stdout().flush();
        Ok(())
    }
}

/// Writes a text and a line end to standard output.
pub(crate) fn say(text: &str) {
    let _ = writeln!(Out, "{text}");
    let _ = Out.flush();
}

/// Writes a value as JSON to standard output.
pub(crate) fn say_json(value: &impl Serialize) -> Result<(), Failure> {
    let json = serde_json::to_string_pretty(value).context("write JSON").map_err(Failure::Runtime)?;
    say(&json);
    Ok(())
}

/// Writes a line of progress to standard error.
pub(crate) fn progress(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Tells on standard error why a verb failed.
pub(crate) fn complain(failure: &Failure) {
    let mut stderr = io::stderr();
    let _ = match failure {
        Failure::Configuration(faults) => {
            // Hints hold commands and paths to be copied, which a line break would spoil; a terminal wraps by itself. Whether
            // there is one, and what NO_COLOR says, the painter looks at. The hook is set once in a process: here.
            let painter = || MietteHandlerOpts::new().wrap_lines(false).build();
            let _ = miette::set_hook(Box::new(move |_| Box::new(painter())));
            writeln!(stderr, "{:?}", miette::Report::new((**faults).clone()))
        }
        Failure::Runtime(error)
        | Failure::Usage(error)
        | Failure::Setting(error)
        | Failure::Bind(error)
        | Failure::Unreachable(error) => {
            writeln!(stderr, "phalanx: {error:#}")
        }
        Failure::Signal(_) => Ok(()),
    };
}

/// Whether standard output takes colours.
pub(crate) fn takes_colours() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Columns of the terminal; without one, as many as a table wants.
pub(crate) fn columns() -> usize {
    terminal_size::terminal_size().map_or(usize::MAX, |(width, _)| usize::from(width.0))
}
