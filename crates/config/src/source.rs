//! The text of a configuration file, as messages show it.
//!
//! Invariant: what is shown of a file is bounded, however long its lines are, and holds no control characters, so a
//! hostile file cannot flood or steer the terminal of whoever checks it.
//! Cannot fail: spans beyond the text are brought back into it.

use std::{fmt, iter, ops::Range};

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

use crate::model::Span;

/// Bytes of the file that one message shows; beyond it, as in a minified file, only the surroundings of the label.
const SNIPPET_BYTES_MAX: usize = 2048;
/// Bytes shown before and after a label when its lines are too long.
const SURROUNDINGS_BYTES: usize = 60;
/// Bytes that one label underlines.
const LABEL_BYTES_MAX: usize = 120;
/// Bytes of the file that stand inside a message.
const QUOTE_BYTES_MAX: usize = 60;

/// A named text and where its lines begin.
#[derive(PartialEq)]
pub(crate) struct SourceFile {
    name: String,
    /// Byte for byte as long as the text that was read, so every span fits both.
    text: String,
    line_starts: Vec<usize>,
    /// Where the white space at the end begins.
    content_end: usize,
}

impl fmt::Debug for SourceFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SourceFile").field("name", &self.name).finish_non_exhaustive()
    }
}

impl SourceFile {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        let line_starts =
            iter::once(0).chain(text.match_indices('\n').map(|(offset, _)| offset + 1)).collect();
        let content_end = text.trim_end().len();
        Self { name: name.to_owned(), text: without_controls(text), line_starts, content_end }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The text at a span as it stands in the file, shortened: a value that came from the environment is not in it.
    pub(crate) fn quote(&self, span: Span) -> String {
        let span = self.clip(span);
        clipped(&self.text[span.start..span.end])
    }

    /// Where `needle` stands within a span; the span itself when it does not, as behind escapes.
    pub(crate) fn find_within(&self, span: Span, needle: &str) -> Span {
        let found = self.text.get(span.start..span.end).and_then(|written| written.find(needle));
        found.map_or(span, |offset| Span::from(span.start + offset..span.start + offset + needle.len()))
    }

    /// The part of a span that is underlined: on its first line, of bounded length, at the borders of characters.
    pub(crate) fn clip(&self, span: Span) -> Span {
        // What is missing at the end of the file is shown behind its last word, not on the empty line after it.
        let start = self.text.floor_char_boundary(span.start.min(self.content_end));
        let end_max = self.line_range(self.line(start)).end.min(start + LABEL_BYTES_MAX).max(start);
        Span { start, end: self.text.floor_char_boundary(span.end.clamp(start, end_max)) }
    }

    /// The line of a byte, from 0.
    pub(crate) fn line(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset) - 1
    }

    /// The bytes of a line, without its end.
    fn line_range(&self, line: usize) -> Range<usize> {
        let start = self.line_starts[line];
        let end = self.line_starts.get(line + 1).copied().unwrap_or(self.text.len());
        start..start + self.text[start..end].trim_end_matches(['\r', '\n']).len()
    }

    /// The bytes that show a span and the lines around it.
    fn window(&self, span: Range<usize>, lines_before: usize, lines_after: usize) -> Range<usize> {
        let (first, last) = (self.line(span.start), self.line(span.end));
        let from =
            if lines_before == 0 { span.start } else { self.line_starts[first.saturating_sub(lines_before)] };
        let to = if lines_after == 0 {
            span.end
        } else {
            self.line_range((last + lines_after).min(self.line_starts.len() - 1)).end.max(span.end)
        };
        if to - from <= SNIPPET_BYTES_MAX {
            return from..to;
        }
        let from = self.text.floor_char_boundary(span.start.saturating_sub(SURROUNDINGS_BYTES));
        let to = self.text.ceil_char_boundary(span.end + SURROUNDINGS_BYTES);
        from.max(self.line_starts[first])..to.min(self.line_range(last).end).max(span.end)
    }
}

impl SourceCode for SourceFile {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        context_lines_before: usize,
        context_lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let span = span.offset()..span.offset().saturating_add(span.len());
        // Two labels far apart are asked for as one span: refusing it shows each by itself.
        if span.end > self.text.len() || span.len() > SNIPPET_BYTES_MAX {
            return Err(MietteError::OutOfBounds);
        }
        let window = self.window(span, context_lines_before, context_lines_after);
        let line = self.line(window.start);
        let column = self.text[self.line_starts[line]..window.start].chars().count();
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            self.text[window.clone()].as_bytes(),
            (window.start, window.len()).into(),
            line,
            column,
            self.line(window.end) - line + 1,
        )))
    }
}

/// A text of the file, short enough to stand inside a message.
pub(crate) fn clipped(text: &str) -> String {
    if text.len() <= QUOTE_BYTES_MAX {
        return without_controls(text);
    }
    format!("{}…", without_controls(&text[..text.floor_char_boundary(QUOTE_BYTES_MAX)]))
}

/// The same number of bytes, but no escape sequences.
fn without_controls(text: &str) -> String {
    let is_hidden = |character: char| character.is_control() && !matches!(character, '\n' | '\r' | '\t');
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_hidden(character) {
            shown.extend(iter::repeat_n('?', character.len_utf8()));
        } else {
            shown.push(character);
        }
    }
    shown
}
