//! Files of environment variables: `NAME=value` a line, with quotes, comments and `export`, as dotenv has them.
//!
//! Invariant: a fault tells the line and never what is on it, since that may be a secret.
//! Elsewhere: whose variables they are, and which of two wins (`crate::config_file`).

use std::{
    cell::Cell,
    fs::File,
    io::{self, Read},
    path::Path,
    rc::Rc,
};

use phalanx_config::FILE_BYTES_MAX;

/// Why there are no variables.
#[derive(Debug)]
pub(crate) enum VariablesError {
    Read(io::Error),
    TooLong,
    NotText,
    /// These are not `NAME=value`.
    Lines(Vec<usize>),
}

impl VariablesError {
    /// What is wrong with this file.
    pub(crate) fn message(&self, file: &Path) -> String {
        let file = file.display();
        match self {
            Self::Read(error) => format!("{file} cannot be read: {error}"),
            Self::TooLong => format!("{file} has more than {FILE_BYTES_MAX} bytes"),
            Self::NotText => format!("{file} is not UTF-8 text"),
            Self::Lines(numbers) => {
                let places: Vec<_> = numbers.iter().map(|number| format!("{file}:{number}")).collect();
                format!("{} is not `NAME=value`", places.join(", "))
            }
        }
    }

    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Read(error) if error.kind() == io::ErrorKind::NotFound)
    }

    /// What to do about it.
    pub(crate) fn help(&self) -> &'static str {
        match self {
            _ if self.is_missing() => "write it, or end its name with `?` here if it may be missing",
            Self::Read(_) => "let this user read it",
            Self::TooLong | Self::NotText => "is this the file that was meant?",
            Self::Lines(_) => {
                "quote a value with spaces: NAME=\"a b\"; in single quotes every character stands for itself"
            }
        }
    }
}

/// The variables of a file, in its order.
pub(crate) fn read(file: &Path) -> Result<Vec<(String, String)>, VariablesError> {
    let mut bytes = Vec::new();
    let read = File::open(file).and_then(|file| file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes));
    read.map_err(VariablesError::Read)?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(VariablesError::TooLong);
    }
    parse(&String::from_utf8(bytes).map_err(|_| VariablesError::NotText)?)
}

fn parse(text: &str) -> Result<Vec<(String, String)>, VariablesError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let handed_out = Rc::new(Cell::new(0));
    let reader = LineReader { rest: text.as_bytes(), is_within_line: false, handed_out: handed_out.clone() };
    let (mut variables, mut faulty) = (Vec::new(), Vec::new());
    let mut entries = dotenvy::from_read_iter(reader);
    loop {
        let first = first_with_content(text, handed_out.get());
        match entries.next() {
            None => break,
            // The system ends a value there, so the rest of it would be lost.
            Some(Ok((_, value))) if value.contains('\0') => faulty.push(first),
            Some(Ok(variable)) => variables.push(variable),
            Some(Err(_)) => faulty.push(first),
        }
    }
    if faulty.is_empty() { Ok(variables) } else { Err(VariablesError::Lines(faulty)) }
}

/// The number of the first line after `passed` that is neither empty nor a comment.
fn first_with_content(text: &str, passed: usize) -> usize {
    let has_content = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    passed + 1 + text.lines().skip(passed).position(has_content).unwrap_or(0)
}

/// Hands out no more than one line at a time, so that it is known how many a reader has taken.
struct LineReader<'a> {
    rest: &'a [u8],
    is_within_line: bool,
    handed_out: Rc<Cell<usize>>,
}

impl Read for LineReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let line = self.rest.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
        let (taken, rest) = self.rest.split_at(line.len().min(buffer.len()));
        buffer[..taken.len()].copy_from_slice(taken);
        self.rest = rest;
        if !taken.is_empty() && !self.is_within_line {
            self.handed_out.set(self.handed_out.get() + 1);
        }
        self.is_within_line = taken.last().is_some_and(|byte| *byte != b'\n');
        Ok(taken.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap_or_else(|error| panic!("{error:?}: {text:?}"))
    }

    fn message(error: &VariablesError) -> String {
        error.message(Path::new(".env"))
    }

    #[test]
    fn values_are_read_as_dotenv_has_them() {
        for (text, value) in [
            ("A=b", "b"),
            ("\u{feff}A=b", "b"),
            ("export A=b\r\n", "b"),
            ("A = b # a comment\n", "b"),
            ("A=\"b c\" # a comment", "b c"),
            ("A='b $C \\n'", "b $C \\n"),
            ("A=\"b\\nc\"", "b\nc"),
            ("A=\"b\nc\"", "b\nc"),
            ("A=", ""),
            ("A=postgres://u:p@h/d?x=1", "postgres://u:p@h/d?x=1"),
        ] {
            assert_eq!(parsed(text), [("A".to_owned(), value.to_owned())], "{text:?}");
        }
        assert_eq!(parsed("# nothing\n\n"), []);
        let both = parsed("HOST_NAME=db\nURL=\"http://${HOST_NAME}/\"\n");
        assert_eq!(both[1].1, "http://db/", "an earlier line can be referred to");
    }

    #[test]
    fn every_faulty_line_is_named_and_none_is_shown() {
        let text = "# a\nGOOD=1\n\nbad line\nALSO=fine\n=secret\nA=b c\nQUOTED='not closed\nB=1\n";
        let error = parse(text).unwrap_err();
        assert_eq!(message(&error), ".env:4, .env:6, .env:7, .env:8 is not `NAME=value`");
        assert!(!format!("{error:?}").contains("secret"));
        assert_eq!(message(&parse("A=b\0c").unwrap_err()), ".env:1 is not `NAME=value`");
    }

    #[test]
    fn a_line_longer_than_any_buffer_is_one_line() {
        let text = format!("A='{}'\nbad line\n", "x".repeat(100_000));
        assert_eq!(message(&parse(&text).unwrap_err()), ".env:2 is not `NAME=value`");
    }
}
