//! Whom a request is from, as its upstream is told: `X-Auth-Subject`, `X-Auth-Roles`, `X-Auth-Session`.
//!
//! Invariant: an [`Identity`] can be written into a head. Its parts come from tokens, whose issuer may have let people choose
//! them: a line end in a name must not become a line of the head.
//! Elsewhere: who vouches for it (`phalanx-gateway`); what a client sends under these names is dropped ([`crate::rewrite`]).

use crate::rewrite::put;

/// Somebody, in a form that fits into a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity<'a> {
    subject: &'a str,
    roles: &'a [String],
    session: Option<&'a str>,
}

impl<'a> Identity<'a> {
    /// Somebody with this name, these roles and this session; `None` when the name or the session would not arrive as it is.
    ///
    /// Such a role is only left out when it is written: it takes nothing from anybody, and adds nothing.
    #[must_use]
    pub fn new(subject: &'a str, roles: &'a [String], session: Option<&'a str>) -> Option<Self> {
        (is_value(subject) && session.is_none_or(is_value)).then_some(Self { subject, roles, session })
    }

    /// Adds the fields to a complete request head.
    pub fn write(&self, head: &mut Vec<u8>) {
        head.truncate(head.len() - b"\r\n".len());
        put(head, &[b"X-Auth-Subject: ", self.subject.as_bytes(), b"\r\n"]);
        let mut separator: &[u8] = b"X-Auth-Roles: ";
        for role in self.roles.iter().filter(|role| is_element(role)) {
            put(head, &[separator, role.as_bytes()]);
            separator = b",";
        }
        if separator == b"," {
            head.extend_from_slice(b"\r\n");
        }
        if let Some(session) = self.session {
            put(head, &[b"X-Auth-Session: ", session.as_bytes(), b"\r\n"]);
        }
        head.extend_from_slice(b"\r\n");
    }
}

/// Whether a text is read back from a field as it was written: visible ASCII, with spaces only inside.
fn is_value(text: &str) -> bool {
    let inside = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    text.trim_ascii() == text && !text.is_empty() && text.bytes().all(inside)
}

/// Whether a text is one element of a list, however the list is read.
fn is_element(text: &str) -> bool {
    is_value(text) && !text.contains([',', ' '])
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    fn written(subject: &str, roles: &[&str], session: Option<&str>) -> Option<String> {
        let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
        let mut head = HEAD.as_bytes().to_vec();
        Identity::new(subject, &roles, session)?.write(&mut head);
        let head = String::from_utf8(head).unwrap();
        let added = head.strip_prefix(HEAD.strip_suffix("\r\n").unwrap()).unwrap();
        Some(added.strip_suffix("\r\n").unwrap().to_owned())
    }

    #[test]
    fn what_is_known_is_told_and_nothing_else() {
        for (subject, roles, session, expected) in [
            (
                "7",
                &["admin", "editor"][..],
                Some("9"),
                "X-Auth-Subject: 7\r\nX-Auth-Roles: admin,editor\r\nX-Auth-Session: 9\r\n",
            ),
            ("7", &["user"], None, "X-Auth-Subject: 7\r\nX-Auth-Roles: user\r\n"),
            ("auth0|7 x", &[], None, "X-Auth-Subject: auth0|7 x\r\n"),
            ("7", &["user,admin", "", "a b", "é", "a\r\nX: y"], None, "X-Auth-Subject: 7\r\n"),
            ("7", &["user,admin", "user"], None, "X-Auth-Subject: 7\r\nX-Auth-Roles: user\r\n"),
        ] {
            assert_eq!(written(subject, roles, session).as_deref(), Some(expected), "{subject} {roles:?}");
        }
    }

    #[test]
    fn nobody_writes_lines_of_a_head_by_a_name() {
        for text in [
            "",
            " ",
            " 7",
            "7 ",
            "7\r\nX-Auth-Roles: admin",
            "7\n",
            "\r7",
            "7\0",
            "7\t8",
            "7\u{7f}",
            "é",
            "\u{85}7",
        ] {
            assert_eq!(written(text, &[], None), None, "{text:?}");
            assert_eq!(written("7", &[], Some(text)), None, "{text:?}");
        }
    }
}
