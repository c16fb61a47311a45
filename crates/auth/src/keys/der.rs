//! As much of DER (X.690) as it takes to find the numbers of an RSA key in PKCS #8: nothing that a stranger sends is read here,
//! only what the cryptographic library has just written.

/// The tag of an INTEGER.
const INTEGER: u8 = 0x02;
/// The tag of an OCTET STRING.
const OCTET_STRING: u8 = 0x04;
/// The tag of a SEQUENCE.
const SEQUENCE: u8 = 0x30;

/// The `RSAPrivateKey` (RFC 8017, appendix A.1.2) within a `PrivateKeyInfo` (RFC 5208, section 5).
pub(super) fn rsa_private_key(pkcs8: &[u8]) -> Option<&[u8]> {
    let (content, _) = element(SEQUENCE, pkcs8)?;
    let (_version, rest) = element(INTEGER, content)?;
    let (_algorithm, rest) = element(SEQUENCE, rest)?;
    element(OCTET_STRING, rest).map(|(key, _)| key)
}

/// The numbers of an `RSAPrivateKey`, without their leading zeros: modulus, exponents public and private, primes, exponents of
/// the primes, coefficient.
pub(super) fn rsa_numbers(key: &[u8]) -> Option<[&[u8]; 8]> {
    let (content, _) = element(SEQUENCE, key)?;
    let (_version, mut rest) = element(INTEGER, content)?;
    let mut numbers = [&[][..]; 8];
    for number in &mut numbers {
        let (bytes, behind) = element(INTEGER, rest)?;
        *number = bytes.strip_prefix(&[0]).unwrap_or(bytes);
        rest = behind;
    }
    Some(numbers)
}

/// The content of the first element, if it has that tag, and what stands behind it.
fn element(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = bytes.split_first_chunk()?;
    if found != tag {
        return None;
    }
    // Up to 127 the byte is the length; above, it tells how many bytes the length has.
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 | 0x82 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}
