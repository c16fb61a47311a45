//! What is wrong with a configuration file, as a person sees it.
//!
//! Invariant: every fault has a place and a hint, and none shows a value that came from the environment.
//! Elsewhere: how faults are gathered (`report`); how they are painted (`miette`, in the binary).

use std::{error, fmt, sync::Arc};

use miette::{Diagnostic, LabeledSpan, SourceCode};

use crate::{model::Span, report::FAULTS_LISTED_MAX, source::SourceFile};

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    pub(crate) message: String,
    pub(crate) help: String,
    pub(crate) span: Span,
    /// What the fault collides with, when it is one of two.
    pub(crate) first: Option<Span>,
}

impl Fault {
    /// What is wrong.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> &str {
        &self.help
    }

    /// Where it stands.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span
    }
}

impl Diagnostic for Fault {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.help))
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let at = |span: Span| (span.start, span.end - span.start);
        let first =
            self.first.map(|first| LabeledSpan::new_with_span(Some("first here".to_owned()), at(first)));
        Some(Box::new([LabeledSpan::new_primary_with_span(None, at(self.span))].into_iter().chain(first)))
    }
}

/// All faults of a file, in its order; as a [`Diagnostic`], one report that shows each with its line and a hint.
#[derive(Clone, Debug)]
pub struct Faults {
    pub(crate) source: Arc<SourceFile>,
    pub(crate) listed: Vec<Fault>,
    pub(crate) found: usize,
}

impl Faults {
    /// How many were found; of a hopeless file more than are listed.
    #[must_use]
    #[expect(
        clippy::len_without_is_empty,
        reason = "there is no empty `Faults`: a file without faults is a `Config`"
    )]
    pub fn len(&self) -> usize {
        self.found
    }

    /// These, and others of the same file.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.found += others.found;
        self.listed.extend(others.listed);
        self.listed.sort_by_key(|fault| fault.span.start);
        self.listed.truncate(FAULTS_LISTED_MAX);
        self
    }

    /// The listed faults, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.listed.iter()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.source.name();
        match self.found {
            1 => write!(formatter, "{name} has a fault"),
            found if found > self.listed.len() => {
                write!(
                    formatter,
                    "{name} has {found} faults, of which the first {} follow",
                    self.listed.len()
                )
            }
            found => write!(formatter, "{name} has {found} faults"),
        }
    }
}

impl error::Error for Faults {}

impl Diagnostic for Faults {
    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&*self.source)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.listed.iter().map(|fault| fault as &dyn Diagnostic)))
    }
}
