//! Whether a password is among the first that anybody would try.
//!
//! `zxcvbn` guesses as attackers do: lists of leaked passwords and names, keyboard rows, dates, repetitions, and all of these
//! with substitutions as `p@ssw0rd`. It tries every combination of substitutions on every substring, which for hostile text takes
//! half a second; within the bounds here it takes about a millisecond. What is outside of them takes it more than [`GUESSES_MIN`]
//! guesses in any case, unless it is a repetition.

/// What needs fewer guesses is common. `zxcvbn` counts ten thousand for every part but the first, so this takes in a common
/// password in any spelling, one with a digit behind it, and the owner's own names put together, and leaves what somebody
/// composes of two ordinary words. For whoever has many addresses it is a week's worth of attempts at login (`attempts`).
const GUESSES_MIN: u64 = 16_000;

/// Of a longer text only a repetition is common.
const JUDGED_CHARS_MAX: usize = 32;

/// What `zxcvbn` takes for one letter, where that is several characters, and how many ways to read them as letters a common
/// password may leave. All digits leave four ways.
const SUBSTITUTES: [&str; 7] = ["4@", "({[<", "69", "1!|", "1|7", "$5", "+7"];
const READINGS_MAX: usize = 16;

const CONTEXT_WORDS_MAX: usize = 16;
const CONTEXT_WORD_CHARS_MIN: usize = 3;
const CONTEXT_CHARS_MAX: usize = 128;

/// Whether `text` would be guessed soon by somebody who knows the `context`: the owner's e-mail address and name.
pub(super) fn is_common(text: &str, context: &[&str]) -> bool {
    let characters: Vec<char> = text.chars().collect();
    let period = period(&characters);
    let judged = match characters.len() {
        0..=JUDGED_CHARS_MAX => text.to_owned(),
        // Two rounds are what it takes to see that it is one.
        length if period <= JUDGED_CHARS_MAX / 2 && period <= length / 2 => {
            characters[..2 * period].iter().collect()
        }
        _ => return false,
    };
    if readings(&judged) > READINGS_MAX {
        return false;
    }
    let words = words(context);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    zxcvbn::zxcvbn(&judged, &words).guesses() < GUESSES_MIN
}

/// In how many ways substitutes can be read.
fn readings(text: &str) -> usize {
    let of_letter =
        |substitutes: &&str| substitutes.chars().filter(|substitute| text.contains(*substitute)).count();
    SUBSTITUTES.iter().map(|substitutes| of_letter(substitutes).max(1)).product()
}

/// The texts as a whole, and the words in them.
fn words(context: &[&str]) -> Vec<String> {
    let mut words = Vec::new();
    for text in context {
        let text: String = text.chars().take(CONTEXT_CHARS_MAX).collect();
        let parts = text.split(|character: char| !character.is_alphanumeric());
        words.extend(parts.filter(|part| part.chars().count() >= CONTEXT_WORD_CHARS_MIN).map(str::to_owned));
        // The local part of an address, which may itself be of several words.
        words.extend(text.split_once('@').map(|(local, _)| local.to_owned()));
        words.push(text);
    }
    words.truncate(CONTEXT_WORDS_MAX);
    words
}

/// After how many characters the text begins anew, by the failure function of Knuth, Morris and Pratt; its length if it does not.
fn period(characters: &[char]) -> usize {
    let mut borders = vec![0; characters.len()];
    let mut border = 0;
    for at in 1..characters.len() {
        while border > 0 && characters[at] != characters[border] {
            border = borders[border - 1];
        }
        if characters[at] == characters[border] {
            border += 1;
        }
        borders[at] = border;
    }
    characters.len() - border
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_tried_first_is_common() {
        let context = ["ada.lovelace@example.com", "Ada Lovelace"];
        for text in [
            "password",
            "12345678",
            "P@ssw0rd",
            "qwertyuiop",
            "iloveyou",
            "trustno1",
            "aaaaaaaa",
            "abcdefgh",
            "passwordpassword",
            "ada.lovelace@example.com",
            "Lovelace",
            "lovelace1",
            "ada.lovelace",
            "P@ssw0rd123",
            "adalovelace",
            "11111111111111111111",
        ] {
            assert!(is_common(text, &context), "{text}");
        }
        for repeated in ["a", "ab", "password", "123", "lovelace"] {
            let text = repeated.repeat(1024 / repeated.len());
            assert!(is_common(&text, &context), "{repeated}…");
            assert!(is_common(&text[..text.len() - 1], &context), "{repeated}…, cut");
        }
    }

    #[test]
    fn what_takes_many_guesses_is_not() {
        let random = "u8Q!fkz2xv-Lq0w7/Rb";
        for text in [
            "correct horse",
            "correct horse battery",
            "zebra-lamp",
            "testpassword",
            "Summer2024",
            "tr0ub4dor&3 and more",
            "Донаудампф",
            random,
            &random.repeat(20),
            &SUBSTITUTES.concat(),
            "🦀🦞🦐🦑 🐙🐚",
            "' OR '1'='1",
        ] {
            assert!(!is_common(text, &["ada.lovelace@example.com", "Ada Lovelace"]), "{text}");
        }
        assert!(!is_common("adalovelace1", &[]), "what only acquaintances guess");
    }

    #[test]
    fn substitutes_multiply_what_there_is_to_try() {
        for (text, expected) in [
            ("password", 1),
            ("p@ssw0rd", 1),
            ("p4$5w0rd", 2),
            ("0123456789", 4),
            ("4@({[<$5", 16),
            (&SUBSTITUTES.concat(), 576),
        ] {
            assert_eq!(readings(text), expected, "{text}");
        }
    }

    #[test]
    fn the_context_is_bounded() {
        let long = "word ".repeat(10_000);
        assert_eq!(words(&[&long, &long]).len(), CONTEXT_WORDS_MAX);
        assert!(words(&[&"x".repeat(10_000)]).iter().all(|word| word.len() <= CONTEXT_CHARS_MAX));
    }

    #[test]
    fn a_period_is_the_shortest_repetition() {
        for (text, expected) in
            [("", 0), ("a", 1), ("aaaa", 1), ("abab", 2), ("ababa", 2), ("abcab", 3), ("abc", 3)]
        {
            assert_eq!(period(&text.chars().collect::<Vec<_>>()), expected, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_text_is_judged(text: String, context: [String; 2]) {
            is_common(&text, &[&context[0], &context[1]]);
        }

        #[test]
        fn any_text_of_substitutes_dates_and_breaks_is_judged(text in "[4@8({<3!|7$5+%2a-e/. \n\u{2028}0-9]{0,40}") {
            is_common(&text, &[&text]);
        }
    }
}
