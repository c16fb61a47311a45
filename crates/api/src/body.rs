//! Request bodies: one JSON object, read strictly and within bounds.
//!
//! What is not JSON, or means different things to different readers (a name that comes twice), is 400; what is JSON but not
//! what the route takes is 422, and names every member that is wrong at once.

use std::{collections::HashSet, fmt, time::Duration};

use axum::{
    body::{Body, HttpBody},
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use http_body_util::BodyExt;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::{Map, Value};

use self::unique::{Unique, within};
use crate::problem::{FieldFault, Problem};

#[cfg(test)]
mod tests;
mod unique;

const BODY_BYTES_MAX: usize = 64 << 10;
/// A body that is too long is read and dropped up to here before it is refused. Closing on unread bytes would reset the
/// connection, and the client would see that instead of the answer.
const DISCARDED_BYTES_MAX: usize = 2 << 20;
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
const FAULTS_MAX: usize = 16;
const POINTER_CHARS_MAX: usize = 64;

/// The members of a JSON object, each name once.
#[derive(Debug)]
pub(crate) struct JsonObject {
    members: Vec<(String, Value)>,
}

impl<S: Sync> FromRequest<S> for JsonObject {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            return Err(Problem::NotJson);
        }
        // A client that waits for `100 Continue` has sent nothing that could be dropped.
        let waits = parts.headers.contains_key(header::EXPECT);
        let received_bytes_max = if waits { BODY_BYTES_MAX } else { DISCARDED_BYTES_MAX };
        let reading = tokio::time::timeout(BODY_TIMEOUT, read(body, received_bytes_max));
        Self::parse(&reading.await.unwrap_or(Err(Problem::BodyTimeout))?)
    }
}

impl JsonObject {
    fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let Members(members) = serde_json::from_slice(bytes).map_err(|error| no_object(&error, bytes))?;
        let mut names = HashSet::with_capacity(members.len());
        let twice = members.iter().find_map(|(name, member)| {
            if names.insert(name) { within(name, member.repeated.clone()) } else { Some(pointer(&[name])) }
        });
        if twice.is_some() {
            return Err(Problem::MalformedJson { pointer: twice, detail: "a member comes twice".to_owned() });
        }
        Ok(Self { members: members.into_iter().map(|(name, member)| (name, member.value)).collect() })
    }

    /// The same bytes for the same members, in whatever order and with whatever space between them they came.
    pub(crate) fn canonical(&self) -> Vec<u8> {
        let mut members: Vec<_> = self.members.iter().collect();
        members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        serde_json::to_vec(&members).expect("JSON values serialize")
    }

    /// Takes the members one by one.
    pub(crate) fn fields(self) -> Fields {
        Fields { members: self.members, faults: Vec::new() }
    }
}

/// The members that were not taken yet, and the faults of those that were.
pub(crate) struct Fields {
    members: Vec<(String, Value)>,
    faults: Vec<FieldFault>,
}

impl Fields {
    /// Takes a required string; `None` means that [`Self::finish`] will tell what is wrong with it.
    pub(crate) fn text<T, E: fmt::Display>(
        &mut self,
        name: &str,
        parse: impl FnOnce(String) -> Result<T, E>,
    ) -> Option<T> {
        let parsed = match self.take(name) {
            None => Err("is missing".to_owned()),
            Some(value) => text_of(value, parse),
        };
        self.judged(name, parsed)
    }

    /// Takes a string that may be missing.
    pub(crate) fn optional_text<T, E: fmt::Display>(
        &mut self,
        name: &str,
        parse: impl FnOnce(String) -> Result<T, E>,
    ) -> Option<Option<T>> {
        let parsed = self.take(name).map(|value| text_of(value, parse)).transpose();
        self.judged(name, parsed)
    }

    /// Takes a truth value that may be missing.
    pub(crate) fn optional_flag(&mut self, name: &str) -> Option<Option<bool>> {
        let flag = |value: Value| value.as_bool().ok_or("must be true or false".to_owned());
        let parsed = self.take(name).map(flag).transpose();
        self.judged(name, parsed)
    }

