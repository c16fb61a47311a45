//! Takes the sting out of what a program prints, so that it cannot disturb the terminal or the lines of others.
//!
//! Colours may stay on a terminal. Every other sequence goes: one that moves the cursor would write over the lines of other
//! replicas, others set the title or the clipboard, and all of them make a log file unreadable.

use std::iter::Peekable;

use phalanx_telemetry::escape;

const ESCAPE: char = '\u{1b}';
const COLOUR_RESET: &str = "\u{1b}[0m";

/// What becomes of colours in the output of replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    /// For a terminal.
    Keep,
    /// For files, pipes and messages.
    Strip,
}

/// `text` with colours as asked for, without other escape sequences, and with control characters made visible.
pub(crate) fn clean(text: &str, colours: Colours) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let mut coloured = false;
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            ESCAPE => {
                if let Some(colour) = colour(&mut rest).filter(|_| colours == Colours::Keep) {
                    cleaned.push_str(&colour);
                    coloured = true;
                }
            }
            '\t' => cleaned.push('\t'),
            hostile if escape::is_hostile(hostile) => cleaned.extend(hostile.escape_unicode()),
            printable => cleaned.push(printable),
        }
    }
    if coloured {
        cleaned.push_str(COLOUR_RESET);
    }
    cleaned
}

/// Takes what belongs to an escape character that was read; returns the sequence if it sets a colour.
fn colour(rest: &mut Peekable<impl Iterator<Item = char>>) -> Option<String> {
    match rest.peek()? {
        '[' => {
            rest.next();
            let parameters: String =
                std::iter::from_fn(|| rest.next_if(|next| (' '..='?').contains(next))).collect();
            let last = rest.next_if(|next| ('@'..='~').contains(next))?;
            let sets_colour =
                last == 'm' && parameters.chars().all(|next| matches!(next, '0'..='9' | ';' | ':'));
            sets_colour.then(|| format!("{ESCAPE}[{parameters}m"))
        }
        // Operating system commands and their like run to BEL or ESC \, or to the end of the line.
        ']' | 'P' | 'X' | '^' | '_' => {
            while let Some(next) = rest.next() {
                if next == '\u{7}' || (next == ESCAPE && rest.next_if_eq(&'\\').is_some()) {
                    break;
                }
            }
            None
        }
        _ => {
            while rest.next_if(|next| (' '..='/').contains(next)).is_some() {}
            rest.next_if(|next| ('0'..='~').contains(next));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_colours_pass_and_only_where_they_may() {
        for (printed, kept, stripped) in [
            ("plain \u{e9}\t\u{1f980}", "plain \u{e9}\t\u{1f980}", "plain \u{e9}\t\u{1f980}"),
            ("\u{1b}[1;31mred", "\u{1b}[1;31mred\u{1b}[0m", "red"),
            ("up\u{1b}[2Aup", "upup", "upup"),
            ("clear\u{1b}[2J\u{1b}[H.", "clear.", "clear."),
            ("private\u{1b}[?25lm", "privatem", "privatem"),
            ("title\u{1b}]0;evil\u{7}.", "title.", "title."),
            ("clipboard\u{1b}]52;c;AAAA\u{1b}\\.", "clipboard.", "clipboard."),
            ("unended\u{1b}]0;evil", "unended", "unended"),
            ("charset\u{1b}(B.", "charset.", "charset."),
            ("reset\u{1b}c.", "reset.", "reset."),
            ("cut\u{1b}[31", "cut", "cut"),
            ("end\u{1b}", "end", "end"),
            ("10%\r20%\u{8}\u{0}", "10%\\u{d}20%\\u{8}\\u{0}", "10%\\u{d}20%\\u{8}\\u{0}"),
            ("c1\u{9b}31m", "c1\\u{9b}31m", "c1\\u{9b}31m"),
        ] {
            assert_eq!(clean(printed, Colours::Keep), kept, "{printed:?}");
            assert_eq!(clean(printed, Colours::Strip), stripped, "{printed:?}");
        }
    }
}
