//! Fields as one document, which is how a file stores them: a JSON object of strings.

use std::collections::BTreeMap;

use crate::StateError;

pub(crate) fn encode(fields: &BTreeMap<String, String>) -> Vec<u8> {
    serde_json::to_vec(fields).expect("a map of strings is an object")
}

/// `key` is what an error names.
pub(crate) fn decode(document: &[u8], key: &str) -> Result<BTreeMap<String, String>, StateError> {
    serde_json::from_slice(document).map_err(|_| StateError::Unreadable { key: key.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_they_were_written() {
        let fields = [("", ""), ("a\0b", "\u{10FFFF}\r\n\""), ("ä", "{}")];
        let fields = BTreeMap::from(fields.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(decode(&encode(&fields), "42").unwrap(), fields);
    }

    #[test]
    fn what_is_no_object_of_strings_is_unreadable() {
        for damaged in ["", "{", "[]", "null", r#"{"a":1}"#, r#"{"a":"1"}{}"#, r#"{"a":{"b":"c"}}"#] {
            let error = decode(damaged.as_bytes(), "42").unwrap_err();
            assert!(matches!(&error, StateError::Unreadable { key } if key == "42"), "{damaged}: {error:?}");
        }
        assert!(decode(b"{\"a\":\"\xff\"}", "42").is_err());
    }
}
