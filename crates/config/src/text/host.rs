//! Hosts of routes: `"api.example.com"`, `"*.example.com"`.

use super::Refusal;
use crate::model::HostPattern;

/// RFC 1035, section 2.3.4.
const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

const EVERY_HOST: Refusal =
    Refusal { problem: "is not needed", help: "leave `host` out: then the route is for every host" };
const URL: Refusal = Refusal { problem: "is a URL", help: r#"write the name alone, as "api.example.com""# };
const WITH_PORT: Refusal = Refusal {
    problem: "contains `:`",
    help: r#"write the name alone, as "api.example.com": hosts are compared without their port"#,
};
const MISPLACED_STAR: Refusal = Refusal {
    problem: "has `*` in the wrong place",
    help: r#"`*` can only be the whole first label, as "*.example.com""#,
};
const NOT_ASCII: Refusal = Refusal {
    problem: "is not ASCII",
    help: r#"write the name as requests carry it, as "xn--bcher-kva.example""#,
};
const NOT_A_NAME: Refusal = Refusal {
    problem: "is not a host name",
    help: "labels of at most 63 letters, digits, `-` and `_` are separated by dots, and none begins or ends with `-`",
};

/// Reads a host or a pattern of hosts.
pub(crate) fn parse(text: &str) -> Result<HostPattern, Refusal> {
    if text == "*" {
        return Err(EVERY_HOST);
    }
    if text.contains("://") {
        return Err(URL);
    }
    if text.contains(':') {
        return Err(WITH_PORT);
    }
    if !text.is_ascii() {
        return Err(NOT_ASCII);
    }
    let (name, is_suffix) = match text.strip_prefix("*.") {
        Some(name) => (name, true),
        None => (text, false),
    };
    if name.contains('*') {
        return Err(MISPLACED_STAR);
    }
    if text.len() > NAME_BYTES_MAX || !name.split('.').all(is_label) {
        return Err(NOT_A_NAME);
    }
    let name = name.to_ascii_lowercase();
    Ok(if is_suffix { HostPattern::Suffix(format!(".{name}")) } else { HostPattern::Exact(name) })
}

fn is_label(label: &str) -> bool {
    (1..=LABEL_BYTES_MAX).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_held_in_lower_case() {
        for (text, pattern) in [
            ("API.example.com", HostPattern::Exact("api.example.com".to_owned())),
            ("localhost", HostPattern::Exact("localhost".to_owned())),
            ("127.0.0.1", HostPattern::Exact("127.0.0.1".to_owned())),
            ("*.Example.com", HostPattern::Suffix(".example.com".to_owned())),
        ] {
            assert_eq!(parse(text), Ok(pattern), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused_with_their_reason() {
        let long_label = "a".repeat(64);
        let long_name = "abc.".repeat(64) + "com";
        for (text, refusal) in [
            ("*", EVERY_HOST),
            ("https://example.com", URL),
            ("example.com:80", WITH_PORT),
            ("[::1]", WITH_PORT),
            ("a.*.com", MISPLACED_STAR),
            ("*a.com", MISPLACED_STAR),
            ("*.*.com", MISPLACED_STAR),
            ("bücher.example", NOT_ASCII),
            ("", NOT_A_NAME),
            ("*.", NOT_A_NAME),
            ("example.com.", NOT_A_NAME),
            ("a..b", NOT_A_NAME),
            ("-a.com", NOT_A_NAME),
            ("a b", NOT_A_NAME),
            ("example.com/api", NOT_A_NAME),
            (&long_label, NOT_A_NAME),
            (&long_name, NOT_A_NAME),
        ] {
            assert_eq!(parse(text), Err(refusal), "{text}");
        }
    }
}
