//! Sizes as the file writes them, `"512MiB"`, and rates of bytes, `"16B/s"`.

use super::Refusal;

/// Far above any sensible setting, and low enough that sums of sizes cannot overflow.
const SIZE_MAX: u64 = 1 << 50;

const UNITS: [(&str, u64); 7] = [
    ("B", 1),
    ("KB", 1_000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
];

const FORM: &str =
    r#"write a whole number and its unit, one of B, KB, KiB, MB, MiB, GB, GiB, as "512MiB" or "10KB""#;
const NO_UNIT: Refusal = Refusal { problem: "has no unit", help: FORM };
const NO_SIZE: Refusal = Refusal { problem: "is not a size", help: FORM };
const TOO_LARGE: Refusal = Refusal { problem: "is too large", help: r#""1048576GiB" is the largest size"# };

const NO_RATE: Refusal = Refusal {
    problem: "is not a rate of bytes",
    help: r#"write a size for each second, as "16B/s" or "1KiB/s""#,
};
const TOO_FAST: Refusal = Refusal { problem: "is too fast", help: r#""4095MiB/s" is the fastest rate"# };

/// Reads a size.
pub(crate) fn parse(text: &str) -> Result<u64, Refusal> {
    let digits_end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(digits_end);
    match (digits, unit) {
        ("", _) => return Err(NO_SIZE),
        (_, "") => return Err(NO_UNIT),
        _ => {}
    }
    let (_, unit) = UNITS.iter().find(|(known, _)| *known == unit).ok_or(NO_SIZE)?;
    let count: u64 = digits.parse().map_err(|_| TOO_LARGE)?;
    count.checked_mul(*unit).filter(|size| *size <= SIZE_MAX).ok_or(TOO_LARGE)
}

/// Reads a rate: bytes per second.
pub(crate) fn rate(text: &str) -> Result<u32, Refusal> {
    let size = text.strip_suffix("/s").ok_or(NO_RATE)?;
    let bytes = parse(size).map_err(|refusal| if refusal == TOO_LARGE { TOO_FAST } else { NO_RATE })?;
    u32::try_from(bytes).map_err(|_| TOO_FAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_carry_their_unit() {
        for (text, bytes) in [
            ("0B", 0),
            ("512B", 512),
            ("10KB", 10_000),
            ("10KiB", 10_240),
            ("3MB", 3_000_000),
            ("512MiB", 536_870_912),
            ("1GB", 1_000_000_000),
            ("1GiB", 1_073_741_824),
            ("1048576GiB", SIZE_MAX),
            ("007B", 7),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn other_sizes_are_refused_with_their_reason() {
        for (text, refusal) in [
            ("", NO_SIZE),
            ("5", NO_UNIT),
            ("B", NO_SIZE),
            ("5b", NO_SIZE),
            ("5K", NO_SIZE),
            ("5kb", NO_SIZE),
            ("5TiB", NO_SIZE),
            ("1.5GiB", NO_SIZE),
            ("-5B", NO_SIZE),
            ("5 B", NO_SIZE),
            ("1KiB1B", NO_SIZE),
            ("٣B", NO_SIZE),
            ("1048577GiB", TOO_LARGE),
            ("99999999999999999999B", TOO_LARGE),
            ("18446744073709551615GiB", TOO_LARGE),
        ] {
            assert_eq!(parse(text), Err(refusal), "{text}");
        }
    }

    #[test]
    fn a_rate_is_a_size_for_each_second() {
        for (text, expected) in [
            ("0B/s", Ok(0)),
            ("16B/s", Ok(16)),
            ("1KiB/s", Ok(1024)),
            ("4294967295B/s", Ok(u32::MAX)),
            ("4GiB/s", Err(TOO_FAST)),
            ("9999999GiB/s", Err(TOO_FAST)),
            ("16B", Err(NO_RATE)),
            ("16/s", Err(NO_RATE)),
            ("16B/m", Err(NO_RATE)),
            ("16B / s", Err(NO_RATE)),
            ("/s", Err(NO_RATE)),
            ("", Err(NO_RATE)),
        ] {
            assert_eq!(rate(text), expected, "{text}");
        }
    }
}
