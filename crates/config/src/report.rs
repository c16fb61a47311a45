//! Gathers the faults of one file while it is read and checked.
//!
//! Invariant: a fault is reported where it is, and its consequences are not. What could not be read is dropped, so a
//! table that lost something is never said to lack it, and a line that is no TOML has this one fault.
//! Bounded: of a file with more faults only the first [`FAULTS_LISTED_MAX`] are held, the others are counted.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use crate::{
    fault::{Fault, Faults},
    model::Span,
    source::SourceFile,
    text::Refusal,
};

/// Faults that are listed; a file with more of them is not the file that was meant.
pub const FAULTS_LISTED_MAX: usize = 100;

/// The faults so far.
pub(crate) struct Report {
    source: Arc<SourceFile>,
    /// By place; the second number keeps two faults of one place apart.
    first: BTreeMap<(usize, usize), Fault>,
    found: usize,
    spoiled_lines: HashSet<usize>,
    /// Tables and lists that lost an item.
    with_losses: HashSet<Span>,
}

impl Report {
    pub(crate) fn new(source: Arc<SourceFile>) -> Self {
        Self {
            source,
            first: BTreeMap::new(),
            found: 0,
            spoiled_lines: HashSet::new(),
            with_losses: HashSet::new(),
        }
    }

    pub(crate) fn source(&self) -> &SourceFile {
        &self.source
    }

    /// A line that is no TOML: whatever else is found on it follows from that.
    pub(crate) fn syntax(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.fault(span, message, help);
        self.spoiled_lines.insert(self.source.line(self.source.clip(span).start));
    }

    pub(crate) fn fault(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.add(Fault { message: message.into(), help: help.into(), span, first: None });
    }

    /// A text that is not what its key takes.
    pub(crate) fn refused(&mut self, span: Span, refusal: &Refusal) {
        self.fault(span, format!("{} {}", self.source.quote(span), refusal.problem), refusal.help);
    }

    /// A text that may hold a secret, which is not shown: `name` stands for it.
    pub(crate) fn refused_unseen(&mut self, span: Span, name: &str, refusal: &Refusal) {
        self.fault(span, format!("{name} {}", refusal.problem), refusal.help);
    }

    /// The second of two that exclude each other.
    pub(crate) fn duplicate(
        &mut self,
        first: Span,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(Fault { message: message.into(), help: help.into(), span, first: Some(first) });
    }

    /// Something that `table` must have and has not.
    pub(crate) fn missing(&mut self, table: Span, message: impl Into<String>, help: impl Into<String>) {
        if !self.has_losses(table) {
            self.fault(table, message, help);
        }
    }

    /// Notes that something of `table` was dropped with a fault.
    pub(crate) fn lose_item(&mut self, table: Span) {
        self.with_losses.insert(table);
    }

    /// Whether `table` may have held more than was read; after a syntax fault that is true of every table.
    pub(crate) fn has_losses(&self, table: Span) -> bool {
        !self.spoiled_lines.is_empty() || self.with_losses.contains(&table)
    }

    /// How many faults were found so far.
    pub(crate) fn found(&self) -> usize {
        self.found
    }

    /// The value, if no fault was found on the way to it.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, Faults> {
        match value {
            Some(value) if self.found == 0 => Ok(value),
            _ => Err(self.into_faults()),
        }
    }

    pub(crate) fn into_faults(self) -> Faults {
        assert!(self.found > 0, "a value was refused without a fault");
        Faults { source: self.source, listed: self.first.into_values().collect(), found: self.found }
    }

    fn add(&mut self, mut fault: Fault) {
        fault.span = self.source.clip(fault.span);
        fault.first = fault.first.map(|first| self.source.clip(first));
        if self.spoiled_lines.contains(&self.source.line(fault.span.start)) {
            return;
        }
        self.first.insert((fault.span.start, self.found), fault);
        self.found += 1;
        if self.first.len() > FAULTS_LISTED_MAX {
            self.first.pop_last();
        }
    }
}
