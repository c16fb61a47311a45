//! That there is no other way in: what is judged is the path that the endpoint gets (T02, T03).

use super::{NO_TOKEN, ROUTES, Scene, bearer, introduced, request, token};
use crate::support::AUTH;

#[tokio::test]
async fn a_path_is_judged_in_the_form_that_it_is_forwarded_in() {
    let scene = Scene::set().await;
    let (status, error, challenge) = NO_TOKEN;
    for path in [
        "/a/../admin/x",
        "/a/%2e%2e/admin/x",
        "/a/.%2E/admin/x",
        "//admin//x",
        "/./admin/x",
        "/.;/admin/x",
        "/a/..;v=1/admin/x",
        "/%61dmin/x",
        "/admin/.",
        "/admin/a/..",
        "http://a/admin/x",
        "http://other/a/../admin/x",
    ] {
        scene.check_denied(request(&format!("GET {path}"), ""), status, error, challenge).await;
    }
    let bearer = bearer(&token(&["admin"]));
    let expected = introduced(
        "GET /admin/x",
        &bearer,
        "X-Auth-Subject: 7\r\nX-Auth-Roles: admin\r\nX-Auth-Session: 9\r\n",
    );
    scene.check_passed(request("GET /a/%2e%2e//admin/./x", &bearer), expected).await;
}

const HIDDEN: [&str; 9] = [
    "/x/..%2fadmin/x",
    "/..%2Fadmin/x",
    "/x%2f..%2fadmin/x",
    "/..%5cadmin/x",
    "/x\\..\\admin/x",
    "/admin%2fx",
    "/%252e%252e/admin",
    "/admin%3bx",
    "/admin%23",
];

/// What the open route `/` would forward, an endpoint could read as a path of `/admin/`.
#[tokio::test]
async fn a_path_with_a_hidden_separator_is_refused_by_every_route() {
    let scene = Scene::set().await;
    let bearer = bearer(&token(&["admin"]));
    for path in HIDDEN {
        for fields in ["", &bearer] {
            let answer = scene.gateway.exchange(request(&format!("GET {path}"), fields)).await;
            assert_eq!(answer.status(), 400, "{path}");
        }
    }
    assert_eq!(scene.origin.requests(), []);
}

#[tokio::test]
async fn a_route_for_every_path_that_asks_for_a_token_allows_none_either() {
    const EVERYTHING: &str =
        "[[route]]\npath = \"/\"\nhost = \"b\"\nservice = \"api\"\nauth = {}\nallow_encoded = [\"%2F\"]\n";
    let scene = Scene::with(&format!("{EVERYTHING}{ROUTES}{AUTH}")).await;
    let bearer = bearer(&token(&[]));
    for (path, status) in [("/a%5cb", 400), ("/a%3bb", 400), ("/a%2fb", 200), ("/a%2fb?c=%5c", 200)] {
        let sent = request(&format!("GET {path}"), &bearer).replace("Host: a", "Host: b");
        assert_eq!(scene.gateway.exchange(sent).await.status(), status, "{path}");
    }
}

/// Whatever else is named there, it is the host that asks for a token.
#[tokio::test]
async fn a_host_is_the_same_in_every_spelling() {
    const HOST: &str = "[[route]]\npath = \"/\"\nhost = \"b.example\"\nservice = \"api\"\nauth = {}\n";
    let scene = Scene::with(&format!("{HOST}{ROUTES}{AUTH}")).await;
    let (status, error, challenge) = NO_TOKEN;
    for host in ["b.example", "B.Example", "b.example.", "b.example:80", "b.example.:80", "b.example:"] {
        let sent = request("GET /", "").replace("Host: a", &format!("Host: {host}"));
        scene.check_denied(sent, status, error, challenge).await;
    }
    scene.check_denied(request("GET http://b.example./", ""), status, error, challenge).await;
}