    /// Takes a required object.
    pub(crate) fn object(&mut self, name: &str) -> Option<Map<String, Value>> {
        let parsed = match self.take(name) {
            None => Err("is missing".to_owned()),
            Some(Value::Object(members)) => Ok(members),
            Some(_) => Err("must be an object".to_owned()),
        };
        self.judged(name, parsed)
    }

    /// Adds what is wrong with several members together, or with none of them.
    pub(crate) fn fault(&mut self, pointer: &str, detail: &str) {
        self.faults.push(FieldFault { pointer: pointer.to_owned(), detail: detail.to_owned() });
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        let position = self.members.iter().position(|(member, _)| member == name)?;
        Some(self.members.swap_remove(position).1)
    }

    fn judged<T>(&mut self, name: &str, parsed: Result<T, String>) -> Option<T> {
        parsed.map_err(|detail| self.faults.push(FieldFault { pointer: pointer(&[name]), detail })).ok()
    }

    /// Answers `value` if nothing was wrong and nothing is left over.
    pub(crate) fn finish<T>(mut self, value: Option<T>) -> Result<T, Problem> {
        let unknown = self.members.iter().map(|(name, _)| FieldFault {
            pointer: pointer(&[name]),
            detail: "is not known here".to_owned(),
        });
        self.faults.extend(unknown.take(FAULTS_MAX));
        match value {
            Some(value) if self.faults.is_empty() => Ok(value),
            _ => Err(Problem::InvalidFields(self.faults)),
        }
    }
}

/// The answer to members with these faults, of which only so many are told.
pub(crate) fn invalid(mut faults: Vec<FieldFault>) -> Problem {
    faults.truncate(FAULTS_MAX);
    Problem::InvalidFields(faults)
}

fn text_of<T, E: fmt::Display>(
    value: Value,
    parse: impl FnOnce(String) -> Result<T, E>,
) -> Result<T, String> {
    match value {
        Value::String(text) => parse(text).map_err(|fault| fault.to_string()),
        _ => Err("must be a string".to_owned()),
    }
}

struct Members(Vec<(String, Unique)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

/// Keeps every member, where a map would silently keep the last of a name.
struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

/// What to say of a body that is no object: that it is other JSON, or that it is none.
fn no_object(error: &serde_json::Error, bytes: &[u8]) -> Problem {
    let malformed =
        |error: &serde_json::Error| Problem::MalformedJson { pointer: None, detail: error.to_string() };
    match serde_json::from_slice::<IgnoredAny>(bytes) {
        // The visitor refuses nothing but a value of another kind, and does so at its first byte.
        Ok(_) if error.is_data() => Problem::InvalidFields(vec![FieldFault {
            pointer: String::new(),
            detail: "the body must be an object".to_owned(),
        }]),
        Ok(_) => malformed(error),
        Err(error) => malformed(&error),
    }
}

/// `application/json`, alone or with parameters, once, and not compressed.
fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (types.next(), types.next()) else { return false };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json") && !headers.contains_key(header::CONTENT_ENCODING)
}

/// Reads a body of at most [`BODY_BYTES_MAX`]; of a longer one as much as `received_bytes_max`.
async fn read(mut body: Body, received_bytes_max: usize) -> Result<Vec<u8>, Problem> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let mut kept = Vec::with_capacity(announced.min(BODY_BYTES_MAX));
    let mut received = 0;
    while announced <= received_bytes_max && received <= received_bytes_max {
        let Some(frame) = body.frame().await else { break };
        let Ok(data) = frame.map_err(|_| Problem::BodyIncomplete)?.into_data() else { continue };
        received += data.len();
        if received <= BODY_BYTES_MAX {
            kept.extend_from_slice(&data);
        }
    }
    if announced.max(received) > BODY_BYTES_MAX { Err(Problem::BodyTooLarge) } else { Ok(kept) }
}

/// The RFC 6901 pointer to a member of the body, by the names on the way to it; one that a client made up is cut.
pub(crate) fn pointer(names: &[&str]) -> String {
    let mut pointer = String::new();
    for name in names {
        pointer.push('/');
        for character in name.chars().take(POINTER_CHARS_MAX) {
            match character {
                '~' => pointer.push_str("~0"),
                '/' => pointer.push_str("~1"),
                _ => pointer.push(character),
            }
        }
    }
    pointer
}
