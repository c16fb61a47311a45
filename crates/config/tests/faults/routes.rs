//! `[[route]]`

use expect_test::expect;

use crate::support::check_brief;

#[test]
fn routes() {
    check_brief(
        "[route]\npath = \"/\"",
        &expect![[r#"
            1:1 `route` takes a list, not a table
              write it as `[[route]]`
        "#]],
    );
    check_brief(
        "[[route]]",
        &expect![[r#"
            1:1 this route has no path
              add `path = "/"` for every path
            1:1 this route leads nowhere
              add `service = "api"`
        "#]],
    );
    check_brief(
        "[[route]]\npath = \"/\"\npath_exact = \"/\"\nservice = \"api\"",
        &expect![[r#"
            3:14 a route has either `path` or `path_exact`
              remove one: `path` is for every path that begins so, `path_exact` for this path alone
        "#]],
    );
    check_brief(
        "[[route]]\npath = \"/\"\nservice = \"api\"\nrespond = {}",
        &expect![[r#"
            4:11 a route has either `service` or `respond`
              remove one: `service` forwards the request, `respond` answers it
        "#]],
    );
    check_brief(
        "[[route]]\npath = \"/a/../b\"\nservice = \"api\"",
        &expect![[r#"
            2:8 "/a/../b" contains a `.` or `..` segment
              write the path that is meant, without them
        "#]],
    );
    check_brief(
        "[[route]]\npath = \"/\"\nhost = \"api.*\"\nservice = \"api\"",
        &expect![[r#"
            3:8 "api.*" has `*` in the wrong place
              `*` can only be the whole first label, as "*.example.com"
        "#]],
    );
    check_brief(
        "[[route]]\npath = \"/\"\nservice = \"web\"",
        &expect![[r#"
            3:11 there is no service "web"
              services of this file: `api`
        "#]],
    );
    check_brief(
        "[[route]]\npath = \"/\"\nservice = \"\"",
        &expect![[r#"
            3:11 there is no service ""
              services of this file: `api`
        "#]],
    );
    check_brief(
        "[[route]]\npath = \"/\"\nservice = \"api\"\nmethods = []",
        &expect![[r#"
            4:11 no request could pass
              name a method, or leave `methods` out
        "#]],
    );
    check_brief(
        "[[route]]\npath = \"/\"\nservice = \"api\"\nmethods = [\"get\", \"A B\", \"POST\", \"POST\"]",
        &expect![[r#"
            4:12 "get" is not in upper case
              methods are case-sensitive: write it as "GET"
            4:19 "A B" is not a method
              a method is a word, as "GET"
            4:34 this method stands here twice
              remove one of the two
        "#]],
    );
    check_brief(
        "[[route]]\npath = \"/\"\nservice = \"api\"\nallow_encoded = [\"%2f\", \"/\", \"%zz\"]",
        &expect![[r#"
            4:25 "/" is not a percent-encoded character
              write it as "%2F"
            4:30 "%zz" is not a percent-encoded character
              write it as "%2F"
        "#]],
    );
    check_brief(
        "[[route]]\npath = \"/\"\nrespond = { status = 100 }",
        &expect![[r#"
            3:22 100 is out of range for `status`
              write a number from 200 to 599
        "#]],
    );
    check_brief(
        "[[route]]\npath = \"/\"\nrespond = { status = 204, body = \"x\" }",
        &expect![[r#"
            3:34 an answer with status 204 has no body
              remove `body`
        "#]],
    );
    check_brief(
        "[[route]]\npath = \"/\"\nrespond = {}\ntimeouts = {}",
        &expect![[r#"
            4:12 `timeouts` has no effect beside `respond`
              remove it
        "#]],
    );
    let long = "x".repeat(65537);
    check_brief(
        &format!("[[route]]\npath = \"/\"\nrespond = {{ body = \"{long}\" }}"),
        &expect![[r#"
            3:20 the body is longer than 65536 bytes
              let a service answer with it
        "#]],
    );
}
