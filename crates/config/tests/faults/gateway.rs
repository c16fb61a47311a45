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
