//! `phalanx.toml`: the file as written becomes a checked configuration, or a list of every fault in it.
//!
//! Invariant: a [`Config`] in memory is usable as it is; nobody checks it again. Pure: the caller reads the file and the
//! environment.
//! The way of a file: text → tree (`syntax`) → tree of known keys and types, texts expanded (`fit`) → raw structs
//! (`raw`) → [`Config`] (`check`). Each step reports what it drops and goes on with the rest, so one look at the report
//! is enough; it also sees to it that nothing is reported that merely follows from another fault (`report`).
//! Elsewhere: what the values mean (`phalanx-gateway`, `phalanx-fleet`).
//! Fails with [`Faults`], which miette paints.

use std::{sync::Arc, time::Duration};

use serde::de::DeserializeOwned;
use toml::de::ValueDeserializer;

mod check;
mod expand;
mod fault;
mod fit;
mod located;
mod model;
mod raw;
mod report;
mod schema;
mod source;
mod suggest;
mod syntax;
mod text;

pub use fault::{Fault, Faults};
pub use model::*;
pub use report::FAULTS_LISTED_MAX;
pub use schema::schema;
pub use suggest::nearest;

use crate::{
    check::autoscale::Requested, expand::Environment, fit::Fit, located::At, report::Report, schema::Key,
    source::SourceFile,
};

/// Bytes of a configuration file; far above any that a person can oversee.
pub const FILE_BYTES_MAX: usize = 1 << 20;

/// The topology that runs where there is no file, as a file.
pub const BUILTIN: &str = include_str!("builtin.toml");

/// Reads a duration as the file writes them: `5s`, `100ms`, `1h30m`; at most 30 days.
///
/// # Errors
/// With what is wrong and how to write it.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    text::duration::parse(text).map_err(|refusal| format!("{}: {}", refusal.problem, refusal.help))
}

/// Reads `source`, the text of the file `name`, which has the keys of `[service.NAME.autoscale]` and no others. What its replicas
/// request is not asked for.
///
/// # Errors
/// With every fault of the file.
pub fn parse_autoscale(
    name: &str,
    source: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Autoscale, Faults> {
    let text = without_mark(source);
    let mut report = Report::new(Arc::new(SourceFile::new(name, text)));
    let autoscale = read(text, &schema::AUTOSCALE, environment, &mut report).and_then(|value| {
        let given = At { value, span: check::TOP };
        check::autoscale::autoscale(&given, Requested::ALL, &mut report)
    });
    report.finish(autoscale)
}

/// The mark that some editors put before a text would count as a character in every place on the first line.
fn without_mark(source: &str) -> &str {
    source.strip_prefix('\u{feff}').unwrap_or(source)
}

impl Config {
    /// Reads `source`, the text of the file `name`.
    ///
    /// # Errors
    /// With every fault of the file.
    pub fn parse(
        name: &str,
        source: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Faults> {
        let text = without_mark(source);
        let source = Arc::new(SourceFile::new(name, text));
        let mut report = Report::new(source.clone());
        let config = read(text, &schema::FILE, environment, &mut report)
            .and_then(|file| check::config(file, source, &mut report));
        report.finish(config)
    }

    /// The built-in topology, [`BUILTIN`], whose replicas run `program`.
    ///
    /// # Errors
    /// When `program` cannot be one, as with a NUL byte in it.
    pub fn builtin(program: &str) -> Result<Self, Faults> {
        Self::parse("builtin.toml", BUILTIN, &|name| (name == "PHALANX_PROGRAM").then(|| program.to_owned()))
    }

    /// A fault that shows only in use, in the form of those that [`Self::parse`] finds: a `command` that does not exist.
    #[must_use]
    pub fn fault_at(&self, span: Span, message: impl Into<String>, help: impl Into<String>) -> Faults {
        let mut report = Report::new(self.source.clone());
        report.fault(span, message, help);
        report.into_faults()
    }
}

/// The file as raw structs; what does not fit them is reported and left out.
fn read<T: DeserializeOwned>(
    text: &str,
    key: &Key,
    environment: Environment<'_>,
    report: &mut Report,
) -> Option<T> {
    if text.len() > FILE_BYTES_MAX {
        let message = format!("the file has more than {FILE_BYTES_MAX} bytes");
        report.fault(Span::default(), message, "is this the file that was meant?");
        return None;
    }
    let mut tree = syntax::parse(text, report);
    Fit::new(report, environment).file(&mut tree, key);
    match T::deserialize(ValueDeserializer::from(tree)) {
        Ok(file) => Some(file),
        Err(error) => {
            // Serde's own words are withheld: they show values, also those from the environment.
            let span = error.span().unwrap_or_default().into();
            report.fault(span, "this cannot be read", "compare it with the configuration reference");
            None
        }
    }
}
