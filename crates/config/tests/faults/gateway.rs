//! `[gateway]` and `[admin]`.

use expect_test::expect;

use crate::support::check_brief;

#[test]
fn listeners() {
    check_brief(
        "[gateway]\nhttp = []",
        &expect![[r#"
            2:8 the gateway listens nowhere
              add an address, as `http = ["0.0.0.0:8080"]`
        "#]],
    );
    check_brief(
        "[gateway]\nhttp = [\":8080\", \"8080\", \"0.0.0.0:http\", \"0.0.0.0:80800\"]",
        &expect![[r#"
            2:9 ":8080" has no address before the port
              write both, as "127.0.0.1:3000"; to listen everywhere, "0.0.0.0:8080"
            2:18 "8080" has no address before the port
              write both, as "127.0.0.1:3000"; to listen everywhere, "0.0.0.0:8080"
            2:26 "0.0.0.0:http" does not end with a port
              a port is a number, as in "127.0.0.1:3000"
            2:42 "0.0.0.0:80800" has a port above 65535
              ports go from 1 to 65535
        "#]],
    );
    check_brief(
        "[gateway]\nhttp = [\"0.0.0.0:8080\", \"127.0.0.1:8080\"]",
        &expect![[r#"
            2:25 "127.0.0.1:8080" collides with another listener
              give one of the two another port
        "#]],
    );
    check_brief(
        "[gateway]\nhttp = [\"0.0.0.0:9900\"]",
        &expect![[r#"
            2:9 "0.0.0.0:9900" collides with a default
              the gateway listens on 0.0.0.0:8080, admin on 127.0.0.1:9900: give one of the two another port
        "#]],
    );
    check_brief(
        "[gateway]\nhttp = [\"127.0.0.1:1\"]\n[admin]\nlisten = \"127.0.0.1:1\"",
        &expect![[r#"
            4:10 "127.0.0.1:1" collides with a listener of the gateway
              give one of the two another port
        "#]],
    );
    check_brief(
        "[admin]\nlisten = \"0.0.0.0:9901\"",
        &expect![[r#"
            2:10 "0.0.0.0:9901" can be reached from other machines
              the admin API asks for no password in this version: listen on "127.0.0.1:9900"
        "#]],
    );
    check_brief(
        "[admin]\nlisten = \"127.0.0.1:8080\"",
        &expect![[r#"
            2:10 "127.0.0.1:8080" collides with a default
              the gateway listens on 0.0.0.0:8080, admin on 127.0.0.1:9900: give one of the two another port
        "#]],
    );
    check_brief(
        &format!("[gateway]\nhttp = [{}]", "\"127.0.0.1:0\", ".repeat(65)),
        &expect![[r#"
            2:8 65 listeners are too many
              write at most 64
        "#]],
    );
}

#[test]
fn trusted_proxies() {
    check_brief(
        "[gateway]\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\", \"192.0.2.7\", \"fd00::/8\", \"0.0.0.0/0\"]",
        &expect![[r#"
            no fault
        "#]],
    );
    check_brief(
        "[gateway]\ntrusted_proxies = [\"10.0.0.1/8\", \"fd00::1/8\"]",
        &expect![[r#"
        2:20 "10.0.0.1/8" has address bits behind its prefix
          write the network, "10.0.0.0/8", or the address alone, "10.0.0.1"
        2:34 "fd00::1/8" has address bits behind its prefix
          write the network, "fd00::/8", or the address alone, "fd00::1"
    "#]],
    );
    check_brief(
        "[gateway]\ntrusted_proxies = [\"\", \"10.0.0.0/33\", \"proxy.internal\", \"10.0.0.1:80\", \"::ffff:10.0.0.1\", 10]",
        &expect![[r#"
            2:20 "" is neither a network nor an IP address
              write it as "10.0.0.0/8", "fd00::/8" or "::1"
            2:24 "10.0.0.0/33" has a prefix that is longer than its address
              the number after `/` is at most 32 for IPv4 and 128 for IPv6
            2:39 "proxy.internal" is neither a network nor an IP address
              write it as "10.0.0.0/8", "fd00::/8" or "::1"
            2:57 "10.0.0.1:80" is neither a network nor an IP address
              write it as "10.0.0.0/8", "fd00::/8" or "::1"
            2:72 "::ffff:10.0.0.1" is an IPv4 network in the form of IPv6
              write it as "10.0.0.0/8"
            2:91 `trusted_proxies` takes text, not a whole number
              for example `trusted_proxies = ["10.0.0.0/8", "::1"]`
        "#]],
    );
    check_brief(
        "[gateway]\ntrusted_proxies = \"10.0.0.0/8\"",
        &expect![[r#"
        2:19 `trusted_proxies` takes a list, not text
          for example `trusted_proxies = ["10.0.0.0/8", "::1"]`
    "#]],
    );
    check_brief(
        &format!("[gateway]\ntrusted_proxies = [{}]", "\"::1\", ".repeat(257)),
        &expect![[r#"
        2:19 257 networks are too many
          write at most 256
    "#]],
    );
}

#[test]
fn connections() {
    check_brief(
        "[gateway]\nmax_connections = 0",
        &expect![[r#"
        2:19 0 is out of range for `max_connections`
          write a number from 1 to 10000000
    "#]],
    );
    check_brief(
        "[gateway]\nmax_connections = \"10000\"",
        &expect![[r#"
        2:19 `max_connections` takes a whole number, not text
          for example `max_connections = 10000`
    "#]],
    );
    check_brief(
        "[gateway]\nmax_connections = 1.5",
        &expect![[r#"
        2:19 `max_connections` takes a whole number, not a decimal number
          for example `max_connections = 10000`
    "#]],
    );
    check_brief(
        "[gateway]\nmax_connections = 10_000_001",
        &expect![[r#"
        2:19 10_000_001 is out of range for `max_connections`
          write a number from 1 to 10000000
    "#]],
    );
}
