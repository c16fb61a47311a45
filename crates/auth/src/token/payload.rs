//! The claims of a token whose signature holds.

use serde_json::{Map, Value};

use super::{Claims, Fault, Terms, TokenTypes};
use crate::json;

/// How far ahead of this machine's clock the issuer's may be, for `nbf` and `iat`. `exp` has no such grace: a token that ends some
/// seconds early costs a refresh, one that lives longer than its issuer said costs more.
pub const NOT_BEFORE_SKEW_SECONDS: u64 = 60;

/// RFC 9068, section 2.1: an access token says so, and cannot be taken for an identity token of the same issuer.
pub(super) const TYPE: &str = "at+jwt";
/// RFC 7515, section 4.1.9: the full name of the same.
const TYPE_FULL: &str = "application/at+jwt";

/// Claims that hold at some times.
pub(super) struct Timed {
    pub(super) claims: Claims,
    /// The later of `nbf` and `iat`.
    pub(super) begins_at: u64,
}

/// Whether `typ` is accepted. Media types know no case (RFC 2045, section 5.1).
pub(super) fn is_of_type(typ: Option<&str>, types: TokenTypes) -> bool {
    let is = |name| typ.is_some_and(|typ| typ.eq_ignore_ascii_case(name));
    match types {
        TokenTypes::AccessToken => is(TYPE) || is(TYPE_FULL),
        TokenTypes::AnyJwt => typ.is_none() || is("JWT") || is(TYPE) || is(TYPE_FULL),
    }
}

/// Reads the claims and checks all of them but the times. Claims that are not known are let through: they are between the issuer
/// and others.
pub(super) fn read(payload: &[u8], terms: &Terms) -> Result<Timed, Fault> {
    let claims =
        ClaimReader { object: json::object(payload).map_err(|_| Fault::Payload)?, types: terms.types };
    let issuer = claims.text("iss")?;
    let audience = claims.list("aud")?;
    let subject = claims.present("sub", claims.name("sub")?)?;
    let session = claims.expected("sid", claims.name("sid")?)?;
    let epoch = claims.expected("sv", claims.number("sv")?)?;
    let issued_at = claims.expected("iat", claims.number("iat")?)?;
    let not_before = claims.expected("nbf", claims.number("nbf")?)?;
    let expires_at = claims.present("exp", claims.number("exp")?)?;
    let token_id = claims.expected("jti", claims.name("jti")?)?;
    let roles = claims.roles()?;
    let (issuer, audience) = (claims.expected("iss", issuer)?, claims.expected("aud", audience)?);
    if terms.issuer.is_some() && terms.issuer != issuer {
        return Err(Fault::Issuer);
    }
    if let Some(wanted) = &terms.audience
        && !audience.unwrap_or_default().contains(wanted)
    {
        return Err(Fault::Audience);
    }
    let claims = Claims {
        subject,
        session,
        epoch: epoch.unwrap_or_default(),
        roles,
        token_id: token_id.unwrap_or_default(),
        issued_at: issued_at.unwrap_or_default(),
        expires_at,
    };
    let begins_at = claims.issued_at.max(not_before.unwrap_or_default());
    Ok(Timed { claims, begins_at })
}

struct ClaimReader {
    object: Map<String, Value>,
    types: TokenTypes,
}

impl ClaimReader {
    fn present<T>(&self, name: &'static str, claim: Option<T>) -> Result<T, Fault> {
        claim.ok_or(Fault::Missing(name))
    }

    /// Required of an access token.
    fn expected<T>(&self, name: &'static str, claim: Option<T>) -> Result<Option<T>, Fault> {
        match (self.types, claim) {
            (TokenTypes::AccessToken, None) => Err(Fault::Missing(name)),
            (_, claim) => Ok(claim),
        }
    }

    fn text(&self, name: &'static str) -> Result<Option<String>, Fault> {
        match self.object.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(Fault::Claim(name)),
        }
    }

    /// A text that ends up in headers and keys of others.
    fn name(&self, name: &'static str) -> Result<Option<String>, Fault> {
        let text = self.text(name)?;
        if text.as_ref().is_some_and(|text| text.is_empty() || text.contains(char::is_control)) {
            return Err(Fault::Claim(name));
        }
        Ok(text)
    }

    /// An integer without fraction or exponent. RFC 7519 lets times have fractions; nobody needs them, and a number that one
    /// reader rounds and another does not has two meanings.
    fn number(&self, name: &'static str) -> Result<Option<u64>, Fault> {
        let number = self.object.get(name).map(|value| value.as_u64().ok_or(Fault::Claim(name)));
        number.transpose()
    }

    /// A text, or an array of them.
    fn list(&self, name: &'static str) -> Result<Option<Vec<String>>, Fault> {
        let text = |value: &Value| value.as_str().map(str::to_owned).ok_or(Fault::Claim(name));
        match self.object.get(name) {
            None => Ok(None),
            Some(Value::Array(values)) => values.iter().map(text).collect::<Result<_, _>>().map(Some),
            Some(value) => Ok(Some(vec![text(value)?])),
        }
    }

    /// `role`, or the array `roles` of other issuers; with both, nobody knows which one counts.
    fn roles(&self) -> Result<Vec<String>, Fault> {
        let name = match (self.object.get("role"), self.object.get("roles")) {
            (None, None) => return Ok(Vec::new()),
            (Some(_), None) => "role",
            (None, Some(Value::Array(_))) => "roles",
            (_, Some(_)) => return Err(Fault::Claim("roles")),
        };
        let roles = self.list(name)?.unwrap_or_default();
        // They are passed on in one header, with commas between them.
        let is_usable = |role: &String| {
            !role.is_empty() && !role.contains(|character: char| character == ',' || character.is_control())
        };
        if roles.iter().all(is_usable) { Ok(roles) } else { Err(Fault::Claim(name)) }
    }
}
