//! Keys of consistent hashing: `"path"`, `"header:X-Tenant"`, `"cookie:session"`.

use super::Refusal;
use crate::model::HashKey;

const NAME_BYTES_MAX: usize = 64;

const NOT_A_KEY: Refusal = Refusal {
    problem: "is nothing that a request can be known by",
    help: r#"write "path", "header:NAME" or "cookie:NAME""#,
};
const NOT_A_NAME: Refusal = Refusal {
    problem: "names no header or cookie",
    help: "a name has 1 to 64 letters, digits and `-`, `_`, `.`",
};

/// Reads what of a request is the key.
pub(crate) fn parse(text: &str) -> Result<HashKey, Refusal> {
    let (kind, name) = match text.split_once(':') {
        None if text == "path" => return Ok(HashKey::Path),
        None => return Err(NOT_A_KEY),
        Some(parts) => parts,
    };
    let is_name = (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    match kind {
        "header" | "cookie" if !is_name => Err(NOT_A_NAME),
        "header" => Ok(HashKey::Header(name.to_owned())),
        "cookie" => Ok(HashKey::Cookie(name.to_owned())),
        _ => Err(NOT_A_KEY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_path_or_something_with_a_name() {
        for (text, expected) in [
            ("path", Ok(HashKey::Path)),
            ("header:X-Tenant", Ok(HashKey::Header("X-Tenant".to_owned()))),
            ("cookie:session", Ok(HashKey::Cookie("session".to_owned()))),
            ("Path", Err(NOT_A_KEY)),
            ("query:x", Err(NOT_A_KEY)),
            ("", Err(NOT_A_KEY)),
            ("header:", Err(NOT_A_NAME)),
            ("cookie:a b", Err(NOT_A_NAME)),
        ] {
            assert_eq!(parse(text), expected, "{text:?}");
        }
    }
}
