//! Fits the parsed file to the shape that the raw structs have: unknown keys, wrong types, numbers out of range, unknown
//! choices, and references to the environment.
//!
//! Serde would stop at the first of these. Here each is reported and dropped from the tree, in one pass, so that what
//! remains is certain to deserialize and everything else about the file can still be checked.
//! Invariant: messages speak of kinds and of the text as it stands in the file, never of an expanded value.

use std::{borrow::Cow, fmt, mem};

use toml::{
    Spanned,
    de::{DeArray, DeString, DeValue},
};

use crate::{
    expand::{Environment, expand},
    model::Span,
    report::Report,
    schema::{Key, Shape, TextKind},
    source::clipped,
    suggest,
};

/// Of so few choices none is guessed: who writes "http2" does not mean "http1".
const CHOICES_LISTED_MAX: usize = 3;
/// Bytes that all expanded texts may have together: a small file that repeats a large variable stays small in memory.
const EXPANDED_BYTES_MAX: usize = 4 << 20;

type Entry<'i> = Spanned<DeValue<'i>>;

/// One pass over a file.
pub(crate) struct Fit<'a> {
    report: &'a mut Report,
    environment: Environment<'a>,
    expanded_bytes_left: usize,
}

/// Whether an item stays in the tree.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Keep,
    Drop,
}

impl<'a> Fit<'a> {
    pub(crate) fn new(report: &'a mut Report, environment: Environment<'a>) -> Self {
        Self { report, environment, expanded_bytes_left: EXPANDED_BYTES_MAX }
    }

    /// Drops from `file` what does not fit.
    pub(crate) fn file(mut self, file: &mut Entry<'_>, key: &Key) {
        self.item("", file, key);
    }

    /// `path` is where the item stands, as in `service.api`; empty for the file.
    fn item(&mut self, path: &str, item: &mut Entry<'_>, key: &Key) -> Verdict {
        let span = Span::from(item.span());
        match (&key.shape, item.get_mut()) {
            (Shape::Table(keys), DeValue::Table(table)) => {
                let kept = mem::take(table).into_iter().filter_map(|(name, mut entry)| {
                    let verdict = match keys.get(&**name.get_ref()) {
                        Some(key) => self.item(&join(path, name.get_ref()), &mut entry, key),
                        None => self.unknown_key(path, &name, keys.keys()),
                    };
                    self.keep(span, verdict, (name, entry))
                });
                *table = kept.collect();
                Verdict::Keep
            }
            (Shape::Map(inside), DeValue::Table(table)) => {
                let kept = mem::take(table).into_iter().filter_map(|(name, mut entry)| {
                    let verdict = self.item(&join(path, name.get_ref()), &mut entry, inside);
                    self.keep(span, verdict, (name, entry))
                });
                *table = kept.collect();
                Verdict::Keep
            }
            (Shape::List(inside), DeValue::Array(list)) => {
                let items = mem::replace(list, DeArray::new());
                let kept = items.into_iter().filter_map(|mut item| {
                    let verdict = self.item(path, &mut item, inside);
                    self.keep(span, verdict, item)
                });
                *list = kept.collect();
                Verdict::Keep
            }
            (Shape::Text(_) | Shape::IntegerOrText(_), DeValue::String(text)) => self.text(span, text),
            (Shape::Text(TextKind::Cores), value) if let Some(spelling) = decimal(value) => {
                *value = DeValue::String(spelling.into());
                Verdict::Keep
            }
            (Shape::Choice(choices), DeValue::String(text)) => match self.text(span, text) {
                Verdict::Keep if choices.iter().any(|choice| choice == text) => Verdict::Keep,
                Verdict::Keep => self.no_choice(path, span, text, choices),
                Verdict::Drop => Verdict::Drop,
            },
            (Shape::Integer(range) | Shape::IntegerOrText(range), DeValue::Integer(number)) => {
                let value = i64::from_str_radix(number.as_str(), number.radix());
                if value.is_ok_and(|value| range.contains(&value)) {
                    return Verdict::Keep;
                }
                self.out_of_range(path, span, format_args!("from {} to {}", range.start(), range.end()))
            }
            (Shape::Number(range), DeValue::Integer(_) | DeValue::Float(_)) => {
                if number(item.get_ref()).is_some_and(|number| range.contains(number)) {
                    return Verdict::Keep;
                }
                self.out_of_range(path, span, format_args!("{range}"))
            }
            (Shape::Boolean, DeValue::Boolean(_)) => Verdict::Keep,
            (_, found) => self.wrong_kind(path, span, found, key),
        }
    }

    fn keep<T>(&mut self, within: Span, verdict: Verdict, item: T) -> Option<T> {
        if verdict == Verdict::Drop {
            self.report.lose_item(within);
            return None;
        }
        Some(item)
    }

