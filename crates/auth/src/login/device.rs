//! What a login was begun with, for its owner to recognise it by.

use std::{fmt::Write as _, net::IpAddr};

use phalanx_telemetry::escape;

/// More of a `User-Agent` tells nobody anything.
pub const LABEL_BYTES_MAX: usize = 256;

/// A device as it described itself: nothing here is proven.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    label: String,
    address: Option<IpAddr>,
}

impl Device {
    /// `user_agent` is the header as it came, or empty: it is cut to [`LABEL_BYTES_MAX`], and characters that would break a line or
    /// turn a text around are escaped. `address` is the client's.
    #[must_use]
    pub fn new(user_agent: &str, address: Option<IpAddr>) -> Self {
        Self { label: label(user_agent.trim()), address: address.map(|address| address.to_canonical()) }
    }

    /// As it was stored.
    pub(super) fn of_stored(label: String, address: Option<&str>) -> Self {
        Self { label, address: address.and_then(|address| address.parse().ok()) }
    }

    /// The device's name of itself; empty if it gave none.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Where it was then.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }
}

fn label(text: &str) -> String {
    let (mut label, mut buffer) = (String::new(), [0; 4]);
    for character in text.chars() {
        let end = label.len();
        let escaped = escape::escaped(character.encode_utf8(&mut buffer));
        write!(label, "{escaped}").expect("writing to a string cannot fail");
        if label.len() > LABEL_BYTES_MAX {
            label.truncate(end);
            break;
        }
    }
    label
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_harmless_and_bounded() {
        let long = "é".repeat(LABEL_BYTES_MAX);
        for (user_agent, expected) in [
            ("", ""),
            (" curl/8.5.0 ", "curl/8.5.0"),
            ("Gerät 🦀", "Gerät 🦀"),
            ("a\r\nb\0", r"a\r\nb\u{0}"),
            ("exe.\u{202e}txt", r"exe.\u{202e}txt"),
            (&long, &long[..LABEL_BYTES_MAX]),
        ] {
            assert_eq!(Device::new(user_agent, None).label(), expected, "{user_agent:?}");
        }
        // An escape is in it whole or not at all.
        let almost = "x".repeat(LABEL_BYTES_MAX - 2);
        assert_eq!(Device::new(&format!("{almost}\0y"), None).label(), almost);
    }

    #[test]
    fn an_address_is_stored_in_one_form() {
        let mapped = Device::new("", Some("::ffff:192.0.2.7".parse().unwrap()));
        assert_eq!(mapped.address(), Some("192.0.2.7".parse().unwrap()));
        assert_eq!(Device::of_stored(String::new(), Some("192.0.2.7")), mapped);
        assert_eq!(Device::of_stored(String::new(), Some("nowhere")).address(), None);
    }
}
