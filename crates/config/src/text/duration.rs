//! Durations as the file writes them: `"5s"`, `"100ms"`, `"1m"`, `"1h30m"`.

use std::time::Duration;

use super::Refusal;

/// Far above any sensible setting, and low enough that adding it to a point in time cannot overflow.
const DURATION_MAX: Duration = Duration::from_hours(30 * 24);

/// From the longest: a unit may stand only once, and only after a longer one.
const UNITS: [(&str, Duration); 4] = [
    ("h", Duration::from_hours(1)),
    ("m", Duration::from_mins(1)),
    ("s", Duration::from_secs(1)),
    ("ms", Duration::from_millis(1)),
];

const FORM: &str = r#"write a whole number and its unit, as "5s", "100ms", "1m" or "1h30m""#;
const NO_UNIT: Refusal = Refusal { problem: "has no unit", help: FORM };
const NO_DURATION: Refusal = Refusal { problem: "is not a duration", help: FORM };
const TOO_LONG: Refusal =
    Refusal { problem: "is too long", help: r#"30 days, "720h", is the longest duration"# };

/// Reads a duration.
pub(crate) fn parse(text: &str) -> Result<Duration, Refusal> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NO_UNIT);
    }
    let mut units = UNITS.iter();
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() || text.is_empty() {
        let (digits, after) = split_while(rest, |byte| byte.is_ascii_digit());
        let (name, after) = split_while(after, |byte| byte.is_ascii_alphabetic());
        let (_, unit) = units.find(|(known, _)| *known == name).ok_or(NO_DURATION)?;
        if digits.is_empty() {
            return Err(NO_DURATION);
        }
        let count: u32 = digits.parse().map_err(|_| TOO_LONG)?;
        total = unit.checked_mul(count).and_then(|part| total.checked_add(part)).ok_or(TOO_LONG)?;
        rest = after;
    }
    if total > DURATION_MAX { Err(TOO_LONG) } else { Ok(total) }
}

fn split_while(text: &str, holds: impl Fn(u8) -> bool) -> (&str, &str) {
    text.split_at(text.bytes().position(|byte| !holds(byte)).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_carry_their_units() {
        for (text, milliseconds) in [
            ("0s", 0),
            ("5s", 5_000),
            ("100ms", 100),
            ("1m", 60_000),
            ("1h30m", 5_400_000),
            ("1m30s500ms", 90_500),
            ("720h", 2_592_000_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused_with_its_reason() {
        for (text, problem) in [
            ("", "is not a duration"),
            ("5", "has no unit"),
            ("s", "is not a duration"),
            ("1.5s", "is not a duration"),
            ("-5s", "is not a duration"),
            ("5 s", "is not a duration"),
            ("5S", "is not a duration"),
            ("5d", "is not a duration"),
            ("1s1m", "is not a duration"),
            ("1s2s", "is not a duration"),
            ("٣s", "is not a duration"),
            ("721h", "is too long"),
            ("99999999999999999999h", "is too long"),
        ] {
            assert_eq!(parse(text).unwrap_err().problem, problem, "{text}");
        }
    }
}
