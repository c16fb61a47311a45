//! Text from elsewhere, made harmless for a terminal and for a log that is read line by line.
//!
//! A URL, a user name or a line of a replica's output may hold line breaks that forge log lines, terminal sequences that
//! rewrite what an operator reads, and marks that turn the direction of the text around. They come out as `\u{202e}`.

use std::fmt::{self, Write};

/// The text with every [hostile](is_hostile) character escaped.
pub fn escaped(text: &str) -> impl fmt::Display {
    fmt::from_fn(move |formatter| Escaping(formatter).write_str(text))
}

/// Whether a character can break a line, steer a terminal or reorder the text around it.
#[must_use]
pub fn is_hostile(character: char) -> bool {
    // Control characters; line and paragraph separators; the embeddings, overrides, isolates and marks of UAX #9.
    character.is_control()
        || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}')
}

/// Escapes what is written through it.
pub(crate) struct Escaping<W>(pub(crate) W);

impl<W: Write> Write for Escaping<W> {
    fn write_str(&mut self, mut text: &str) -> fmt::Result {
        while let Some(at) = text.find(is_hostile) {
            let (harmless, rest) = text.split_at(at);
            let mut characters = rest.chars();
            let hostile = characters.next().expect("a character was found here");
            write!(self.0, "{harmless}{}", hostile.escape_default())?;
            text = characters.as_str();
        }
        self.0.write_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_characters_become_visible() {
        for (text, shown) in [
            ("GET /users/7", "GET /users/7"),
            ("größe 🦀 ", "größe 🦀 "),
            ("a\r\nb", r"a\r\nb"),
            ("\x1b[2J", r"\u{1b}[2J"),
            ("\u{9b}2J", r"\u{9b}2J"),
            ("exe.\u{202e}txt", r"exe.\u{202e}txt"),
            ("\u{2066}\u{2069}\u{200f}", r"\u{2066}\u{2069}\u{200f}"),
            ("\0", r"\u{0}"),
            ("", ""),
        ] {
            assert_eq!(escaped(text).to_string(), shown);
        }
    }
}
