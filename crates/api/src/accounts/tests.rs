use super::*;

#[test]
fn ids_are_read_only_in_the_form_that_is_written() {
    for text in ["1", "42", "9223372036854775807"] {
        assert_eq!(AccountId::parse(text).unwrap().to_string(), text);
    }
    for text in [
        "",
        "0",
        "-1",
        "+1",
        "01",
        "1e3",
        "0x1",
        "1.0",
        " 1",
        "1 ",
        "9223372036854775808",
        "18446744073709551616",
        "१",
        "{0190a1b2-0000-7000-8000-000000000000}",
    ] {
        assert_eq!(AccountId::parse(text), None, "{text:?}");
    }
}

#[test]
fn spellings_of_one_mailbox_are_one_email() {
    for text in ["ada@example.com", "  Ada@Example.COM\n", "ADA@EXAMPLE.COM"] {
        assert_eq!(Email::parse(text.to_owned()).unwrap().as_str(), "ada@example.com");
    }
    for text in ["o'brien+x@example.co.uk", "a@b", "ünal@münchen.example", "';--@example.com"] {
        assert_eq!(Email::parse(text.to_owned()).unwrap().as_str(), text);
    }
}

#[test]
fn what_cannot_be_an_address_is_refused() {
    let long_local = format!("{}@example.com", "x".repeat(EMAIL_LOCAL_BYTES_MAX + 1));
    let long = format!("x@{}com", "label.".repeat(50));
    for text in [
        "",
        "@",
        "ada",
        "ada@",
        "@example.com",
        "a b@example.com",
        "a\0b@example.com",
        "ada@example..com",
        "ada@.com",
        "ada@exam ple.com",
        "ada@b@c",
        "ada@example.com>",
        "ada@example.com\r\nBcc: x@y",
        &long_local,
        &long,
    ] {
        assert_eq!(Email::parse(text.to_owned()), Err(EmailError), "{text:?}");
    }
}

#[test]
fn names_are_one_trimmed_line() {
    let longest = "é".repeat(NAME_CHARS_MAX);
    for (text, name) in [
        ("  Ada ", "Ada"),
        ("Robert'); DROP TABLE accounts;--", "Robert'); DROP TABLE accounts;--"),
        (&longest, &longest),
    ] {
        assert_eq!(Name::parse(text.to_owned()).unwrap().as_str(), name);
    }
    for text in ["", "   ", "a\0b", "a\nb", &"x".repeat(NAME_CHARS_MAX + 1)] {
        assert_eq!(Name::parse(text.to_owned()), Err(NameError), "{text:?}");
    }
}
