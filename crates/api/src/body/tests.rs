use std::convert::Infallible;

use super::*;

/// What a route with the members `a` and `b` makes of a body: its values, or `status pointers`.
fn check(body: &[u8]) -> String {
    let faults = match JsonObject::parse(body).and_then(|object| {
        let mut fields = object.fields();
        let a = fields.text("a", Ok::<_, Infallible>);
        let b = fields.text("b", |text| if text == "bad" { Err("is bad") } else { Ok(text) });
        fields.finish(a.zip(b))
    }) {
        Ok((a, b)) => return format!("{a},{b}"),
        Err(Problem::InvalidFields(faults)) => faults,
        Err(Problem::MalformedJson { pointer, .. }) => return format!("400 {}", pointer.unwrap_or_default()),
        Err(other) => panic!("{other:?}"),
    };
    let faults: Vec<_> =
        faults.into_iter().map(|fault| format!("{} {}", fault.pointer, fault.detail)).collect();
    format!("422 {}", faults.join(", "))
}

#[test]
fn objects_are_read_strictly() {
    let cases: &[(&[u8], &str)] = &[
        (br#"{"a":"1","b":"2"}"#, "1,2"),
        (br#" {"b":"2" , "a":"\u00e9"} "#, "é,2"),
        (br#"{"a":"1","b":"'; DROP TABLE accounts --"}"#, "1,'; DROP TABLE accounts --"),
        (br"{}", "422 /a is missing, /b is missing"),
        (br#"{"a":1,"b":null}"#, "422 /a must be a string, /b must be a string"),
        (br#"{"a":["1"],"b":"bad"}"#, "422 /a must be a string, /b is bad"),
        (br#"{"a":"1","b":"2","c":3}"#, "422 /c is not known here"),
        (br#"{"a":"1","b":"2","x/y~z":3}"#, "422 /x~1y~0z is not known here"),
        (br#"{"a":"1","b":"2","a":"3"}"#, "400 /a"),
        (br#"{"a":"1","b":"2","\u0061":"3"}"#, "400 /a"),
        (br#"{"a":{"x":1,"y":[1,{"z":0,"z":0}]}}"#, "400 /a/y/1/z"),
        (br#"{"a":{"x":1,"\u0078":2}}"#, "400 /a/x"),
        (br#"{"a":[{"x":1},{"x":1}],"b":"2"}"#, "422 /a must be a string"),
        (b"[]", "422  the body must be an object"),
        (b"null", "422  the body must be an object"),
        (br#""text""#, "422  the body must be an object"),
        (b"", "400 "),
        (b"{", "400 "),
        (b"{}{}", "400 "),
        (b"{\"a\":\"1\",}", "400 "),
        (b"{'a':'1'}", "400 "),
        (b"\xef\xbb\xbf{}", "400 "),
        (b"{\"a\":\"\xff\"}", "400 "),
        (br#"{"a":"\ud800"}"#, "400 "),
        (br#"{"a":"\udc00\ud800"}"#, "400 "),
        (b"{\"a\":\"line\nbreak\"}", "400 "),
        (br#"{"a":1e400}"#, "400 "),
        (br#"{"a":NaN}"#, "400 "),
        (br#"{"a":01}"#, "400 "),
    ];
    for (body, expected) in cases {
        assert_eq!(check(body), *expected, "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn depth_is_bounded() {
    for open in ["[", r#"{"a":"#] {
        assert_eq!(check(open.repeat(100_000).as_bytes()), "400 ");
        assert_eq!(check(format!(r#"{{"a":{}"#, open.repeat(100_000)).as_bytes()), "400 ");
    }
}

#[test]
fn an_answer_about_unknown_members_stays_short() {
    let long = "x".repeat(1000);
    let members: Vec<_> = (0..1000).map(|number| format!(r#""{number}{long}":0"#)).collect();
    let Err(Problem::InvalidFields(faults)) =
        JsonObject::parse(format!("{{{}}}", members.join(",")).as_bytes())
            .and_then(|object| object.fields().finish(Some(())))
    else {
        panic!("a thousand unknown members were accepted")
    };
    assert_eq!(faults.len(), FAULTS_MAX);
    assert!(faults.iter().all(|fault| fault.pointer.len() <= POINTER_CHARS_MAX + 1));
}

#[test]
fn only_plain_json_is_read() {
    let cases = [
        (&[("content-type", "application/json")][..], true),
        (&[("content-type", "Application/JSON; charset=utf-8")], true),
        (&[("content-type", "application/json-seq")], false),
        (&[("content-type", "text/plain")], false),
        (&[("content-type", "")], false),
        (&[], false),
        (&[("content-type", "application/json"), ("content-type", "application/json")], false),
        (&[("content-type", "application/json"), ("content-encoding", "gzip")], false),
    ];
    for (headers, expected) in cases {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        assert_eq!(is_json(&map), expected, "{headers:?}");
    }
}

#[test]
fn a_body_is_the_same_however_it_is_written() {
    let canonical = |body: &str| JsonObject::parse(body.as_bytes()).unwrap().canonical();
    let same = canonical(r#"{"a":"1","b":{"c":2}}"#);
    for body in [r#" {"b": {"c":2}, "a":"1"} "#, r#"{"a":"\u0031","b":{"c":2}}"#] {
        assert_eq!(canonical(body), same, "{body}");
    }
    for body in [r#"{"a":1,"b":{"c":2}}"#, r#"{"a":"1"}"#, r#"{"a":"1","b":{"c":3}}"#, "{}"] {
        assert_ne!(canonical(body), same, "{body}");
    }
}
