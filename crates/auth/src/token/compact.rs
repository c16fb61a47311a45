//! The compact form of a signed token (RFC 7515, section 7.1): its three parts and its header.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::Fault;
use crate::{
    json,
    keys::{Algorithm, KID_BYTES_MAX},
};

/// Longer tokens are refused unread, whoever issued them.
pub const TOKEN_BYTES_VERIFIED_MAX: usize = 8192;

/// Header members that change what the rest means (RFC 7515, section 4.1.11; RFC 7797; RFC 7516, section 4.1.3). `crit` also
/// where its list is empty, which is against the standard.
const EXTENSIONS: [&str; 3] = ["crit", "b64", "zip"];

/// The parts of a token of which nothing has been verified.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The header.
    pub header: Map<String, Value>,
    /// The payload, whatever it is.
    pub payload: Vec<u8>,
}

/// What a header says that matters.
pub(super) struct Header {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
    pub(super) typ: Option<String>,
}

/// The parts of a token, in base64url.
pub(super) struct Compact<'a> {
    header: &'a str,
    payload: &'a str,
    /// Header, dot and payload: what the signature is of.
    pub(super) message: &'a [u8],
    pub(super) signature: &'a str,
}

/// Takes a token apart, for people to look at. Nothing of it is proven.
///
/// # Errors
/// When it is no signed token in the compact form, or its header no JSON object.
pub fn parts(token: &[u8]) -> Result<Parts, Fault> {
    let compact = Compact::split(token)?;
    let header = json::object(&decode(compact.header)?).map_err(|_| Fault::Header)?;
    Ok(Parts { header, payload: compact.payload()? })
}

impl<'a> Compact<'a> {
    pub(super) fn split(token: &'a [u8]) -> Result<Self, Fault> {
        if token.len() > TOKEN_BYTES_VERIFIED_MAX {
            return Err(Fault::TooLong);
        }
        let text = std::str::from_utf8(token).map_err(|_| Fault::Form)?;
        let mut parts = text.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Fault::Form);
        };
        let message = &token[..header.len() + 1 + payload.len()];
        Ok(Self { header, payload, message, signature })
    }

    pub(super) fn header(&self) -> Result<Header, Fault> {
        let header = json::object(&decode(self.header)?).map_err(|_| Fault::Header)?;
        if EXTENSIONS.iter().any(|name| header.contains_key(*name)) {
            return Err(Fault::Extension);
        }
        let text = |name: &str| match header.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(Fault::Header),
        };
        let algorithm = text("alg")?.ok_or(Fault::Header)?;
        let (kid, typ) = (text("kid")?.map(str::to_owned), text("typ")?.map(str::to_owned));
        if kid.as_ref().is_some_and(|kid| kid.len() > KID_BYTES_MAX) {
            return Err(Fault::Header);
        }
        Ok(Header { algorithm: Algorithm::of(algorithm).ok_or(Fault::Algorithm)?, kid, typ })
    }

    pub(super) fn payload(&self) -> Result<Vec<u8>, Fault> {
        decode(self.payload)
    }
}

/// Without padding, line breaks or bits that mean nothing: no two texts are one part.
fn decode(part: &str) -> Result<Vec<u8>, Fault> {
    BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| Fault::Form)
}
