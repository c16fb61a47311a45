//! From text to a tree with places, as far as the text is TOML.
//!
//! The parser goes on after an error with what was most likely meant; its messages become faults here.

use toml::{
    Spanned,
    de::{DeTable, DeValue, Error},
};

use crate::{model::Span, report::Report};

const TOML: &str = "the file is TOML: `key = value`, texts in quotes, tables as `[name]`";

/// Reads the text; what is no TOML is reported and left out.
pub(crate) fn parse<'i>(text: &'i str, report: &mut Report) -> Spanned<DeValue<'i>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        fault(&error, report);
    }
    Spanned::new(table.span(), DeValue::Table(table.into_inner()))
}

fn fault(error: &Error, report: &mut Report) {
    let span: Span = error.span().unwrap_or_default().into();
    let written = report.source().quote(span);
    match error.message() {
        message if message.starts_with("string values must be quoted") => match written.as_str() {
            "" => report.syntax(span, "a value is missing", TOML),
            text => report.syntax(span, format!("`{text}` needs quotes"), format!("write `\"{text}\"`")),
        },
        "duplicate key" => {
            report.syntax(span, format!("`{written}` is defined a second time"), "keep one of the two");
        }
        "invalid float, expected nothing" => {
            report.syntax(span, "this is neither a number nor a text in quotes", TOML);
        }
        message => report.syntax(span, message, TOML),
    }
}
