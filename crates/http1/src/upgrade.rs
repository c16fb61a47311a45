//! Upgrades (RFC 9110, section 7.8): which protocols a client can ask for through the gateway, and whether a 101 is the answer.
//!
//! Invariant: no protocol that carries HTTP itself is ever asked for: its requests would pass the gateway unseen, past every
//! route.
//! Elsewhere: what follows a 101 (`phalanx-gateway::exchange`).

use crate::{
    field::{self, FieldKind},
    head::Lines,
    request::RequestHead,
    response::ResponseHead,
};

/// The protocols that one request asks to switch to; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// Comma-separated.
    protocols: Box<[u8]>,
}

impl Upgrade {
    /// What a request asks for; `None` where it asks for nothing, or must not.
    #[must_use]
    pub fn of(head: &RequestHead<'_, '_>) -> Option<Self> {
        head.asks_upgrade
            .then(|| Self { protocols: protocols(&head.lines).collect::<Vec<_>>().join(&b", "[..]).into() })
    }

    /// Whether a response switches to what was asked for, and to nothing else.
    #[must_use]
    pub fn is_answered_by(&self, head: &ResponseHead<'_, '_>) -> bool {
        let is_asked_for = |protocol: &[u8]| {
            field::elements(&self.protocols).any(|asked| asked.eq_ignore_ascii_case(protocol))
        };
        let mut answered = all_protocols(&head.lines).peekable();
        head.status == 101 && answered.peek().is_some() && answered.all(is_asked_for)
    }
}

/// The protocols of the `Upgrade` lines that may pass.
pub(crate) fn protocols<'b>(lines: &Lines<'_, 'b>) -> impl Iterator<Item = &'b [u8]> {
    all_protocols(lines).filter(|protocol| may_pass(protocol))
}

fn all_protocols<'b>(lines: &Lines<'_, 'b>) -> impl Iterator<Item = &'b [u8]> {
    lines.values(FieldKind::Upgrade).flat_map(field::elements)
}

/// Whether an `Upgrade` value names a protocol that may pass.
pub(crate) fn names_one(value: &[u8]) -> bool {
    field::elements(value).any(may_pass)
}

/// Whether an element is a protocol, and none that carries HTTP.
fn may_pass(protocol: &[u8]) -> bool {
    let mut parts = protocol.splitn(2, |byte| *byte == b'/');
    let name = parts.next().unwrap_or_default();
    let carries_http =
        [&b"h2c"[..], b"h2", b"http", b"tls"].iter().any(|known| name.eq_ignore_ascii_case(known));
    !carries_http && field::is_token(name) && parts.next().is_none_or(field::is_token)
}
