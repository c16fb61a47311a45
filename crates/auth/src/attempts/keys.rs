//! Under which names attempts are counted.
//!
//! A name is a keyed hash: whoever reads the store learns neither addresses nor e-mail addresses, and nobody can choose names that
//! meet in one counter. An account has one whether it exists or not.

use std::{fmt, net::IpAddr};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// 128 bits: no two names meet.
const NAME_BYTES: usize = 16;
const ALIAS_CHARS: usize = 12;

/// The name of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Name([u8; NAME_BYTES]);

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// Stands in for what somebody wrote as the name of an account, where that should not be told: equal texts have equal ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias(String);

impl Alias {
    /// Hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The counters of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Keys {
    pub(super) pair: Name,
    pub(super) account: Name,
    pub(super) address: Name,
}

/// Makes names; all replicas have the same secret, and so the same names.
#[derive(Clone)]
pub(super) struct Naming(Hmac<Sha256>);

impl Naming {
    pub(super) fn new(secret: &[u8]) -> Self {
        Self(Hmac::new_from_slice(secret).expect("HMAC takes a key of any length"))
    }

    /// The names for an attempt at `account` from `address`.
    pub(super) fn keys(&self, account: &str, address: IpAddr) -> Keys {
        let (account, address) = (account.as_bytes(), network(address));
        Keys {
            pair: self.name("pair", &[&address, account]),
            account: self.name("account", &[account]),
            address: self.name("address", &[&address]),
        }
    }

    pub(super) fn alias(&self, account: &str) -> Alias {
        let mut alias = self.name("account", &[account.as_bytes()]).to_string();
        alias.truncate(ALIAS_CHARS);
        Alias(alias)
    }

    fn name(&self, kind: &str, parts: &[&[u8]]) -> Name {
        let mut hash = self.0.clone();
        hash.update(kind.as_bytes());
        // An address has one of two lengths and says which, so no two lists of parts have the same bytes.
        hash.update(&[0]);
        parts.iter().for_each(|part| hash.update(part));
        let digest = hash.finalize().into_bytes();
        Name(digest[..NAME_BYTES].try_into().expect("SHA-256 has more bytes than a name"))
    }
}

/// Whom an address stands for: an IPv4 address for itself, an IPv6 address for its /64, which is the least that a customer gets.
fn network(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(address) => [&[4], &address.octets()[..]].concat(),
        IpAddr::V6(address) => [&[6], &address.octets()[..8]].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_counts_for_its_network() {
        let naming = Naming::new(b"secret");
        let name = |address: &str| naming.keys("ada@example.com", address.parse().unwrap());
        for (one, other, same) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
            ("::1", "0.0.0.1", false),
        ] {
            assert_eq!(name(one) == name(other), same, "{one} {other}");
            assert_eq!(name(one).account, name(other).account);
        }
    }

    #[test]
    fn names_differ_by_secret_kind_and_account_and_tell_nothing() {
        let address = "192.0.2.1".parse().unwrap();
        let keys = Naming::new(b"secret").keys("ada@example.com", address);
        assert_eq!(keys, Naming::new(b"secret").keys("ada@example.com", address));
        for other in [
            Naming::new(b"secret").keys("bob@example.com", address),
            Naming::new(b"another").keys("ada@example.com", address),
        ] {
            assert_ne!((keys.pair, keys.account), (other.pair, other.account));
        }
        assert_eq!(keys.account.to_string().len(), 2 * NAME_BYTES);
        let alias = Naming::new(b"secret").alias("ada@example.com");
        assert!(keys.account.to_string().starts_with(alias.as_str()));
        assert_eq!(alias.as_str().len(), ALIAS_CHARS);
    }
}
