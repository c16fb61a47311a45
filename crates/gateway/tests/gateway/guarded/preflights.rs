//! What a browser asks before a page of another origin may send a request, which it asks without credentials.

use super::{INVALID, NO_TOKEN, Scene, bearer, introduced, request};

const ASKS: &str = "Origin: https://shop.example\r\nAccess-Control-Request-Method: PUT\r\n\
    Access-Control-Request-Headers: authorization\r\n";

#[tokio::test]
async fn a_preflight_is_the_services_to_answer() {
    let scene = Scene::set().await;
    for path in ["/me/", "/admin/x"] {
        let line = format!("OPTIONS {path}");
        scene.check_passed(request(&line, ASKS), introduced(&line, ASKS, "")).await;
        let said = format!("{ASKS}X-Auth-Subject: 1\r\n");
        scene.check_passed(request(&line, &said), introduced(&line, ASKS, "")).await;
    }
}

#[tokio::test]
async fn whatever_only_looks_like_one_needs_a_token() {
    let scene = Scene::set().await;
    let (status, error, challenge) = NO_TOKEN;
    for sent in [
        request("OPTIONS /me/", ""),
        request("OPTIONS /me/", "Origin: https://shop.example\r\n"),
        request("GET /me/", ASKS),
        request("OPTIONS /me/", &format!("{ASKS}Content-Length: 5\r\n")) + "hello",
        request("OPTIONS /me/", &format!("{ASKS}X-HTTP-Method-Override: DELETE\r\n")),
        // Here the gateway would answer, and with what others need a token for.
        request("OPTIONS /secret", ASKS),
    ] {
        scene.check_denied(sent, status, error, challenge).await;
    }
    let (status, error, challenge) = INVALID;
    let sent = request("OPTIONS /me/", &format!("{ASKS}{}", bearer("a.b.c")));
    scene.check_denied(sent, status, error, challenge).await;
}