    fn text(&mut self, span: Span, text: &mut DeString<'_>) -> Verdict {
        let expanded = match expand(text, self.environment) {
            Ok(Cow::Borrowed(_)) => return Verdict::Keep,
            Ok(Cow::Owned(expanded)) => expanded,
            Err(error) => {
                let place = self.report.source().find_within(span, error.written());
                self.report.fault(place, error.to_string(), error.help());
                return Verdict::Drop;
            }
        };
        let Some(left) = self.expanded_bytes_left.checked_sub(expanded.len()) else {
            let message =
                format!("texts from the environment are longer than {EXPANDED_BYTES_MAX} bytes together");
            self.report.fault(span, message, "shorten the variable, or refer to it less often");
            return Verdict::Drop;
        };
        self.expanded_bytes_left = left;
        *text = Cow::Owned(expanded);
        Verdict::Keep
    }

    fn unknown_key<'k>(
        &mut self,
        path: &str,
        name: &Spanned<DeString<'_>>,
        known: impl Iterator<Item = &'k String> + Clone,
    ) -> Verdict {
        let known = known.map(String::as_str);
        let message = match path {
            "" => format!("unknown key `{}`", clipped(name.get_ref())),
            path => format!("unknown key `{}` in `{}`", clipped(name.get_ref()), clipped(path)),
        };
        let help = match suggest::nearest(name.get_ref(), known.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("keys that can stand here: {}", suggest::list(known)),
        };
        self.report.fault(name.span().into(), message, help);
        Verdict::Drop
    }

    fn no_choice(&mut self, path: &str, span: Span, text: &str, choices: &[String]) -> Verdict {
        let written = self.report.source().quote(span);
        let quoted: Vec<String> = choices.iter().map(|choice| format!("\"{choice}\"")).collect();
        let near = suggest::nearest(text, choices.iter().map(String::as_str))
            .filter(|_| choices.len() > CHOICES_LISTED_MAX);
        let help = match near {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("write one of {}", quoted.join(", ")),
        };
        self.report.fault(span, format!("{written} is no choice for `{}`", last(path)), help);
        Verdict::Drop
    }

    fn out_of_range(&mut self, path: &str, span: Span, range: fmt::Arguments<'_>) -> Verdict {
        let written = self.report.source().quote(span);
        let message = format!("{written} is out of range for `{}`", last(path));
        self.report.fault(span, message, format!("write a number {range}"));
        Verdict::Drop
    }

    fn wrong_kind(&mut self, path: &str, span: Span, found: &DeValue<'_>, key: &Key) -> Verdict {
        let name = last(path);
        let expected = key.shape.expected();
        let message = format!("`{name}` takes {expected}, not {}", kind(found));
        let help = match (&key.shape, found, &key.example) {
            (Shape::Text(TextKind::Duration), DeValue::Integer(number), _) => {
                format!("add the unit: `{name} = \"{}s\"`", clipped(number.as_str()))
            }
            (Shape::Text(TextKind::Size), DeValue::Integer(number), _) => {
                format!("add the unit: `{name} = \"{}B\"`", clipped(number.as_str()))
            }
            (Shape::Text(TextKind::ByteRate), DeValue::Integer(number), _) => {
                format!("add the unit: `{name} = \"{}B/s\"`", clipped(number.as_str()))
            }
            (Shape::Integer(_) | Shape::Number(_), DeValue::String(text), _) if text.contains("${") => {
                "variables can stand in texts only: write the number itself".to_owned()
            }
            (Shape::Boolean, DeValue::String(text), _) if text.contains("${") => {
                "variables can stand in texts only: write `true` or `false` itself".to_owned()
            }
            (_, _, Some(example)) => format!("for example `{name} = {example}`"),
            (Shape::Table(_) | Shape::Map(_), _, None) => format!("write it as `[{path}]`"),
            (Shape::List(_), _, None) => format!("write it as `[[{path}]]`"),
            (Shape::Text(_), DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_), None) => {
                format!("put it in quotes: `{name} = \"{}\"`", self.report.source().quote(span))
            }
            _ => format!("write {expected}"),
        };
        self.report.fault(span, message, help);
        Verdict::Drop
    }
}

/// What a number of the file is to a key that takes decimal ones.
fn number(value: &DeValue<'_>) -> Option<f64> {
    match value {
        // No range goes beyond 32 bits, and each of these has its own decimal number.
        DeValue::Integer(number) => i32::from_str_radix(number.as_str(), number.radix()).ok().map(f64::from),
        DeValue::Float(number) => number.as_str().parse().ok(),
        _ => None,
    }
}

/// A number as it is written, unless it is in hexadecimal or the like.
fn decimal(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        _ => None,
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { clipped(name) } else { format!("{path}.{}", clipped(name)) }
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
