//! `[[route]]`

use expect_test::expect;

use crate::support::{check_brief, check_route};

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

#[test]
fn forwarding() {
    check_route(
        "retry = { attempts = 0 }",
        &expect![[r#"
        4:22 0 is out of range for `attempts`
          write a number from 1 to 10
    "#]],
    );
    check_route(
        "retry = { attempts = 11, budget = 1.5 }",
        &expect![[r#"
        4:22 11 is out of range for `attempts`
          write a number from 1 to 10
        4:35 1.5 is out of range for `budget`
          write a number from 0 to 1
    "#]],
    );
    check_route(
        "retry = 3",
        &expect![[r#"
        4:9 `retry` takes a table, not a whole number
          for example `retry = { attempts = 2 }`
    "#]],
    );
    check_route(
        r#"timeouts = { tunnel = "0s" }"#,
        &expect![[r#"
        4:23 "0s" leaves no time at all
          write a duration above zero
    "#]],
    );
    check_route(
        r#"shed = "no""#,
        &expect![[r#"
        4:8 `shed` takes true or false, not text
          for example `shed = true`
    "#]],
    );
    check_route(
        r#"shed = "${SHED}""#,
        &expect![[r#"
        4:8 `shed` takes true or false, not text
          variables can stand in texts only: write `true` or `false` itself
    "#]],
    );
}

#[test]
fn keys_that_need_a_service() {
    check_brief(
        "[[route]]\npath = \"/\"\nrespond = {}\ntimeouts = {}\nretry = {}\nmax_body = \"1B\"\nmin_body_rate = \"0B/s\"\nshed = true",
        &expect![[r#"
            4:12 `timeouts` has no effect beside `respond`
              remove it
            5:9 `retry` has no effect beside `respond`
              remove it
            6:12 `max_body` has no effect beside `respond`
              remove it
            7:17 `min_body_rate` has no effect beside `respond`
              remove it
            8:8 `shed` has no effect beside `respond`
              remove it
        "#]],
    );
}
