//! Amounts of CPU time as Kubernetes writes them: cores, `"0.5"`, or thousandths of one, `"500m"`.

use std::num::NonZeroU32;

use super::Refusal;

/// No machine has more of them.
const CORES_MAX: u32 = 10_000;
const MILLI_PER_CORE: u32 = 1000;

const FORM: &str = r#"write cores, as "1" or "0.5", or thousandths of a core, as "500m""#;
const NO_CORES: Refusal = Refusal { problem: "is not an amount of CPU", help: FORM };
const TOO_FINE: Refusal = Refusal {
    problem: "is finer than a thousandth of a core",
    help: r#"write at most three decimal places, or whole thousandths, as "500m""#,
};
const NOTHING: Refusal =
    Refusal { problem: "is no CPU at all", help: r#""1m", a thousandth of a core, is the least"# };
const TOO_MANY: Refusal = Refusal { problem: "is too much", help: r#""10000" cores are the most"# };

/// Reads thousandths of a core.
pub(crate) fn parse(text: &str) -> Result<NonZeroU32, Refusal> {
    let milli = match text.strip_suffix('m') {
        Some(thousandths) => whole(thousandths)?,
        None => cores(text)?,
    };
    if milli > CORES_MAX * MILLI_PER_CORE {
        return Err(TOO_MANY);
    }
    NonZeroU32::new(milli).ok_or(NOTHING)
}

fn cores(text: &str) -> Result<u32, Refusal> {
    let (cores, places) = text.split_once('.').unwrap_or((text, "0"));
    let cores = whole(cores)?.checked_mul(MILLI_PER_CORE).ok_or(TOO_MANY)?;
    if places.is_empty() || !places.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NO_CORES);
    }
    let places = places.trim_end_matches('0');
    if places.len() > 3 {
        return Err(TOO_FINE);
    }
    let milli = if places.is_empty() { 0 } else { whole(&format!("{places:0<3}"))? };
    cores.checked_add(milli).ok_or(TOO_MANY)
}

fn whole(digits: &str) -> Result<u32, Refusal> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NO_CORES);
    }
    digits.parse().map_err(|_| TOO_MANY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_and_thousandths_of_them_are_read() {
        for (text, milli) in [
            ("1", 1000),
            ("500m", 500),
            ("0.5", 500),
            ("0.50000", 500),
            ("1.25", 1250),
            ("0.001", 1),
            ("1m", 1),
            ("1500m", 1500),
            ("02", 2000),
            ("2.0", 2000),
            ("10000", 10_000_000),
            ("10000000m", 10_000_000),
        ] {
            assert_eq!(parse(text).map(NonZeroU32::get), Ok(milli), "{text}");
        }
    }

    #[test]
    fn other_amounts_are_refused_with_their_reason() {
        for (text, refusal) in [
            ("", NO_CORES),
            ("m", NO_CORES),
            (".5", NO_CORES),
            ("1.", NO_CORES),
            ("-1", NO_CORES),
            ("+1", NO_CORES),
            ("1e3", NO_CORES),
            ("0.5m", NO_CORES),
            ("1 ", NO_CORES),
            ("1.2.3", NO_CORES),
            ("half", NO_CORES),
            ("NaN", NO_CORES),
            ("inf", NO_CORES),
            ("\u{663}", NO_CORES),
            ("0", NOTHING),
            ("0.0", NOTHING),
            ("0m", NOTHING),
            ("0.0001", TOO_FINE),
            ("10000.001", TOO_MANY),
            ("10000001m", TOO_MANY),
            ("4294967296", TOO_MANY),
            ("99999999999999999999m", TOO_MANY),
        ] {
            assert_eq!(parse(text), Err(refusal), "{text}");
        }
    }
}
