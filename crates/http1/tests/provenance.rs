//! What is believed of `X-Forwarded-*` when the peer itself is trusted: `10.0.0.0/8` and `fd00::/8` are, here.

use std::net::IpAddr;

use phalanx_http1::{FieldSlots, HOPS_MAX, HeadLimits, HeadScan, Provenance, request};

fn is_trusted(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.octets()[0] == 10,
        IpAddr::V6(address) => address.octets()[0] == 0xfd,
    }
}

/// The hops, the client first; the scheme; the host.
fn believed(fields: &str) -> (String, Option<&'static str>, Option<String>) {
    let bytes = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let mut slots = FieldSlots::new();
    let parsed = request::parse(bytes.as_bytes(), &mut HeadScan::new(), &mut slots, &HeadLimits::REQUEST);
    let (head, _) = parsed.expect("the request is fine").expect("the request is whole");
    let Provenance { hops, scheme, host } = Provenance::of(&head, is_trusted);
    let mut text = Vec::new();
    hops.write(&mut text);
    let text = String::from_utf8(text).expect("addresses are text");
    assert_eq!(
        hops.client().map(|client| client.to_string()).as_deref(),
        text.split(", ").next().filter(|client| !client.is_empty())
    );
    (text, scheme, host.map(|host| String::from_utf8(host.to_vec()).expect("a host is text")))
}

#[test]
fn the_rightmost_address_that_nobody_vouches_for_is_the_client() {
    for (lines, expected) in [
        (&["192.0.2.1"][..], "192.0.2.1, "),
        (&["6.6.6.6, 192.0.2.1"], "192.0.2.1, "),
        (&["6.6.6.6, 192.0.2.1, 10.0.0.2, 10.0.0.3"], "192.0.2.1, 10.0.0.2, 10.0.0.3, "),
        (&["6.6.6.6,192.0.2.1", "10.0.0.2"], "192.0.2.1, 10.0.0.2, "),
        (&["6.6.6.6", "192.0.2.1", "10.0.0.2 , fd00::1"], "192.0.2.1, 10.0.0.2, fd00::1, "),
        (&["6.6.6.6, [2001:db8::1]:443, [fd00::1]"], "2001:db8::1, fd00::1, "),
        (&["192.0.2.1:5000, 10.0.0.2:80"], "192.0.2.1, 10.0.0.2, "),
        (&["::ffff:192.0.2.1, ::ffff:10.0.0.2"], "192.0.2.1, 10.0.0.2, "),
        // Trusted as far as it goes: the first of them is as far as anybody knows.
        (&["10.0.0.4, 10.0.0.2"], "10.0.0.4, 10.0.0.2, "),
        // What cannot be read stops the walk, and vouches for nobody.
        (&["192.0.2.1, unknown, 10.0.0.2"], "10.0.0.2, "),
        (&["192.0.2.1, proxy.example"], ""),
        (&["10.0.0.2, 192.0.2.1 6.6.6.6"], ""),
        (&["192.0.2.1, \u{e9}"], ""),
        (&["192.0.2.1, , ,10.0.0.2,"], "192.0.2.1, 10.0.0.2, "),
        (&[""], ""),
        (&[], ""),
    ] {
        let fields = lines.iter().map(|line| format!("X-Forwarded-For: {line}\r\n")).collect::<String>();
        assert_eq!(believed(&fields).0, expected, "{lines:?}");
    }
}

#[test]
fn a_list_is_looked_at_up_to_a_bound() {
    let trusted = "10.0.0.2, ".repeat(HOPS_MAX - 1);
    for (before, expected) in [("192.0.2.1", "192.0.2.1, "), ("192.0.2.1, 10.0.0.9", "10.0.0.9, ")] {
        let fields = format!("X-Forwarded-For: {before}, {}\r\n", trusted.trim_end_matches(", "));
        assert_eq!(believed(&fields).0, format!("{expected}{trusted}"));
    }
    // Empty elements are entries too, or a line of commas would be free.
    let commas = ",".repeat(HOPS_MAX);
    assert_eq!(believed(&format!("X-Forwarded-For: 192.0.2.1{commas}\r\n")).0, "");
    assert_eq!(believed(&format!("X-Forwarded-For: {}\r\n", "192.0.2.1, ".repeat(500))).0, "192.0.2.1, ");
}

#[test]
fn scheme_and_host_are_those_of_the_last_line_if_they_are_some() {
    for (fields, scheme, host) in [
        ("", None, None),
        (
            "X-Forwarded-Proto: https\r\nX-Forwarded-Host: a.example:81\r\n",
            Some("https"),
            Some("a.example:81"),
        ),
        ("x-forwarded-proto: HTTP\r\nx-forwarded-host: [::1]\r\n", Some("http"), Some("[::1]")),
        ("X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\n", Some("http"), None),
        ("X-Forwarded-Host: evil\r\nX-Forwarded-Host: a\r\n", None, Some("a")),
        ("X-Forwarded-Proto: https, http\r\nX-Forwarded-Host: a, b\r\n", None, None),
        ("X-Forwarded-Proto: ftp\r\nX-Forwarded-Host: a@b\r\n", None, None),
        ("X-Forwarded-Proto:\r\nX-Forwarded-Host:\r\n", None, None),
        ("X-Forwarded-Proto: https\r\nX-Forwarded-Proto: x\r\n", None, None),
        ("X_Forwarded_Proto: https\r\nX_Forwarded_Host: a\r\nForwarded: proto=https;host=a\r\n", None, None),
    ] {
        let (_, read_scheme, read_host) = believed(fields);
        assert_eq!((read_scheme, read_host.as_deref()), (scheme, host), "{fields:?}");
    }
}
