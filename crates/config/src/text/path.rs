//! Paths of requests: routes, probes and checks.
//!
//! A path is written in the one form that the gateway compares: absolute, without empty, `.` or `..` segments, and
//! percent-encoded only where it must be. Any other form would be a route that no request reaches.

use super::Refusal;

/// Longer than any path a person writes.
const PATH_BYTES_MAX: usize = 2048;

const NOT_ABSOLUTE: Refusal =
    Refusal { problem: "does not begin with `/`", help: r#"write it from the root, as "/api""# };
const TOO_LONG: Refusal = Refusal { problem: "is too long", help: "a path has at most 2048 bytes" };
const EMPTY_SEGMENT: Refusal = Refusal { problem: "contains `//`", help: "write a single `/`" };
const DOT_SEGMENT: Refusal =
    Refusal { problem: "contains a `.` or `..` segment", help: "write the path that is meant, without them" };
const QUERY: Refusal = Refusal { problem: "contains `?`", help: "write the path alone, without a query" };
const FRAGMENT: Refusal =
    Refusal { problem: "contains `#`", help: "write the path alone, without a fragment" };
const BAD_ENCODING: Refusal = Refusal {
    problem: "contains `%` without a character that needs it",
    help: "`%` is followed by two hex digits in upper case, as `%20`; write letters, digits, `-`, `.`, `_` and `~` as they are",
};
const BAD_CHARACTER: Refusal = Refusal {
    problem: "contains a character that cannot stand in a path",
    help: "write it percent-encoded, as `%20` for a space",
};

/// Reads a path.
pub(crate) fn parse(text: &str) -> Result<&str, Refusal> {
    let segments = text.strip_prefix('/').ok_or(NOT_ABSOLUTE)?;
    if text.len() > PATH_BYTES_MAX {
        return Err(TOO_LONG);
    }
    if text.contains("//") {
        return Err(EMPTY_SEGMENT);
    }
    if segments.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(DOT_SEGMENT);
    }
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'?' => return Err(QUERY),
            b'#' => return Err(FRAGMENT),
            b'%' if decoded(&text.as_bytes()[at..]).is_none_or(is_unreserved) => {
                return Err(BAD_ENCODING);
            }
            b'%' | b'/' | b':' | b'@' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b','
            | b';' | b'=' => {}
            byte if is_unreserved(byte) => {}
            _ => return Err(BAD_CHARACTER),
        }
    }
    Ok(text)
}

/// The byte that a leading `%XX` stands for; hex digits in upper case.
pub(crate) fn decoded(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = *text else { return None };
    Some(hex_digit(high)? << 4 | hex_digit(low)?)
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// RFC 3986, section 2.3: encoding these changes nothing, so they have one form only.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_in_their_one_form_are_taken() {
        for path in [
            "/",
            "/api",
            "/api/",
            "/a/b-c_d.e~f",
            "/@me:x",
            "/a%20b",
            "/%2F",
            "/.well-known/x",
            "/a..b",
            "/...",
        ] {
            assert_eq!(parse(path), Ok(path));
        }
    }

    #[test]
    fn other_forms_are_refused_with_their_reason() {
        let long = format!("/{}", "a".repeat(PATH_BYTES_MAX));
        for (path, refusal) in [
            ("", NOT_ABSOLUTE),
            ("api", NOT_ABSOLUTE),
            ("http://x/", NOT_ABSOLUTE),
            (&long, TOO_LONG),
            ("//", EMPTY_SEGMENT),
            ("/a//b", EMPTY_SEGMENT),
            ("/a/../b", DOT_SEGMENT),
            ("/..", DOT_SEGMENT),
            ("/./a", DOT_SEGMENT),
            ("/a?b", QUERY),
            ("/a#b", FRAGMENT),
            ("/a%", BAD_ENCODING),
            ("/a%2", BAD_ENCODING),
            ("/a%2f", BAD_ENCODING),
            ("/a%zz", BAD_ENCODING),
            ("/%41", BAD_ENCODING),
            ("/%2E%2E", BAD_ENCODING),
            ("/a b", BAD_CHARACTER),
            ("/a\\b", BAD_CHARACTER),
            ("/ä", BAD_CHARACTER),
            ("/a\nb", BAD_CHARACTER),
        ] {
            assert_eq!(parse(path), Err(refusal), "{path:?}");
        }
    }
}
