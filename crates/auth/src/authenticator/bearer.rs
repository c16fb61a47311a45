//! The token in the headers of a request (RFC 6750, section 2.1).

use http::{HeaderMap, header};

use crate::Refusal;

/// The bearer token of a request. Whether it is a token at all is the verifier's to say.
///
/// # Errors
/// [`Refusal::NoToken`] without one; [`Refusal::InvalidToken`] with several `Authorization` headers, which say nothing definite
/// about who the request is from.
pub fn bearer(headers: &HeaderMap) -> Result<&[u8], Refusal> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(Refusal::NoToken)?.as_bytes();
    if values.next().is_some() {
        return Err(Refusal::InvalidToken);
    }
    let (scheme, token) = value.split_at(value.iter().position(|byte| *byte == b' ').unwrap_or(value.len()));
    let token = token.trim_ascii();
    if scheme.eq_ignore_ascii_case(b"bearer") && !token.is_empty() {
        Ok(token)
    } else {
        Err(Refusal::NoToken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_found_in_one_bearer_header() {
        let cases: &[(&[&str], Result<&str, Refusal>)] = &[
            (&["Bearer a.b.c"], Ok("a.b.c")),
            (&["bEARER   a.b.c "], Ok("a.b.c")),
            (&["Bearer a.b.c d"], Ok("a.b.c d")),
            (&[], Err(Refusal::NoToken)),
            (&[""], Err(Refusal::NoToken)),
            (&["Bearer"], Err(Refusal::NoToken)),
            (&["Bearer "], Err(Refusal::NoToken)),
            (&["Basic YTpi"], Err(Refusal::NoToken)),
            (&["Bearera.b.c"], Err(Refusal::NoToken)),
            (&["Bearer\ta.b.c"], Err(Refusal::NoToken)),
            (&["Bearer a.b.c", "Bearer a.b.c"], Err(Refusal::InvalidToken)),
            (&["Basic YTpi", "Bearer a.b.c"], Err(Refusal::InvalidToken)),
        ];
        for (values, expected) in cases {
            let mut headers = HeaderMap::new();
            for value in *values {
                headers.append(header::AUTHORIZATION, value.parse().unwrap());
            }
            let expected = expected.clone().map(str::as_bytes);
            assert_eq!(bearer(&headers), expected, "{values:?}");
        }
    }
}
