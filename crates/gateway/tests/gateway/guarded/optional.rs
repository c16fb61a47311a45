//! Routes that know whom a request is from where it says so, and let the others pass.

use super::{INVALID, Scene, bearer, introduced, request, token};

#[tokio::test]
async fn without_a_token_a_request_is_nobodys() {
    let scene = Scene::set().await;
    for fields in ["", "Authorization: Basic YTpi\r\n", "Authorization: Bearer\r\n"] {
        scene.check_passed(request("GET /feed/", fields), introduced("GET /feed/", fields, "")).await;
    }
}

#[tokio::test]
async fn a_bad_token_is_refused_all_the_same() {
    let scene = Scene::set().await;
    let (status, error, challenge) = INVALID;
    let twice = format!("{0}{0}", bearer(&token(&[])));
    for fields in [bearer("a.b.c"), bearer(&token(&[])[1..]), twice] {
        scene.check_denied(request("GET /feed/", &fields), status, error, challenge).await;
    }
}
