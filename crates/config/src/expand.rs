//! References to the environment in texts: `${VAR}`, `${VAR:-default}`, `${VAR:?message}`, and `$$` for a dollar sign.
//!
//! Works on values of the parsed file, so what a variable holds is always text and never structure. As in a shell, `:-`
//! and `:?` take an empty variable for one that is not set. Any other `$` stands for itself.

use std::borrow::Cow;

use crate::source::clipped;

/// The environment, as a function of a variable's name.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Why a text could not be expanded. `written` is how the reference begins in the file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExpandError {
    #[error("the environment variable `{name}` is not set")]
    Unset { name: String, written: String },
    #[error("the environment variable `{name}` is not set: {message}")]
    Required { name: String, message: String, written: String },
    #[error("`${{` has no closing `}}`")]
    Unclosed { written: String },
    #[error("`{name}` cannot be the name of an environment variable")]
    BadName { name: String, written: String },
    #[error("the default of `{name}` refers to another variable")]
    Nested { name: String, written: String },
}

impl ExpandError {
    pub(crate) fn help(&self) -> String {
        match self {
            Self::Unset { name, .. } => format!("set it, or give a default: `${{{name}:-value}}`"),
            Self::Required { name, .. } => format!("set `{name}` in the environment of Phalanx"),
            Self::Unclosed { .. } => "write `${NAME}`, or `$${` for the characters themselves".to_owned(),
            Self::BadName { .. } => {
                "a name is made of letters, digits and `_`; write `$${` for the characters themselves"
                    .to_owned()
            }
            Self::Nested { .. } => "a default is plain text".to_owned(),
        }
    }

    /// Finds the reference in the text as it stands in the file.
    pub(crate) fn written(&self) -> &str {
        match self {
            Self::Unset { written, .. }
            | Self::Required { written, .. }
            | Self::Unclosed { written }
            | Self::BadName { written, .. }
            | Self::Nested { written, .. } => written,
        }
    }
}

/// The text with every reference replaced.
pub(crate) fn expand<'a>(text: &'a str, environment: Environment<'_>) -> Result<Cow<'a, str>, ExpandError> {
    if !text.contains('$') {
        return Ok(Cow::Borrowed(text));
    }
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        rest = if let Some(after) = after.strip_prefix('$') {
            expanded.push('$');
            after
        } else if let Some(inside) = after.strip_prefix('{') {
            let (reference, after) = inside
                .split_once('}')
                .ok_or_else(|| ExpandError::Unclosed { written: format!("${{{}", clipped(inside)) })?;
            expanded.push_str(&resolve(reference, environment)?);
            after
        } else {
            expanded.push('$');
            after
        };
    }
    expanded.push_str(rest);
    Ok(Cow::Owned(expanded))
}

/// What stands for the inside of `${…}`.
fn resolve(reference: &str, environment: Environment<'_>) -> Result<String, ExpandError> {
    let (name, otherwise) = match reference.split_once(':') {
        Some((name, otherwise)) => (name, Some(otherwise)),
        None => (reference, None),
    };
    let written = format!("${{{name}");
    if !is_variable_name(name) {
        return Err(ExpandError::BadName { name: clipped(name), written });
    }
    let value = environment(name);
    let name = clipped(name);
    let Some(otherwise) = otherwise else {
        return value.ok_or(ExpandError::Unset { name, written });
    };
    let value = value.filter(|value| !value.is_empty());
    if let Some(default) = otherwise.strip_prefix('-') {
        if default.contains("${") {
            return Err(ExpandError::Nested { name, written });
        }
        Ok(value.unwrap_or_else(|| default.to_owned()))
    } else if let Some(message) = otherwise.strip_prefix('?') {
        value.ok_or_else(|| ExpandError::Required { name, message: clipped(message), written })
    } else {
        Err(ExpandError::BadName { name: clipped(reference), written })
    }
}

fn is_variable_name(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn environment(name: &str) -> Option<String> {
        match name {
            "USER" => Some("ada".to_owned()),
            "EMPTY" => Some(String::new()),
            "TRICKY" => Some("${USER} $$ \"\n[admin]".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn references_are_replaced_once() {
        for (text, expanded) in [
            ("plain", "plain"),
            ("${USER}", "ada"),
            ("<${USER}|${USER}>", "<ada|ada>"),
            ("${NONE:-eve}", "eve"),
            ("${NONE:-}", ""),
            ("${NONE:-a:b}", "a:b"),
            ("${EMPTY}", ""),
            ("${EMPTY:-eve}", "eve"),
            ("${USER:?who}", "ada"),
            ("${TRICKY}", "${USER} $$ \"\n[admin]"),
            ("$${USER}", "${USER}"),
            ("$$$$", "$$"),
            ("$HOME costs 5$", "$HOME costs 5$"),
        ] {
            assert_eq!(expand(text, &environment).as_deref(), Ok(expanded), "{text}");
        }
    }

    #[test]
    fn failures_name_the_variable() {
        check("${NONE}", &expect!["the environment variable `NONE` is not set"]);
        check("${NONE:?ask ops}", &expect!["the environment variable `NONE` is not set: ask ops"]);
        check("${EMPTY:?}", &expect!["the environment variable `EMPTY` is not set: "]);
        check("${USER", &expect!["`${` has no closing `}`"]);
        check("${}", &expect!["`` cannot be the name of an environment variable"]);
        check("${A-B}", &expect!["`A-B` cannot be the name of an environment variable"]);
        check("${1A}", &expect!["`1A` cannot be the name of an environment variable"]);
        check("${USER:+x}", &expect!["`USER:+x` cannot be the name of an environment variable"]);
        check("${NONE:-${USER}}", &expect!["the default of `NONE` refers to another variable"]);
    }

    fn check(text: &str, message: &Expect) {
        message.assert_eq(&expand(text, &environment).unwrap_err().to_string());
    }
}
